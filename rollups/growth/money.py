"""Dollars of what was sent again, at each call's own rates, in whole pico-USD."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rollups.growth.carry import Carried, Resent
from rollups.growth.chains import TOKEN_LIMIT, Curve
from rollups.growth.columns import integers, pico_usd, validity
from rollups.growth.exact import apportion, fits_money, share
from rollups.growth.results import Asked
from rollups.growth.segments import Bools, Ints


@dataclass(frozen=True, slots=True)
class Amounts:
    """Pico-USD with a mark where the price is known; 0 where it is not."""

    pico_usd: Ints
    known: Bools


@dataclass(frozen=True, slots=True)
class Prompts:
    """
    What the parts of each counted call's prompt cost.

    The cached part of a prompt is its beginning, the part written to the cache comes
    next. Where a call does not tell its cache apart, what is cached costs too much:
    dollars are an upper bound then.
    """

    read: "_Class"
    written: "_Class"
    plain: "_Class"
    lump: Bools


def read_prompts(calls: pa.Table, curve: Curve) -> Prompts:
    """Return tokens and cost of each class of the prompts on the curve."""
    read = _class(calls, curve, "cache_read_tokens", "cache_read_cost_usd")
    written = _class(calls, curve, "cache_write_tokens", "cache_write_cost_usd")
    cached = np.minimum(read.tokens, curve.input_tokens)
    writes = np.minimum(written.tokens, curve.input_tokens - cached)
    plain = curve.input_tokens - cached - writes
    return Prompts(
        read=replace(read, inside=cached),
        written=replace(written, inside=writes),
        plain=_Class(plain, plain, *_cost(calls, curve.rows, "input_cost_usd")),
        lump=_lump_sum(calls, curve.rows),
    )


def price_part(prompts: Prompts, begin: Ints, tokens: Ints) -> Amounts:
    """
    Return what *tokens* of each prompt cost, which stand from place *begin* on.

    Each class costs its share of the call's own cost of that class, rounded down.
    """
    end = begin + tokens
    cached, written = prompts.read.inside, prompts.written.inside
    from_read = np.clip(np.minimum(cached, end) - begin, 0, tokens)
    from_write = np.minimum(cached + written, end) - np.maximum(cached, begin)
    from_write = np.clip(from_write, 0, tokens - from_read)
    total = np.zeros(len(tokens), dtype=np.int64)
    known = (tokens == 0) | ~prompts.lump
    for part, of in (
        (from_read, prompts.read),
        (from_write, prompts.written),
        (tokens - from_read - from_write, prompts.plain),
    ):
        rows = np.flatnonzero(part)
        whole = np.maximum(of.tokens[rows], part[rows])
        total[rows] += share(of.cost[rows], part[rows], whole)[0]
        known[rows] &= of.known[rows]
    return Amounts(pico_usd=np.where(known, total, 0), known=known)


def price_resent(prompts: Prompts, curve: Curve, resent: Resent) -> Amounts:
    """
    Return what the tokens sent again cost in each counted call.

    They sit in the prompt between the first prompt's tokens and the new ones.
    """
    begin = curve.input_tokens - resent.new - resent.resent
    return price_part(prompts, begin, resent.resent)


def price_new(prompts: Prompts, curve: Curve, resent: Resent) -> Amounts:
    """
    Return what the tokens cost that each counted call sent first.

    They are the end of the prompt: of a chain's first call, all of it.
    """
    return price_part(prompts, curve.input_tokens - resent.new, resent.new)


def price_whole(calls: pa.Table, rows: Ints) -> Amounts:
    """Return the whole cost of the calls at *rows*; attempts not billed cost 0."""
    amount, known = _cost(calls, rows, "cost_usd")
    unbilled = pc.equal(calls.column("cost_status"), "not_billed").to_numpy()[rows]
    return Amounts(
        pico_usd=np.where(known & ~unbilled, amount, 0), known=known | unbilled
    )


def tokens_whole(calls: pa.Table, rows: Ints) -> Ints:
    """Return input plus output tokens of the calls at *rows*, unknown as 0."""
    total = np.zeros(len(rows), dtype=np.int64)
    for name in ("input_tokens", "output_tokens"):
        total += np.clip(integers(calls, name, null=0)[rows], 0, TOKEN_LIMIT)
    return total


def resent_usd(curve: Curve, by_call: Amounts) -> Amounts:
    """Add up each chain's calls; unknown if one call's part is or the sum is huge."""
    segments = curve.segments
    chains = len(segments.counts)
    unknown = segments.sums((~by_call.known).astype(np.int64))
    known = fits_money(by_call.pico_usd, group=segments.owner, groups=chains)
    known &= unknown == 0
    return Amounts(np.where(known, segments.sums(by_call.pico_usd), 0), known)


def carried_usd(carried: Carried, by_segment: Amounts) -> Ints:
    """Split each segment's dollars over its items by their tokens, exactly."""
    weights = carried.shares.astype(np.float64)
    return apportion(by_segment.pico_usd, weights, carried.items.segments)


def of_results(
    shares: Ints, by_segment: Amounts, curve: Curve, asked: Asked, carried: Carried
) -> Amounts:
    """Return the dollars of each tool row, in asked order, of its segment's items."""
    inside = np.flatnonzero(asked.enters >= 0)
    amounts = np.zeros(len(asked.rows), dtype=np.int64)
    amounts[inside] = shares[carried.items.results]
    known = np.ones(len(asked.rows), dtype=np.bool_)
    known[inside] = by_segment.known[curve.segments.owner[asked.enters[inside]]]
    return Amounts(amounts, known)


@dataclass(frozen=True, slots=True)
class _Class:
    tokens: Ints
    inside: Ints
    cost: Ints
    known: Bools


def _class(calls: pa.Table, curve: Curve, tokens: str, cost: str) -> _Class:
    counts = np.clip(integers(calls, tokens, null=0)[curve.rows], 0, TOKEN_LIMIT)
    return _Class(counts, counts, *_cost(calls, curve.rows, cost))


def _cost(calls: pa.Table, rows: Ints, name: str) -> tuple[Ints, Bools]:
    amount = np.maximum(pico_usd(calls, name)[rows], 0)
    return amount, validity(calls, name)[rows]


def _lump_sum(calls: pa.Table, rows: Ints) -> Bools:
    """Tell which calls have a cost that no token class explains."""
    whole, _ = _cost(calls, rows, "cost_usd")
    rest, _ = _cost(calls, rows, "other_cost_usd")
    lump: Bools = (whole > 0) & (rest == whole)
    return lump
