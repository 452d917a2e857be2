"""
What calls of unknown price must at least and can at most have cost.

Between the cheapest and the dearest model that their seller lists, by their tokens and
at list price. Fees are left out.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from math import ceil, floor
from typing import Final, Literal, NamedTuple

from pricing.book import CallKey, PriceBook
from pricing.rate_cards import USAGE_CLASSES, RateCard

Kind = Literal["answer", "countless"]
"""Calls that put out tokens, and those that put out none (embeddings, rerank)."""

NO_LIMIT: Final = 2**63 - 1
"""Above every number of tokens."""


class TokenRates(NamedTuple):
    """Pico-USD per token by what is told of every call."""

    input: int
    cache_read: int
    cache_write: int
    output: int


class Bounds(NamedTuple):
    """
    Rates of the cheapest and dearest models for calls of a kind and size.

    Which model is the cheapest depends on the mix of tokens: of the models in *lowest*
    the one that makes a call cheapest, of those in *highest* the one that makes it
    dearest.

    Attributes:
        kind: Which calls.

        above: Input tokens above which they hold.

        upto: Input tokens up to which they do.

        lowest: Models of which none is dearer in all rates than another.

        highest: Models of which none is cheaper in all rates than another.
    """

    kind: Kind
    above: int
    upto: int
    lowest: tuple[TokenRates, ...]
    highest: tuple[TokenRates, ...]


def price_bounds(
    book: PriceBook, provider: str | None, first: int, last: int
) -> list[Bounds]:
    """
    Return the bounds of calls of *provider*, none if it has no list.

    Args:
        book: Where the list is.

        provider: Name as sent.

        first: Earliest time of the calls, UTC microseconds.

        last: Latest time of them. A price that was in force at any time in between
            counts.
    """
    cards = list(_cards(book, provider, first, last))
    kinds: tuple[Kind, ...] = ("answer", "countless")
    return [
        bounds
        for kind in kinds
        for bounds in _bounds(kind, [card for card in cards if _is(card, kind)])
    ]


def _bounds(kind: Kind, cards: list[RateCard]) -> Iterator[Bounds]:
    edges = sorted({-1, NO_LIMIT, *(edge for card in cards for edge in card.above)})
    for above, upto in itertools.pairwise(edges):
        lowest = _least(_rates(card, upto, floor, min) for card in cards)
        highest = _most(_rates(card, upto, ceil, max) for card in cards)
        if lowest:
            yield Bounds(kind, above, upto, lowest, highest)


def _cards(
    book: PriceBook, provider: str | None, first: int, last: int
) -> Iterator[RateCard]:
    for model in book.models_of(provider):
        key = CallKey(provider=provider, request_model=model)
        for entry in book.plan(key):
            if entry.start > last or entry.end <= first:
                continue
            yield entry.card
            if not entry.schedules and entry.start <= first and last < entry.end:
                break


def _rate(card: RateCard, usage_class: str, tier: int = 0) -> int:
    return card.rates[tier][USAGE_CLASSES.index(usage_class)]


def _is(card: RateCard, kind: Kind) -> bool:
    """Return whether calls of a kind may have been priced by the card."""
    if card.status != "priced" or card.per_call or _rate(card, "input") <= 0:
        return False
    return (_rate(card, "output") > 0) == (kind == "answer")


def _rates(
    card: RateCard,
    input_tokens: int,
    whole: Callable[[Fraction], int],
    choose: Callable[[tuple[int, int]], int],
) -> TokenRates:
    tier = sum(input_tokens > above for above in card.above)

    def rate(name: str) -> int:
        return whole(Fraction(max(_rate(card, name, tier), 0), card.divisor))

    writes = choose((rate("cache_write_5m"), rate("cache_write_1h")))
    return TokenRates(rate("input"), rate("cache_read"), writes, rate("output"))


def _least(rates: Iterable[TokenRates]) -> tuple[TokenRates, ...]:
    """Return those that are not everywhere at least as dear as another."""
    kept: list[TokenRates] = []
    for one in sorted(set(rates)):
        if not any(_is_below(other, one) for other in kept):
            kept.append(one)
    return tuple(kept)


def _most(rates: Iterable[TokenRates]) -> tuple[TokenRates, ...]:
    """Return those that are not everywhere at most as dear as another."""
    kept: list[TokenRates] = []
    for one in sorted(set(rates), reverse=True):
        if not any(_is_below(one, other) for other in kept):
            kept.append(one)
    return tuple(kept)


def _is_below(one: TokenRates, other: TokenRates) -> bool:
    return all(low <= high for low, high in zip(one, other, strict=True))
