"""Counts times rates: exact integer arithmetic on whole columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np

from pricing.in_force import CardsInForce
from pricing.money import MAX_PICO, Mask, Pico
from pricing.rate_cards import MISSING
from pricing.rate_table import Positions, RateTable
from pricing.usage import Count, Usage

PARTS: Final = {
    "input_cost_usd": ("input", "input_audio", "input_image"),
    "cache_read_cost_usd": ("cache_read", "cache_read_audio"),
    "cache_write_cost_usd": ("cache_write_5m", "cache_write_1h"),
    "output_cost_usd": ("output", "reasoning", "output_audio", "output_image"),
    "other_cost_usd": ("web_search", "request"),
}
"""Usage classes by the column that their cost is part of."""

_SAFE: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Amounts:
    """
    What n calls cost.

    Attributes:
        parts: Pico-USD by column of `PARTS`; a part that costs nothing is absent.

        total: Their sum.

        out_of_range: Where the cost is above `MAX_PICO` and the numbers mean
            nothing; None means nowhere.

        lacking: Where something used has no rate; None means nowhere.

        rateless: Where nothing used has a rate although something lacks one; None
            means nowhere.
    """

    parts: dict[str, Pico]
    total: Pico
    out_of_range: Mask | None
    lacking: Mask | None
    rateless: Mask | None


class _Term(NamedTuple):
    """Something used, a number that none exceeds, and its rates by position."""

    column: str
    numbers: Count
    most: int
    rates: Pico


def amounts_of(usage: Usage, in_force: CardsInForce) -> Amounts:
    """Return the cost of n calls by the cards in force."""
    table = in_force.table
    where = table.positions(in_force.rows, usage.input_tokens)
    terms = _terms(usage, table, len(where))
    lacking, rateless = _gaps(usage, table, where)
    sums = _sums(terms, where)
    divisors = table.divisors[where] if table.divisors.max() > 1 else None
    out_of_range = _mend_large(sums, terms, where, divisors)
    return Amounts(sums, _total(sums, len(where)), out_of_range, lacking, rateless)


def _terms(usage: Usage, table: RateTable, rows: int) -> list[_Term]:
    terms: list[_Term] = []
    for column, names in PARTS.items():
        for name in names:
            rates = table.of(name)
            if name in usage.classes:
                numbers, most = usage.classes[name], usage.most[name]
                terms.append(_Term(column, numbers, most, rates))
            elif name == "request" and rates.max() > 0:
                terms.append(_Term(column, np.ones(rows, np.int64), 1, rates))
    return terms


def _gaps(
    usage: Usage, table: RateTable, where: Positions
) -> tuple[Mask | None, Mask | None]:
    """Return where something used has no rate, and where nothing used has one."""
    used = [(numbers, table.of(name)) for name, numbers in usage.classes.items()]
    incomplete = np.any([rates == MISSING for _, rates in used], axis=0)
    if not incomplete.any():
        return None, None
    rows = np.flatnonzero(incomplete.take(where, mode="clip"))
    places = where[rows]
    lacks, has = np.zeros((2, len(rows)), np.bool_)
    for numbers, rates in used:
        is_used = numbers[rows] > 0
        is_missing = (rates == MISSING).take(places)
        lacks |= is_used & is_missing
        has |= is_used & ~is_missing
    lacking, rateless = np.zeros((2, len(where)), np.bool_)
    lacking[rows] = lacks
    rateless[rows] = lacks & ~has
    return (lacking if lacks.any() else None), (rateless if rateless.any() else None)


def _sums(terms: Sequence[_Term], where: Positions) -> dict[str, Pico]:
    """
    Return what each part adds up to; wraps where it is out of range.

    A missing rate is 0.
    """
    sums: dict[str, Pico] = {}
    for term in terms:
        # Positions are right by construction; clipping is how numpy checks fastest.
        product = np.maximum(term.rates, 0).take(where, mode="clip")
        product *= term.numbers
        if term.column in sums:
            sums[term.column] += product
        else:
            sums[term.column] = product
    return sums


def _total(sums: Mapping[str, Pico], rows: int) -> Pico:
    total: Pico | None = None
    for part in sums.values():
        total = part.copy() if total is None else np.add(total, part, out=total)
    return np.zeros(rows, np.int64) if total is None else total


def _mend_large(
    sums: dict[str, Pico],
    terms: Sequence[_Term],
    where: Positions,
    divisors: Pico | None,
) -> Mask | None:
    """
    Divide *sums* by *divisors* and find where they are out of range.

    A bound that holds for all calls settles almost every batch. Otherwise an estimate
    in floats sorts out all but those near a limit, which are done in exact integers.
    """
    bound = sum(term.most * max(int(term.rates.max()), 0) for term in terms)
    if bound <= MAX_PICO:
        if divisors is not None:
            _divide(sums, divisors)
        return None
    estimate = np.zeros(len(where), np.float64)
    for term in terms:
        rates = np.maximum(term.rates, 0).astype(np.float64)
        estimate += term.numbers * rates[where]
    usd = estimate if divisors is None else estimate / divisors
    out_of_range = usd > MAX_PICO * 1.01
    doubtful = np.flatnonzero(
        ~out_of_range & ((usd > MAX_PICO * 0.99) | (estimate > _SAFE * 0.99))
    )
    if divisors is not None:
        _divide(sums, divisors)
    for row in doubtful:
        divisor = 1 if divisors is None else int(divisors[row])
        exact = _exact_parts(terms, int(row), where, divisor)
        if sum(exact.values()) > MAX_PICO:
            out_of_range[row] = True
        else:
            for column, part in exact.items():
                sums[column][row] = part
    return out_of_range


def _divide(sums: dict[str, Pico], divisors: Pico) -> None:
    """
    Divide the parts so that their sum is rounded once, half to even.

    Each part is the difference of two rounded running sums.
    """
    running = np.zeros(len(divisors), np.int64)
    before = running.copy()
    for column in [column for column in PARTS if column in sums]:
        running += sums[column]
        quotient, remainder = np.divmod(running, divisors)
        twice = 2 * remainder
        quotient += (twice > divisors) | ((twice == divisors) & (quotient % 2 == 1))
        sums[column] = quotient - before
        before = quotient


def _exact_parts(
    terms: Sequence[_Term], row: int, where: Positions, divisor: int
) -> dict[str, int]:
    exact: dict[str, int] = {}
    for term in terms:
        cost = int(term.numbers[row]) * max(int(term.rates[where[row]]), 0)
        exact[term.column] = exact.get(term.column, 0) + cost
    running = before = 0
    for column in [column for column in PARTS if column in exact]:
        running += exact[column]
        rounded = round(Fraction(running, divisor))
        exact[column], before = rounded - before, rounded
    return exact
