"""Rates of many cards as numbers, to be taken by call."""

import numpy as np
import numpy.typing as npt

from pricing.money import Pico
from pricing.rate_cards import USAGE_CLASSES, RateCard
from pricing.usage import Count

Positions = npt.NDArray[np.intp]


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
            found += input_tokens > self._above[tier].take(rows, mode="clip")
        return found
