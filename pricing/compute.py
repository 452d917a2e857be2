"""Calls to costs: the one function that prices, whole columns at a time."""

from typing import Final

import numpy as np
import pyarrow as pa

from pricing.amounts import PARTS, Amounts, amounts_of
from pricing.book import CallKey, PriceBook
from pricing.in_force import CardsInForce, cards_in_force
from pricing.money import COST_TYPE, Mask, decimal_column, pico_column
from pricing.outcomes import Outcomes, judge
from pricing.usage import COUNT_FIELDS, read_counts, split_usage
from pricing.words import word_column

INPUT_FIELDS: Final = (
    "timestamp",
    *CallKey._fields,
    *COUNT_FIELDS,
    "operation",
    "usage_convention",
    "cache_unknown",
    "usage_incomplete",
    "error_type",
    "reported_cost_usd",
)
"""Columns that `price_calls` looks at; one that is absent is null in every row."""

COST_SCHEMA: Final = pa.schema(
    [
        ("cost_usd", COST_TYPE),
        *((name, COST_TYPE) for name in PARTS),
        pa.field("cost_status", pa.string(), nullable=False),
        ("cost_reason", pa.string()),
        ("price_provider", pa.string()),
        ("price_model", pa.string()),
        ("price_match", pa.string()),
        ("price_version", pa.string()),
    ]
)
"""Columns that `price_calls` returns."""

_BLOCK_ROWS: Final = 1 << 18
"""Rows priced at a time: intermediate columns stay in the cache, keys are few."""

_PREFERRED_REPORTS: Final = ("openrouter",)
"""Sellers whose answer carries what they charged, which no list knows."""


def price_calls(calls: pa.Table, book: PriceBook) -> pa.Table:
    """
    Return what each call cost.

    Args:
        calls: n calls with any of `INPUT_FIELDS`; others are ignored. Counts are
            inclusive: cached tokens are inside ``input_tokens``, reasoning inside
            ``output_tokens``. Times are UTC.

        book: Prices by model and date.

    Returns:
        The same n rows in the same order with the columns of `COST_SCHEMA`.
        ``cost_usd`` is exact to 10**-12 USD, the sum of its five parts, and null if
        and only if ``cost_status`` is ``unpriced``. Data never makes this raise.
    """
    known = calls.select([name for name in INPUT_FIELDS if name in calls.column_names])
    blocks = known.combine_chunks().to_batches(max_chunksize=_BLOCK_ROWS)
    if not known.column_names:
        blocks = [pa.RecordBatch.from_pydict({"tenant": pa.nulls(calls.num_rows)})]
    return pa.Table.from_batches(
        [_price_block(block, book) for block in blocks if block.num_rows], COST_SCHEMA
    )


def _price_block(block: pa.RecordBatch, book: PriceBook) -> pa.RecordBatch:
    calls = dict(zip(block.schema.names, block.columns, strict=True))
    counts = read_counts(calls, block.num_rows)
    usage = split_usage(counts)
    in_force = cards_in_force(calls, block.num_rows, book)
    amounts = amounts_of(usage, in_force)
    outcomes = judge(
        calls, counts=counts, usage=usage, amounts=amounts, in_force=in_force
    )
    _void(amounts, outcomes)
    _prefer_reported(calls.get("reported_cost_usd"), amounts, outcomes, in_force)
    return pa.RecordBatch.from_arrays(
        [
            *_cost_columns(amounts, outcomes),
            *outcomes.columns(),
            *_price_columns(in_force),
            word_column([book.version], in_force.rows),
        ],
        schema=COST_SCHEMA,
    )


def _void(amounts: Amounts, outcomes: Outcomes) -> None:
    """Make the cost of calls zero that nobody bills."""
    if "not_billed" in (status for status, _ in outcomes.pairs):
        free = outcomes.is_status("not_billed")
        for part in (*amounts.parts.values(), amounts.total):
            part[free] = 0


def _prefer_reported(
    column: pa.Array | None,
    amounts: Amounts,
    outcomes: Outcomes,
    in_force: CardsInForce,
) -> None:
    """
    Take the cost the sender reported where the seller's word counts, or no list does.

    A reported zero is how libraries without a price say so, and is no cost.
    """
    if column is None or column.null_count == len(column):
        return
    reported, known = pico_column(column)
    is_seller = [card.provider in _PREFERRED_REPORTS for card in in_force.cards]
    preferred = np.array(is_seller, np.bool_)[in_force.rows]
    preferred |= outcomes.is_status("unpriced")
    taken = known & (reported > 0) & preferred
    if not taken.any():
        return
    outcomes.set("reported", None, taken)
    for part in amounts.parts.values():
        part[taken] = 0
    other = amounts.parts.setdefault("other_cost_usd", np.zeros_like(reported))
    other[taken] = reported[taken]
    amounts.total[taken] = reported[taken]


def _cost_columns(amounts: Amounts, outcomes: Outcomes) -> list[pa.Array]:
    valid: Mask | None = None
    if "unpriced" in (status for status, _ in outcomes.pairs):
        valid = ~outcomes.is_status("unpriced")
        amounts.total[~valid] = 0
    nothing = decimal_column(np.zeros(len(amounts.total), np.int64), valid)
    return [
        decimal_column(amounts.total, valid),
        *(
            decimal_column(amounts.parts[name], valid)
            if name in amounts.parts
            else nothing
            for name in PARTS
        ),
    ]


def _price_columns(in_force: CardsInForce) -> list[pa.Array]:
    return [
        word_column([getattr(card, name) for card in in_force.cards], in_force.rows)
        for name in ("provider", "model", "match")
    ]
