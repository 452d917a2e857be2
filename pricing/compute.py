"""Calls to costs: the one function that prices, whole columns at a time."""

from typing import Final

import numpy as np
import pyarrow as pa

from pricing.amounts import PARTS, Amounts, amounts_of
from pricing.book import CallKey, PriceBook
from pricing.in_force import CardsInForce, cards_in_force
from pricing.money import COST_TYPE, CostColumn, Mask, pico_column
from pricing.outcomes import Outcomes, Verdicts, judge
from pricing.rate_cards import RateCard
from pricing.usage import COUNT_FIELDS, read_counts, split_usage
from pricing.words import WORD_TYPE, word_column

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
        pa.field("cost_status", WORD_TYPE, nullable=False),
        ("cost_reason", WORD_TYPE),
        ("price_provider", WORD_TYPE),
        ("price_model", WORD_TYPE),
        ("price_match", WORD_TYPE),
        ("price_version", WORD_TYPE),
    ]
)
"""Columns that `price_calls` returns; texts are few, and come as dictionaries."""

_CHUNK_ROWS: Final = 1 << 18
"""Calls whose keys are told apart at a time."""

_BLOCK_ROWS: Final = 1 << 15
"""Calls counted at a time: their columns stay in the cache and out of fresh memory."""


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
    chunks = known.combine_chunks().to_batches(max_chunksize=_CHUNK_ROWS)
    if not known.column_names:
        chunks = [pa.RecordBatch.from_pydict({"tenant": pa.nulls(calls.num_rows)})]
    return pa.Table.from_batches(
        [_price_chunk(chunk, book) for chunk in chunks if chunk.num_rows], COST_SCHEMA
    )


def _price_chunk(chunk: pa.RecordBatch, book: PriceBook) -> pa.RecordBatch:
    rows = chunk.num_rows
    in_force = cards_in_force(_columns(chunk), rows, book)
    verdicts = Verdicts(in_force.cards)
    costs = {name: CostColumn(rows) for name in ("cost_usd", *PARTS)}
    places = np.empty(rows, np.int64)
    for start in range(0, rows, _BLOCK_ROWS):
        block = chunk.slice(start, _BLOCK_ROWS)
        stop = start + block.num_rows
        cards = in_force.between(start, stop)
        amounts, outcomes = _price_block(block, cards, verdicts)
        costs["cost_usd"].put(start, amounts.total, len(cards.rows))
        for name in PARTS:
            costs[name].put(start, amounts.parts.get(name, 0), len(cards.rows))
        places[start:stop] = outcomes.rows
    unpriced = verdicts.having("unpriced")
    valid = ~unpriced.take(places) if unpriced.any() else None
    return pa.RecordBatch.from_arrays(
        [
            *(column.finish(valid) for column in costs.values()),
            *verdicts.columns(places),
            *_price_columns(in_force),
            word_column([book.version], in_force.rows),
        ],
        schema=COST_SCHEMA,
    )


def _columns(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def _price_block(
    block: pa.RecordBatch, in_force: CardsInForce, verdicts: Verdicts
) -> tuple[Amounts, Outcomes]:
    calls = _columns(block)
    counts = read_counts(calls, block.num_rows)
    usage = split_usage(counts)
    amounts = amounts_of(usage, in_force)
    outcomes = judge(
        calls,
        counts=counts,
        usage=usage,
        amounts=amounts,
        in_force=in_force,
        verdicts=verdicts,
    )
    _prefer_reported(calls.get("reported_cost_usd"), amounts, outcomes, in_force)
    for status in ("not_billed", "unpriced"):
        _void(amounts, outcomes.where(status))
    return amounts, outcomes


def _void(amounts: Amounts, where: Mask | None) -> None:
    """Make the cost of calls zero that nobody bills, or that have none."""
    if where is not None:
        for part in (*amounts.parts.values(), amounts.total):
            np.putmask(part, where, 0)


def _prefer_reported(
    column: pa.Array | None,
    amounts: Amounts,
    outcomes: Outcomes,
    in_force: CardsInForce,
) -> None:
    """
    Take the cost the sender reported where the book prefers it or has no price.

    A reported zero is how libraries without a price say so, and is no cost unless the
    book says that it is one.
    """
    if column is None or column.null_count == len(column):
        return
    reported, known = pico_column(column)
    preferred = in_force.where(_prefers_reports)
    unpriced = outcomes.where("unpriced")
    if unpriced is not None:
        preferred |= unpriced
    taken = known & (reported > 0) & preferred
    taken |= known & (reported == 0) & in_force.where(_takes_zeros)
    if not taken.any():
        return
    outcomes.set("reported", None, taken)
    _void(amounts, taken)
    other = amounts.parts.setdefault("other_cost_usd", np.zeros_like(reported))
    other[taken] = reported[taken]
    amounts.total[taken] = reported[taken]


def _prefers_reports(card: RateCard) -> bool:
    return card.reported != "never"


def _takes_zeros(card: RateCard) -> bool:
    return card.reported == "any"


def _price_columns(in_force: CardsInForce) -> list[pa.Array]:
    return [
        word_column([getattr(card, name) for card in in_force.cards], in_force.rows)
        for name in ("provider", "model", "match")
    ]
