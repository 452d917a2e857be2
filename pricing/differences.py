"""What a new price book changes in the lists of an old one."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np

from pricing.book import PriceBook
from pricing.catalog import ModelPrices, unix_micros
from pricing.plans import choose_entries
from pricing.rate_cards import MISSING, USAGE_CLASSES, RateCard

JUMP: Final = 2
"""A rate that rises or falls by more than this factor is looked at before it counts."""

Listed = Mapping[tuple[str, str, str], ModelPrices]


class Change(NamedTuple):
    """
    One difference between two books.

    Attributes:
        what: ``added``, ``removed``, ``rate``, or ``elsewhere`` if only names, other
            times or tiers that must be asked for differ.

        old: Pico-USD a unit before; null where there was none.

        new: Pico-USD a unit after.

        is_jump: Whether the rate changed by more than the factor `JUMP`.
    """

    what: str
    source: str
    provider: str
    model: str
    above: int | None = None
    item: str | None = None
    old: Fraction | None = None
    new: Fraction | None = None
    is_jump: bool = False


def compare_books(old: PriceBook, new: PriceBook, at: datetime) -> list[Change]:
    """
    Return how the lists of two books differ, jumps first.

    Args:
        old: The book in force.

        new: The one to come.

        at: The moment whose standard rates are compared.
    """
    before, after = _listed(old), _listed(new)
    changes: list[Change] = []
    for key in sorted(before.keys() | after.keys()):
        if key not in after:
            changes.append(Change("removed", *key))
        elif key not in before:
            changes.append(Change("added", *key))
        elif before[key] != after[key]:
            rates = list(_rates(key, before[key], after[key], unix_micros(at)))
            changes += rates or [Change("elsewhere", *key)]
    return sorted(changes, key=lambda change: (not change.is_jump, change.what))


def _listed(book: PriceBook) -> Listed:
    listed: dict[tuple[str, str, str], ModelPrices] = {}
    for catalog in book.catalogs:
        for provider, models in catalog.sellers.items():
            for prices in models.rows:
                listed.setdefault((catalog.source, provider, prices.model), prices)
    return listed


def _rates(
    key: tuple[str, str, str], old: ModelPrices, new: ModelPrices, micros: int
) -> Iterator[Change]:
    before, after = _card(old, micros), _card(new, micros)
    for above in (None, *sorted({*before.above, *after.above})):
        tokens = 0 if above is None else above + 1
        for item, was, now in zip(
            USAGE_CLASSES, _tier(before, tokens), _tier(after, tokens), strict=True
        ):
            if was != now:
                yield Change("rate", *key, above, item, was, now, _is_jump(was, now))


def _card(prices: ModelPrices, micros: int) -> RateCard:
    plan = prices.plan({}, "exact")
    return plan[int(choose_entries(plan, np.array([micros]))[0])].card


def _tier(card: RateCard, tokens: int) -> list[Fraction | None]:
    place = sum(tokens > above for above in card.above)
    return [
        None if rate == MISSING else Fraction(rate, card.divisor)
        for rate in card.rates[place]
    ]


def _is_jump(old: Fraction | None, new: Fraction | None) -> bool:
    if old is None or new is None:
        return False
    return max(old, new) > JUMP * min(old, new)
