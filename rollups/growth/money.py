"""Dollars of what was sent again, at each call's own rates, in whole pico-USD."""

from dataclasses import dataclass

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


def price_resent(calls: pa.Table, curve: Curve, resent: Resent) -> Amounts:
    """
    Return what the tokens sent again cost in each counted call.

    They sit in the prompt after the first prompt's tokens. The cached part of a
    prompt is its beginning, the part written to the cache comes next. Each part
    costs its share of the call's own cost of that class, rounded down. Where a
    call does not tell its cache apart the result is an upper bound.
    """
    read = _class(calls, curve, "cache_read_tokens", "cache_read_cost_usd")
    written = _class(calls, curve, "cache_write_tokens", "cache_write_cost_usd")
    cached = np.minimum(read.tokens, curve.input_tokens)
    writes = np.minimum(written.tokens, curve.input_tokens - cached)
    plain = curve.input_tokens - cached - writes
    begin = curve.input_tokens[curve.segments.starts][curve.segments.owner]
    end = begin + resent.resent
    from_read = np.clip(np.minimum(cached, end) - begin, 0, resent.resent)
    from_write = np.minimum(cached + writes, end) - np.maximum(cached, begin)
    from_write = np.clip(from_write, 0, resent.resent - from_read)
    from_plain = resent.resent - from_read - from_write
    total = np.zeros(curve.segments.size, dtype=np.int64)
    known = (resent.resent == 0) | ~_lump_sum(calls, curve.rows)
    uncached = _Class(plain, *_cost(calls, curve.rows, "input_cost_usd"))
    for part, of in ((from_read, read), (from_write, written), (from_plain, uncached)):
        rows = np.flatnonzero(part)
        tokens = np.maximum(of.tokens[rows], part[rows])
        total[rows] += share(of.cost[rows], part[rows], tokens)[0]
        known[rows] &= of.known[rows]
    return Amounts(pico_usd=np.where(known, total, 0), known=known)


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


def carried_usd(
    curve: Curve, asked: Asked, carried: Carried, by_segment: Amounts
) -> Amounts:
    """Split each segment's dollars over its items by their tokens, exactly."""
    items = carried.items
    weights = carried.shares.astype(np.float64)
    shares = apportion(by_segment.pico_usd, weights, items.segments)
    inside = np.flatnonzero(asked.enters >= 0)
    amounts = np.zeros(len(asked.rows), dtype=np.int64)
    amounts[inside] = shares[items.results]
    known = np.ones(len(asked.rows), dtype=np.bool_)
    known[inside] = by_segment.known[curve.segments.owner[asked.enters[inside]]]
    return Amounts(amounts, known)


@dataclass(frozen=True, slots=True)
class _Class:
    tokens: Ints
    cost: Ints
    known: Bools


def _class(calls: pa.Table, curve: Curve, tokens: str, cost: str) -> _Class:
    counts = np.clip(integers(calls, tokens, null=0)[curve.rows], 0, TOKEN_LIMIT)
    return _Class(counts, *_cost(calls, curve.rows, cost))


def _cost(calls: pa.Table, rows: Ints, name: str) -> tuple[Ints, Bools]:
    amount = np.maximum(pico_usd(calls, name)[rows], 0)
    return amount, validity(calls, name)[rows]


def _lump_sum(calls: pa.Table, rows: Ints) -> Bools:
    """Tell which calls have a cost that no token class explains."""
    whole, _ = _cost(calls, rows, "cost_usd")
    rest, _ = _cost(calls, rows, "other_cost_usd")
    lump: Bools = (whole > 0) & (rest == whole)
    return lump
