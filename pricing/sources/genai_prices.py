"""
The ``genai-prices`` package as a catalog: https://github.com/pydantic/genai-prices.

Dated list prices of 47 providers under the MIT licence. ``python -m
pricing.sources.genai_prices`` rewrites ``pricing/data/genai_prices.json`` from the
installed package; review the difference before it is committed.
"""

import datetime as dt
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pricing.sources import catalog_text, pico_usd

if TYPE_CHECKING:
    from decimal import Decimal

    from genai_prices import types

UNIT_OF_PRICE: Final = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_5m_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
    "cache_audio_read_mtok": "cache_read_audio",
    "input_image_mtok": "input_image",
    "output_image_mtok": "output_image",
    "output_reasoning_mtok": "reasoning",
    "web_searches_kcount": "web_search",
    "requests_kcount": "request",
}
"""Our unit for each price key; prices per second, page, character are left out."""

_RULES: Final = {
    "ClauseEquals": ("=", "equals"),
    "ClauseStartsWith": ("^", "starts_with"),
    "ClauseEndsWith": ("$", "ends_with"),
    "ClauseContains": ("*", "contains"),
}

_WHEN: Final = frozenset({"service_tier", "processing", "speed"})

_WRONG_FALLBACKS: Final = {"azure": ("deepseek", "x-ai", "moonshotai")}
"""Hosts with own prices for these labs' models, which the labs' prices are not."""


def read_installed(retrieved: str) -> str:
    """Return the installed package's data as a catalog text."""
    from genai_prices.data import providers  # noqa: PLC0415 - only to build the file

    return catalog_text(
        source="genai-prices",
        version=version("genai-prices"),
        retrieved=retrieved,
        providers=[
            {
                "id": provider.id,
                "fallback": _fallback(provider),
                "models": [_model(model) for model in provider.models],
            }
            for provider in providers
        ],
    )


def _fallback(provider: "types.Provider") -> list[str]:
    wrong = _WRONG_FALLBACKS.get(provider.id, ())
    return [
        name for name in provider.fallback_model_providers or () if name not in wrong
    ]


def _model(model: "types.ModelInfo") -> dict[str, Any]:
    from genai_prices import types  # noqa: PLC0415 - only to build the file

    prices = model.prices
    if isinstance(prices, types.ModelPrice):
        dated = [[None, _units(prices)]]
    else:
        dated = [[_condition(one.constraint), _units(one.prices)] for one in prices]
    row = {"id": model.id, "match": _rule(model.match), "prices": dated}
    variants = [
        [variant.when, _condition(variant.constraint), _units(variant.prices)]
        for variant in model.price_variants or ()
        if variant.when.keys() <= _WHEN
    ]
    return row | ({"variants": variants} if variants else {})


def _units(prices: "types.ModelPrice") -> dict[str, Any]:
    return {
        UNIT_OF_PRICE[key]: _rate(
            value, per=1_000 if key.endswith("_kcount") else 10**6
        )
        for key, value in sorted(prices.__dict__.items())
        if value is not None and key in UNIT_OF_PRICE
    }


def _rate(price: "Decimal | types.TieredPrices", *, per: int) -> int | list[Any]:
    from genai_prices import types  # noqa: PLC0415 - only to build the file

    if not isinstance(price, types.TieredPrices):
        return pico_usd(price, per=per)
    tiers = [[tier.start, pico_usd(tier.price, per=per)] for tier in price.tiers]
    return [pico_usd(price.base, per=per), *tiers]


def _condition(
    constraint: "types.StartDateConstraint | types.TimeOfDateConstraint | None",
) -> dict[str, Any] | None:
    from genai_prices import types  # noqa: PLC0415 - only to build the file

    if constraint is None:
        return None
    if isinstance(constraint, types.StartDateConstraint):
        return {"from": constraint.start_date.isoformat()}
    return {"hours": [_utc(constraint.start_time), _utc(constraint.end_time)]}


def _utc(clock: dt.time) -> str:
    day = dt.datetime.combine(dt.date(1970, 1, 2), clock)
    if day.tzinfo is not None:
        day = day.astimezone(dt.UTC)
    return day.strftime("%H:%M")


def _rule(clause: Any) -> list[Any]:  # noqa: ANN401 - seven unrelated classes
    kind = type(clause).__name__
    if kind in _RULES:
        sign, field = _RULES[kind]
        return [sign, getattr(clause, field).lower()]
    if kind == "ClauseRegex":
        return ["re", clause.regex]
    parts = clause.or_ if kind == "ClauseOr" else clause.and_
    return ["|" if kind == "ClauseOr" else "&", [_rule(part) for part in parts]]


if __name__ == "__main__":
    today = dt.datetime.now(dt.UTC).date().isoformat()
    target = Path(__file__).parent.parent / "data" / "genai_prices.json"
    target.write_text(read_installed(sys.argv[1] if sys.argv[1:] else today), "utf-8")
