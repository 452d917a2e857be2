"""Models that the lake has calls of and the price book no price."""

from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final

import pyarrow as pa

from collector.query.price_list import card_at
from pricing import PriceBook
from pricing.book import CallKey
from pricing.names import seller_of
from pricing.rate_cards import HOUR_OPEN, RateCard

GAP_SCHEMA: Final = pa.schema(
    [
        ("provider", pa.string()),
        ("model", pa.string()),
        ("cost_status", pa.string()),
        ("cost_reason", pa.string()),
        ("calls", pa.int64()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("priced_now", pa.bool_()),
        ("nearest", pa.string()),
        ("todo", pa.string()),
    ]
)
"""
A row per provider, model and reason; ``priced_now`` says that the book in force has a
price by now, so that ``spanledger reprice`` would find one, and ``todo`` what gives
the calls one.
"""

WAIT: Final = "spanledger reprice, when the hour is over"
"""What there is to do for calls on machines that are paid by the hour that runs."""

_REPRICE: Final = "spanledger reprice"
_OVERLAY: Final = "price it in prices.overlay, then reprice"
_BY_MODEL: Final = frozenset(
    ("unknown_model", "no_list_price", "self_hosted", "rate_missing", HOUR_OPEN)
)
_NEAREST: Final = 3


def price_gaps(unpriced: pa.Table, book: PriceBook, at: datetime) -> pa.Table:
    """
    Return which models of the lake lack a price or a rate, in rows of `GAP_SCHEMA`.

    Args:
        unpriced: Rows of the report of that name.

        book: The book to look into for prices and nearest names.

        at: The moment of ``priced_now``.
    """
    rows = []
    for row in unpriced.to_pylist():
        if (row["cost_reason"] or "").split(" ")[0] not in _BY_MODEL:
            continue
        provider, model = row["provider"], row["model"]
        card = card_at(book, CallKey(provider=provider, response_model=model), at)
        todo = _todo(row, card, at)
        near = nearest_names(book, provider, model) if todo == _OVERLAY else []
        rows.append(
            {
                **{name: row[name] for name in GAP_SCHEMA.names if name in row},
                "priced_now": todo == _REPRICE,
                "nearest": ", ".join(near) or None,
                "todo": todo,
            }
        )
    return pa.Table.from_pylist(rows, schema=GAP_SCHEMA)


def waits_only(gaps: pa.Table) -> bool:
    """Whether there is nothing to do about *gaps* but wait."""
    return set(gaps["todo"].to_pylist()) <= {WAIT}


def _todo(row: dict[str, Any], card: RateCard, at: datetime) -> str:
    # Which hour's machines serve a call may depend on its tenant, which no row tells.
    if card.status == "unpriced" and HOUR_OPEN in (card.reason, row["cost_reason"]):
        this_hour = at.replace(minute=0, second=0, microsecond=0)
        return _REPRICE if row["first_call"] < this_hour else WAIT
    if card.status == "unpriced" or row["cost_reason"].startswith("rate_missing"):
        return _OVERLAY
    return _REPRICE


def nearest_names(
    book: PriceBook, provider: str | None, model: str | None
) -> list[str]:
    """Return listed models with names like *model*, of the seller before others."""
    if not model:
        return []
    seller = seller_of(provider)
    own: dict[str, None] = {}
    others: dict[str, str] = {}
    for catalog in book.catalogs:
        for name, models in catalog.sellers.items():
            for prices in models.rows:
                if not prices.is_listed:
                    continue
                if name == seller:
                    own[prices.model] = None
                others.setdefault(prices.model, f"{name}/{prices.model}")
    wanted = model.lower()
    found = get_close_matches(wanted, own, _NEAREST)
    if len(found) < _NEAREST:
        bare = wanted.rpartition("/")[2]
        close = get_close_matches(bare, others, _NEAREST - len(found))
        found += [others[name] for name in close if name not in found]
    return found
