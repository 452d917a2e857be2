"""
Rate cards: integer pico-USD per token by usage class and context tier.

One pico-USD is 10**-12 USD, so $1 per million tokens is 1,000,000 pico-USD per
token. Sources give rates by *unit* (``input``, ``cache_read``, ...); a card has one
rate for each usage class, taken from the most specific unit that covers it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd
from typing import Final, NamedTuple

USAGE_CLASSES: Final = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "input_audio",
    "cache_read_audio",
    "input_image",
    "output",
    "reasoning",
    "output_audio",
    "output_image",
    "web_search",
    "request",
)
"""What a call is billed for; the classes of one call never overlap."""

HOUR_OPEN: Final = "gpu_hour_open"
"""Reason of calls whose part of a machine's hour is not known yet."""

MISSING: Final = -1
"""Stands for a rate that is not known, in cards and in rate tables."""

_COVERED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("input",),
    "cache_read": ("cache_read", "input"),
    "cache_write_5m": ("cache_write_5m", "cache_write", "input"),
    "cache_write_1h": ("cache_write_1h", "cache_write", "input"),
    "input_audio": ("input_audio", "input"),
    "input_image": ("input_image", "input"),
    "output": ("output",),
    "reasoning": ("reasoning", "output"),
    "output_audio": ("output_audio", "output"),
    "output_image": ("output_image", "output"),
    "web_search": ("web_search",),
    "request": ("request",),
}

UNITS: Final = frozenset(unit for units in _COVERED_BY.values() for unit in units) | {
    "cache_read_audio"
}
"""Names under which a source may give a rate."""


class Rate(NamedTuple):
    """
    Price of one unit in pico-USD.

    Attributes:
        base: Rate of a call that exceeds no threshold.

        tiers: Pairs of total input tokens and rate, ascending. A call with more
            input tokens than the threshold pays the rate for all its tokens.
    """

    base: int
    tiers: tuple[tuple[int, int], ...] = ()

    def at(self, input_tokens: int) -> int:
        """Return the rate of a call with *input_tokens* tokens of input in all."""
        rate = self.base
        for above, tier_rate in self.tiers:
            if input_tokens > above:
                rate = tier_rate
        return rate


UnitRates = Mapping[str, Rate]


class MachineHour(NamedTuple):
    """What all machines of an overlay's row cost an hour; *row* tells rows apart."""

    row: str
    pico_usd: int


@dataclass(frozen=True, slots=True)
class RateCard:
    """
    What one call costs by class, and which price row says so.

    Attributes:
        provider: Provider of the price row; null without one.

        model: Model of the price row; null without one.

        match: ``exact``, ``alias``, ``prefix`` or ``fallback``.

        status: Status of a call all of whose counts have a rate.

        reason: Why the status is not ``priced``, or null.

        above: Thresholds of total input tokens, ascending.

        rates: One tuple per tier with a rate or `MISSING` per usage class.

        divisor: The rates are this many times too high (discounts that leave
            fractions of a pico-USD).

        per_call: A call costs the same whatever it used, so needs no counts.

        reported: Whether a cost that the sender reported goes before the rates:
            ``never``, ``positive`` if it is not zero, or ``any``.

        hour: What the hours cost over whose tokens the price is shared; null for
            other prices.
    """

    provider: str | None = None
    model: str | None = None
    match: str | None = None
    status: str = "priced"
    reason: str | None = None
    above: tuple[int, ...] = ()
    rates: tuple[tuple[int, ...], ...] = ()
    divisor: int = 1
    per_call: bool = False
    reported: str = "never"
    hour: MachineHour | None = None

    def times(self, factors: Mapping[str, Fraction]) -> "RateCard":
        """Return the card with each class's rate multiplied by its factor."""
        scaled = [
            [
                None if rate == MISSING else rate * factors.get(name, Fraction(1))
                for name, rate in zip(USAGE_CLASSES, tier, strict=True)
            ]
            for tier in self.rates
        ]
        known = [rate / self.divisor for tier in scaled for rate in tier if rate]
        divisor = 1
        for rate in known:
            divisor *= rate.denominator // gcd(divisor, rate.denominator)
        return replace(
            self,
            divisor=divisor,
            rates=tuple(
                tuple(
                    MISSING if rate is None else int(rate * divisor / self.divisor)
                    for rate in tier
                )
                for tier in scaled
            ),
        )


def unpriced_card(reason: str) -> RateCard:
    """Return the card of calls that have no price, and why."""
    nothing = ((0,) * len(USAGE_CLASSES),)
    return RateCard(status="unpriced", reason=reason, rates=nothing)


def build_card(
    units: UnitRates,
    *,
    provider: str,
    model: str,
    match: str,
    status: str = "priced",
    reason: str | None = None,
) -> RateCard:
    """
    Return the card of a price row.

    A class takes the rate of the most specific unit given that covers it. Cached
    audio between an audio rate and a cache rate, with neither more specific, stays
    without a rate. A request fee not given is none.
    """
    above = tuple(sorted({start for rate in units.values() for start, _ in rate.tiers}))
    return RateCard(
        provider=provider,
        model=model,
        match=match,
        status=status,
        reason=reason,
        above=above,
        rates=tuple(_tier(units, start + 1) for start in (-1, *above)),
    )


def _tier(units: UnitRates, input_tokens: int) -> tuple[int, ...]:
    return tuple(_class_rate(name, units, input_tokens) for name in USAGE_CLASSES)


def _class_rate(name: str, units: UnitRates, input_tokens: int) -> int:
    for unit in _covering_units(name, units):
        if unit in units:
            return units[unit].at(input_tokens)
    return 0 if name == "request" and units else MISSING


def _covering_units(name: str, units: UnitRates) -> tuple[str, ...]:
    if name != "cache_read_audio":
        return _COVERED_BY[name]
    if "input_audio" in units and "cache_read" in units:
        return ("cache_read_audio",)
    return ("cache_read_audio", "cache_read", "input_audio", "input")
