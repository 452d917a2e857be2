"""Counts times rates: exact integer arithmetic on whole columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np

from pricing.in_force import CardsInForce, Positions
from pricing.money import MAX_PICO, Mask, Pico
from pricing.rate_cards import MISSING, USAGE_CLASSES, RateCard
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

        has_rate: Where something used has a rate; given if *lacking* is.
    """

    parts: dict[str, Pico]
    total: Pico
    out_of_range: Mask | None
    lacking: Mask | None
    has_rate: Mask | None


class RateTable:
    """
    Rates of a few cards, by class a vector over card and tier.

    Attributes:
        tiers: How many tiers each card takes up; the last one is repeated.
    """

    def __init__(self, cards: tuple[RateCard, ...]) -> None:
        self.tiers = max(len(card.rates) for card in cards)
        self._rates = np.array(
            [
                card.rates[min(tier, len(card.rates) - 1)]
                for card in cards
                for tier in range(self.tiers)
            ],
            np.int64,
        ).T.copy()
        never = np.iinfo(np.int64).max
        self._above = (
            np.array(
                [
                    [*card.above, *[never] * (self.tiers - 1 - len(card.above))]
                    for card in cards
                ],
                np.int64,
            )
            .reshape(len(cards), self.tiers - 1)
            .T.copy()
        )
        self.divisors = np.repeat(
            np.array([card.divisor for card in cards], np.int64), self.tiers
        )

    def of(self, usage_class: str) -> Pico:
        """Return the rates of a class by position."""
        return self._rates[USAGE_CLASSES.index(usage_class)]

    def positions(self, rows: Positions, input_tokens: Count) -> Positions:
        """Return for each call the position of its card's tier."""
        if self.tiers == 1:
            return rows
        found = rows * self.tiers
        for tier in range(self.tiers - 1):
            found += input_tokens > self._above[tier].take(rows)
        return found


class _Term(NamedTuple):
    """Something used and its rates by position; a missing rate is 0."""

    column: str
    numbers: Count
    rates: Pico


def amounts_of(usage: Usage, in_force: CardsInForce) -> Amounts:
    """Return the cost of n calls by the cards in force."""
    table = RateTable(in_force.cards)
    where = table.positions(in_force.rows, usage.input_tokens)
    terms, lacking, has_rate = _terms(usage, table, where)
    sums = _sums(terms, where)
    divisors = table.divisors[where] if table.divisors.max() > 1 else None
    out_of_range = _mend_large(sums, terms, where, divisors)
    total = np.zeros(len(where), np.int64)
    for part in sums.values():
        total += part
    return Amounts(sums, total, out_of_range, lacking, has_rate)


def _terms(
    usage: Usage, table: RateTable, where: Positions
) -> tuple[list[_Term], Mask | None, Mask | None]:
    terms: list[_Term] = []
    used: list[tuple[Count, Pico]] = []
    for column, names in PARTS.items():
        for name in names:
            count = usage.classes.get(name)
            rates = table.of(name)
            if count is not None:
                used.append((count, rates))
            elif name == "request" and rates.max() > 0:
                count = np.ones(len(where), np.int64)
            if count is not None:
                terms.append(_Term(column, count, np.maximum(rates, 0)))
    if all(rates.min() >= 0 for _, rates in used):
        return terms, None, None
    lacking, has_rate = np.zeros((2, len(where)), np.bool_)
    for count, rates in used:
        is_used = count > 0
        is_missing = (rates == MISSING).take(where)
        lacking |= is_missing & is_used
        has_rate |= ~is_missing & is_used
    return terms, lacking, has_rate


def _sums(terms: Sequence[_Term], where: Positions) -> dict[str, Pico]:
    """Return what each part adds up to; wraps where it is out of range."""
    sums: dict[str, Pico] = {}
    for term in terms:
        product = term.rates.take(where)
        product *= term.numbers
        if term.column in sums:
            sums[term.column] += product
        else:
            sums[term.column] = product
    return sums


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
    bound = sum(int(term.numbers.max()) * int(term.rates.max()) for term in terms)
    if bound <= MAX_PICO:
        if divisors is not None:
            _divide(sums, divisors)
        return None
    estimate = np.zeros(len(where), np.float64)
    for term in terms:
        estimate += term.numbers * term.rates[where].astype(np.float64)
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
        cost = int(term.numbers[row]) * int(term.rates[where[row]])
        exact[term.column] = exact.get(term.column, 0) + cost
    running = before = 0
    for column in [column for column in PARTS if column in exact]:
        running += exact[column]
        rounded = round(Fraction(running, divisor))
        exact[column], before = rounded - before, rounded
    return exact
