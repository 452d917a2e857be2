"""What a model costs by the price book in force, as a table."""

from datetime import datetime
from decimal import Decimal
from typing import Final

import numpy as np
import pyarrow as pa

from pricing import PriceBook
from pricing.book import CallKey
from pricing.catalog import unix_micros
from pricing.plans import choose_entries
from pricing.rate_cards import MISSING, USAGE_CLASSES, RateCard

PRICE_SCHEMA: Final = pa.schema(
    [
        ("provider", pa.string()),
        ("model", pa.string()),
        ("match", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("input_tokens_above", pa.int64()),
        ("item", pa.string()),
        ("usd", pa.decimal128(38, 12)),
        ("unit", pa.string()),
    ]
)
"""A row per price; ``input_tokens_above`` is the context tier, null for the lowest."""

_PICO: Final = Decimal("0.000000000001")
_PER_EACH: Final = {"web_search": "search", "request": "request"}
_MILLION: Final = 1_000_000


def price_list(book: PriceBook, key: CallKey, at: datetime) -> pa.Table:
    """
    Return the prices of calls like *key* at a moment.

    Args:
        book: Where prices are looked up.

        key: What is known about the call: provider, model, tier, region, tenant.

        at: When the call is made.

    Returns:
        Rows of `PRICE_SCHEMA`; one row that says why if there is no price.
    """
    card = card_at(book, key, at)
    head: dict[str, object] = {
        "provider": card.provider,
        "model": card.model,
        "match": card.match,
        "status": card.status,
        "reason": card.reason,
    }
    rows = [{**head, **row} for row in _rates(card)] or [head]
    return pa.Table.from_pylist(rows, schema=PRICE_SCHEMA)


def card_at(book: PriceBook, key: CallKey, at: datetime) -> RateCard:
    """Return the card of calls like *key* at a moment."""
    plan = book.plan(key)
    micros = np.array([unix_micros(at)], np.int64)
    return plan[int(choose_entries(plan, micros)[0])].card


def _rates(card: RateCard) -> list[dict[str, object]]:
    if card.provider is None:
        return []
    return [
        {
            "input_tokens_above": above,
            "item": item,
            "usd": _dollars(rate, card.divisor, item),
            "unit": _PER_EACH.get(item, "million tokens"),
        }
        for above, rates in zip((None, *card.above), card.rates, strict=True)
        for item, rate in zip(USAGE_CLASSES, rates, strict=True)
        if rate != MISSING and not (item in _PER_EACH and rate == 0)
    ]


def _dollars(rate: int, divisor: int, item: str) -> Decimal:
    units = 1 if item in _PER_EACH else _MILLION
    return (Decimal(rate * units) / divisor * _PICO).quantize(_PICO)
