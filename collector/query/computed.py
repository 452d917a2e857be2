"""What calls would cost by their price book, had their senders reported no cost."""

from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from collector.lake.books import STORED_FACTS, Books
from collector.lake.target import Target
from pricing import PriceBookError, price_calls

_USD: Final = pa.decimal128(18, 12)
_REPORTED: Final = "reported_cost_usd"
_BATCH_ROWS: Final = 1 << 17
_KEPT: Final = (
    "trace_id",
    "span_id",
    "dialect",
    "provider",
    "request_model",
    "response_model",
    "cost_status",
    _REPORTED,
)
_READ: Final = tuple(
    dict.fromkeys((*_KEPT, *STORED_FACTS, "cost_usd", "price_version"))
)


def price_reported(connection: duckdb.DuckDBPyConnection, target: Target) -> pa.Table:
    """
    Return the calls for which a cost was reported, with the computed one beside it.

    Args:
        connection: Has the view ``calls``.

        target: The lake, for its price books.

    Returns:
        A row per call: names, ``cost_status``, ``reported_cost_usd`` and
        ``computed_usd``: the cost where it is the computed one, else `computed_usd`.
    """
    books = Books(target)
    calls = connection.table("calls").filter(f"{_REPORTED} IS NOT NULL")
    reader = calls.select(*_READ).to_arrow_reader(_BATCH_ROWS)
    batches = (pa.Table.from_batches([batch]) for batch in reader)
    parts = [
        rows.select(_KEPT).append_column("computed_usd", _beside(rows, books))
        for rows in batches
    ]
    if not parts:
        empty = reader.schema.empty_table()
        return empty.select(_KEPT).append_column("computed_usd", pa.nulls(0, _USD))
    return pa.concat_tables(parts)


def computed_usd(calls: pa.Table, books: Books) -> pa.Array:
    """
    Price stored calls by the books of their recorded costs, without what was reported.

    Args:
        calls: Has `STORED_FACTS` and ``price_version``.

        books: Where the books are.

    Returns:
        DECIMAL(18,12) in the order of *calls*; null where the book has no price, or is
        not there.
    """
    nothing = pa.nulls(calls.num_rows, _USD)
    facts = calls.select(STORED_FACTS)
    place = facts.schema.get_field_index(_REPORTED)
    facts = facts.set_column(place, _REPORTED, nothing)
    found = nothing
    for version in pc.unique(calls.column("price_version")).drop_null().to_pylist():
        try:
            book = books.book(version)
        except (KeyError, PriceBookError):
            continue
        of_book = pc.fill_null(pc.equal(calls.column("price_version"), version), False)
        mask = of_book.combine_chunks()
        costs = price_calls(facts.filter(mask), book).column("cost_usd")
        found = pc.replace_with_mask(found, mask, costs.combine_chunks().cast(_USD))
    return found


def _beside(rows: pa.Table, books: Books) -> pa.Array:
    is_reported = pc.fill_null(pc.equal(rows.column("cost_status"), "reported"), False)
    mask = is_reported.combine_chunks()
    recorded = rows.column("cost_usd").combine_chunks().cast(_USD)
    if not pc.any(mask).as_py():
        return recorded
    return pc.replace_with_mask(recorded, mask, computed_usd(rows.filter(mask), books))
