"""
Overlays: dated rules that change what lists say.

A layer is a tuple of rules; the first whose selectors and time fit a call counts. It
lies over the catalogs and the layers before it, so a discount is taken off their
result. `pricing.overlay_file` reads a layer from TOML.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Final

from pricing.catalog import TIER_UNKNOWN, tier_gap
from pricing.plans import ALWAYS, Entry, Plan, Schedule
from pricing.rate_cards import (
    HOUR_OPEN,
    MachineHour,
    Rate,
    RateCard,
    UnitRates,
    build_card,
    unpriced_card,
)

SELECTORS: Final = (
    "tenant",
    "feature",
    "provider",
    "model",
    "region",
    "deployment",
    "service_tier",
    "processing",
    "speed",
    "dialect",
)
"""What a rule can look at, beside the time."""

Subject = Mapping[str, tuple[str, ...]]
"""Lower-case names of a call by selector; none for what was not told."""

Change = Callable[[RateCard, Subject], RateCard | None]
"""Makes the card that a rule puts in the place of one below; None leaves that."""


@dataclass(frozen=True, slots=True)
class PriceRule:
    """
    One rule.

    Attributes:
        selectors: Globs by selector. One that starts with ``!`` fits what is told
            and does not match the rest.

        change: What happens to the card.

        start: UTC microseconds from which the rule holds.

        end: UTC microseconds until which it holds, exclusive.

        schedules: Recurring hours outside of which it does not hold.

        shares_hours: Whether calls wait until their hour is over.
    """

    selectors: Mapping[str, tuple[str, ...]]
    change: Change
    start: int = ALWAYS[0]
    end: int = ALWAYS[1]
    schedules: tuple[Schedule, ...] = ()
    shares_hours: bool = False

    def fits(self, subject: Subject) -> bool:
        """Whether the rule is about such calls."""
        for name, globs in self.selectors.items():
            told = subject.get(name, ())
            if not any(_fits(glob, told) for glob in globs):
                return False
        return True

    def entries(self, subject: Subject, base: Plan) -> list[Entry]:
        """Return what the rule puts over *base*."""
        changed = [self.change(entry.card, subject) for entry in base]
        if changed[0] is not None and all(card == changed[0] for card in changed):
            base, changed = (Entry(base[0].card),), changed[:1]
        entries = (
            entry._replace(card=card or entry.card).within(
                self.start, self.end, self.schedules
            )
            for entry, card in zip(base, changed, strict=True)
        )
        return [entry for entry in entries if entry is not None]


Layer = tuple[PriceRule, ...]


def lay_over(layer: Layer, subject: Subject, base: Plan) -> Plan:
    """Return *base* as changed by the rules of *layer* that fit the subject."""
    over: list[Entry] = []
    for rule in layer:
        if rule.fits(subject):
            over += rule.entries(subject, base)
    return (*over, *base)


def _fits(glob: str, names: tuple[str, ...]) -> bool:
    if glob.startswith("!"):
        return bool(names) and not _fits(glob[1:], names)
    if glob in names:
        return True
    if not _WILD.search(glob):
        return False
    return any(fnmatchcase(name, glob) for name in names)


_WILD: Final = re.compile(r"[*?[]")


def replaced(
    units: UnitRates, *, status: str = "priced", knows: Collection[str] = ()
) -> Change:
    """
    Return a change to own rates.

    Args:
        units: The rates.

        status: Status of the card.

        knows: Selectors the rates were made for. A tier that was asked for and is
            not among them makes the price a bound.
    """

    def change(card: RateCard, subject: Subject) -> RateCard:
        asked = {
            name: subject[name][0]
            for name in ("service_tier", "processing", "speed")
            if subject.get(name) and name not in knows
        }
        gap = tier_gap(asked) if status == "priced" else None
        return build_card(
            units,
            provider=card.provider or _first(subject, "provider"),
            model=card.model or _first(subject, "model"),
            match=card.match or "exact",
            status="partial" if gap else status,
            reason=gap,
        )

    return change


def multiplied(factors: Mapping[str, Fraction], *, fills_gap: bool) -> Change:
    """Return a change of the rates below by a factor per class."""

    def change(card: RateCard, _: Subject) -> RateCard | None:
        has_gap = (card.reason or "").startswith(TIER_UNKNOWN)
        if card.status == "unpriced" or (fills_gap and not has_gap):
            return None
        if fills_gap:
            card = replace(card, status="priced", reason=None)
        return card.times(factors)

    return change


def relabelled(status: str) -> Change:
    """Return a change of the status only, of what has a price."""

    def change(card: RateCard, _: Subject) -> RateCard | None:
        return None if card.status == "unpriced" else replace(card, status=status)

    return change


def reporting(reported: str) -> Change:
    """Return a change of whether the sender's own cost goes before the rates."""

    def change(card: RateCard, _: Subject) -> RateCard:
        return replace(card, reported=reported)

    return change


def fixed(pico_usd: int, *, status: str) -> Change:
    """Return a change to one price per call."""
    fee = replaced({"request": Rate(pico_usd)}, status=status, knows=SELECTORS)

    def change(card: RateCard, subject: Subject) -> RateCard | None:
        changed = fee(card, subject)
        return changed and replace(changed, per_call=True)

    return change


def by_the_hour(hour: MachineHour) -> Change:
    """Return a change to a share of what machines cost an hour."""
    waiting = replace(unpriced_card(HOUR_OPEN), hour=hour)

    def change(card: RateCard, subject: Subject) -> RateCard:
        return replace(
            waiting,
            provider=card.provider or _first(subject, "provider"),
            model=card.model or _first(subject, "model"),
            match=card.match or "exact",
        )

    return change


def withheld(reason: str) -> Change:
    """Return a change to no price, with a reason."""
    card = unpriced_card(reason)
    return lambda _, __: card


def _first(subject: Subject, name: str) -> str:
    return next(iter(subject.get(name, ())), "")
