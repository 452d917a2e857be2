"""What calls would have cost with more of their prompts in the cache."""

from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from collector.lake.books import STORED_FACTS, Books
from collector.lake.target import Target
from collector.query.time_limit import time_limit
from pricing import PriceBook, price_calls

CACHED_SCHEMA: Final = pa.schema(
    [
        ("action", pa.string()),
        ("feature", pa.string()),
        ("agent_name", pa.string()),
        ("run_key", pa.string()),
        ("tokens", pa.int64()),
        ("saved_usd", pa.decimal128(38, 12)),
    ]
)
"""A row per call and way of caching; ``tokens`` are read from the cache in addition."""

_BATCH_ROWS: Final = 1 << 17
_COLUMNS: Final = (
    *STORED_FACTS,
    "action",
    "feature",
    "agent_name",
    "run_key",
    "cost_usd",
    "cost_status",
    "price_version",
    "was_read_tokens",
    "was_written_tokens",
)


def price_cached(connection: duckdb.DuckDBPyConnection, target: Target) -> pa.Table:
    """
    Price the rows of the view ``cacheable_calls`` as they would have been.

    Args:
        connection: Has the view.

        target: The lake, for its price books.

    Returns:
        Rows of `CACHED_SCHEMA`. Each call is priced by the book of its recorded cost,
        once as it was and once as it would be. Dollars are null where a price is not
        full, or where the book does not give the recorded cost again.
    """
    books = Books(target)
    rows = connection.table("cacheable_calls").select(*dict.fromkeys(_COLUMNS))
    parts = []
    with time_limit(connection) as check:
        for batch in rows.to_arrow_reader(_BATCH_ROWS):
            parts.append(_saved(pa.Table.from_batches([batch]), books))
            check()
    return pa.concat_tables(parts) if parts else CACHED_SCHEMA.empty_table()


def _saved(rows: pa.Table, books: Books) -> pa.Table:
    parts = []
    for version in pc.unique(rows.column("price_version")).to_pylist():
        of_book = rows.filter(pc.equal(rows.column("price_version"), version))
        if version is None:
            of_book = rows.filter(pc.is_null(rows.column("price_version")))
        book = _book(books, version)
        usd = (
            pa.nulls(of_book.num_rows, CACHED_SCHEMA.field("saved_usd").type)
            if book is None
            else _saved_usd(of_book, book)
        )
        before = pc.coalesce(of_book.column("was_read_tokens"), 0)
        tokens = pc.subtract(of_book.column("cache_read_tokens"), before)
        named = of_book.select(["action", "feature", "agent_name", "run_key"])
        whole = named.append_column("tokens", tokens).append_column("saved_usd", usd)
        parts.append(whole.cast(CACHED_SCHEMA))
    return pa.concat_tables(parts)


def _book(books: Books, version: str | None) -> PriceBook | None:
    if version is None:
        return None
    try:
        return books.book(version)
    except KeyError:
        return None


def _saved_usd(rows: pa.Table, book: PriceBook) -> pa.ChunkedArray:
    """Return the recorded cost minus the cost with the new counts."""
    was = _with(rows, rows.column("was_read_tokens"), rows.column("was_written_tokens"))
    plain = _with(rows, rows.column("cache_read_tokens"), rows["was_written_tokens"])
    recorded = rows.column("cost_usd")
    again = price_calls(was, book).column("cost_usd")
    cached, unwritten = price_calls(rows, book), price_calls(plain, book)
    # Some providers cache by themselves and have no price for writing.
    costs = pc.if_else(_is_full(cached), cached.column("cost_usd"), None)
    other = pc.if_else(_is_full(unwritten), unwritten.column("cost_usd"), None)
    cost = pc.coalesce(costs, other)
    known = pc.and_(_is_full(rows), pc.equal(recorded, again))
    known = pc.and_(known, pc.invert(rows.column("cache_unknown")))
    saved = pc.subtract(recorded, cost).cast(CACHED_SCHEMA.field("saved_usd").type)
    return pc.if_else(pc.fill_null(known, False), saved, None)


def _is_full(rows: pa.Table) -> pa.ChunkedArray:
    full = pa.array(["priced", "subscription", "free"])
    return pc.is_in(rows.column("cost_status"), value_set=full)


def _with(rows: pa.Table, read: pa.ChunkedArray, written: pa.ChunkedArray) -> pa.Table:
    for name, column in (("cache_read_tokens", read), ("cache_write_tokens", written)):
        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
    return rows
