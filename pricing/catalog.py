"""
Catalogs: list prices by provider, model and date, as a source gave them.

The text is JSON: ``format``, ``source``, ``version``, ``retrieved`` and ``providers``,
each with ``id``, ``fallback`` (providers whose models it also sells at their price) and
``models``. A model has ``id``, ``match`` (a rule of `pricing.matching`), ``prices``
(pairs of condition and rates; the last whose condition holds counts, else the first)
and ``variants`` (context, condition and the rates it changes; the first counts, rate by
rate). A condition is null, ``{"from": day}`` or ``{"hours": [from, to]}``, UTC. A rate
is pico-USD or ``[base, [above, rate], ...]`` by total input tokens.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final, NamedTuple

from pricing.errors import PriceBookError
from pricing.matching import Hit, Rule, RuleIndex, check_rule
from pricing.plans import ALWAYS, Entry, Plan, Schedule, narrowed
from pricing.rate_cards import UNITS, Rate, UnitRates, build_card

CATALOG_FORMAT: Final = 1

Context = Mapping[str, str]
"""What was asked for: ``service_tier``, ``processing``, ``speed``."""


class Condition(NamedTuple):
    """When a price holds."""

    start: int = ALWAYS[0]
    hours: tuple[Schedule, ...] = ()


class Variant(NamedTuple):
    """Rates that replace others when the context and the time fit."""

    when: Context
    condition: Condition
    units: UnitRates


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """One model of a catalog: what names it has and what it costs when."""

    provider: str
    model: str
    rule: Rule
    prices: tuple[tuple[Condition, UnitRates], ...]
    variants: tuple[Variant, ...] = ()

    @property
    def is_listed(self) -> bool:
        """Whether any price is known."""
        return any(units for _, units in self.prices)

    def plan(self, context: Context, match: str, *, is_own_list: bool = True) -> Plan:
        """
        Return what a call costs over time in the given context.

        Args:
            context: What was asked for beyond the standard. What no variant has a
                price for is priced as standard and marked as a bound.

            match: How the name was found, to be said by the cards.

            is_own_list: Whether the list is the seller's; another's variants do
                not count.
        """
        entries: list[Entry] = []
        variants = self.variants if is_own_list else ()
        for start, end, fitting in _phases(variants, context):
            known = {part for variant in fitting for part in variant.when.items()}
            gap = tier_gap(context, known)
            for condition, units in self._by_precedence():
                card = build_card(
                    _changed(units, fitting),
                    provider=self.provider,
                    model=self.model,
                    match=match,
                    status="partial" if gap else "priced",
                    reason=gap,
                )
                entry = Entry(card, condition.start, ALWAYS[1], condition.hours)
                entries += narrowed([entry], start, end)
        return tuple(entries)

    def _by_precedence(self) -> list[tuple[Condition, UnitRates]]:
        ordered = [*reversed(self.prices)]
        if ordered[-1][0] != Condition():
            ordered.append((Condition(), ordered[-1][1]))
        return ordered


def _phases(
    variants: Sequence[Variant], context: Context
) -> Iterator[tuple[int, int, list[Variant]]]:
    """Yield newest first each time in which the same variants apply, and which."""
    fitting = [
        variant
        for variant in variants
        if all(context.get(key) == value for key, value in variant.when.items())
    ]
    starts = sorted({ALWAYS[0], *(one.condition.start for one in fitting)})
    ends = [*starts[1:], ALWAYS[1]]
    for start, end in reversed(list(zip(starts, ends, strict=True))):
        yield start, end, [one for one in fitting if one.condition.start <= start]


def _changed(units: UnitRates, variants: Sequence[Variant]) -> UnitRates:
    changed = dict(units)
    for variant in reversed(variants):
        changed |= variant.units
    return changed


TIER_UNKNOWN: Final = "tier_unknown"
"""Reason of a price that is the standard one, where another was asked for."""

_BOUNDS: Final = {
    ("service_tier", "priority"): "lower_bound",
    ("service_tier", "fast"): "lower_bound",
    ("service_tier", "flex"): "upper_bound",
    ("processing", "batch"): "upper_bound",
    ("speed", "fast"): "lower_bound",
}
"""What the standard price is for those who asked for something else."""


def tier_gap(context: Context, known: Collection[tuple[str, str]] = ()) -> str | None:
    """
    Return what is to be said of a price that leaves out a part of the context.

    Args:
        context: What was asked for.

        known: Those parts of it that the price takes into account.
    """
    for part in context.items():
        if part in _BOUNDS and part not in known:
            return f"{TIER_UNKNOWN} {_BOUNDS[part]}"
    return None


class Found(NamedTuple):
    """A model, how well its rule matched, and whether another provider has it."""

    prices: ModelPrices
    hit: Hit
    is_fallback: bool


class SellerList:
    """The models of one provider in order of precedence."""

    def __init__(self, models: Sequence[ModelPrices]) -> None:
        self._models = models
        self.models: Final = tuple(dict.fromkeys(prices.model for prices in models))
        """Names of the models, as listed."""
        self._index = RuleIndex([prices.rule for prices in models])

    @property
    def rows(self) -> Sequence[ModelPrices]:
        """The models in order of precedence."""
        return self._models

    def find(self, name: str) -> tuple[ModelPrices, Hit] | None:
        """Return the first model that *name*, in lower case, matches, and how."""
        found = self._index.first(name)
        return found and (self._models[found[0]], found[1])


@dataclass(frozen=True, slots=True)
class Catalog:
    """Prices of one source."""

    source: str
    version: str
    retrieved: str
    sellers: Mapping[str, SellerList]
    fallbacks: Mapping[str, tuple[str, ...]]

    def find(self, provider: str, name: str) -> Found | None:
        """
        Return the first model of *provider* that *name* matches.

        Args:
            provider: The provider's id in this catalog.

            name: A model name in lower case.
        """
        for seller in (provider, *self.fallbacks.get(provider, ())):
            found = seller in self.sellers and self.sellers[seller].find(name)
            if found:
                return Found(*found, is_fallback=seller != provider)
        return None


def parse_catalog(text: str, *, path: str) -> Catalog:
    """
    Read a catalog.

    Args:
        text: The catalog as JSON.

        path: Where it came from, for messages.

    Raises:
        PriceBookError: The text is no catalog; the message has file and line or the
            provider and model.
    """
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise PriceBookError(
            f"not JSON: {error.msg}", path=path, line=error.lineno
        ) from error
    try:
        _require(raw["format"] == CATALOG_FORMAT, f"unknown format {raw['format']!r}")
        return Catalog(
            source=str(raw["source"]),
            version=str(raw["version"]),
            retrieved=date.fromisoformat(raw["retrieved"]).isoformat(),
            sellers={
                provider["id"]: SellerList(
                    [
                        _model(provider["id"], model, path=path)
                        for model in provider["models"]
                    ]
                )
                for provider in raw["providers"]
            },
            fallbacks={
                provider["id"]: tuple(provider["fallback"])
                for provider in raw["providers"]
            },
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, PriceBookError):
            raise
        raise PriceBookError(_said(error), path=path) from error


def _model(provider: str, raw: Mapping[str, Any], *, path: str) -> ModelPrices:
    try:
        bad = check_rule(raw["match"])
        _require(bad is None, str(bad))
        prices = tuple(
            (_condition(when), _units(rates)) for when, rates in raw["prices"]
        )
        _require(bool(prices), "no prices")
        return ModelPrices(
            provider=provider,
            model=str(raw["id"]),
            rule=raw["match"],
            prices=prices,
            variants=tuple(
                Variant(dict(when), _condition(condition), _units(rates))
                for when, condition, rates in raw.get("variants", ())
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        subject = raw.get("id") if isinstance(raw, dict) else raw
        message = f"{provider} {subject}: {_said(error)}"
        raise PriceBookError(message, path=path) from error


def _said(error: Exception) -> str:
    return f"missing {error}" if isinstance(error, KeyError) else str(error)


def _require(holds: bool, message: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise ValueError(message)


def _condition(raw: Mapping[str, Any] | None) -> Condition:
    if raw is None:
        return Condition()
    if "from" in raw:
        return Condition(start=unix_micros(date.fromisoformat(raw["from"])))
    start, end = (clock_micros(text) for text in raw["hours"])
    return Condition(hours=(Schedule(hours=((start, end),)),))


def unix_micros(moment: date) -> int:
    """Return UTC microseconds since 1970 of a day's start or a point in time."""
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time(), UTC)
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def clock_micros(text: str) -> int:
    """Return microseconds since midnight of a time such as ``06:30``."""
    clock = time.fromisoformat(text)
    return ((clock.hour * 60 + clock.minute) * 60 + clock.second) * 1_000_000


def _units(raw: Mapping[str, Any]) -> dict[str, Rate]:
    if not raw.keys() <= UNITS:
        raise ValueError(f"unknown unit {min(raw.keys() - UNITS)}")
    return {unit: _rate(rate) for unit, rate in raw.items()}


def _rate(raw: Any) -> Rate:  # noqa: ANN401 - checked here
    if type(raw) is int and 0 <= raw < MAX_RATE:
        return Rate(raw)
    base, *tiers = raw if isinstance(raw, list) else [raw]
    rate = Rate(base, tuple((above, tier) for above, tier in tiers))
    numbers = (base, *(number for tier in rate.tiers for number in tier))
    if not all(type(number) is int and 0 <= number < MAX_RATE for number in numbers):
        raise ValueError(f"not a rate: {raw!r}")
    if list(rate.tiers) != sorted(rate.tiers):
        raise ValueError(f"tiers out of order: {raw!r}")
    return rate


MAX_RATE: Final = 10**15
"""Rates below this leave room for a thousand calls' worth in 63 bits: $1,000 a unit."""
