"""Derived tables of the lake: one file per partition, replaced as a whole."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import duckdb
import pyarrow as pa
import structlog

from collector.account.segments import trace_numbers
from collector.account.store import Store
from collector.lake.layout import (
    LEDGER_TABLES,
    Partition,
    empty_key,
    part_key,
    rollup_key,
    table_schemas,
)
from collector.lake.target import Target
from rollups.engine import run_rollup
from rollups.registry import ROLLUPS

_SORT_KEYS: Final = (
    "timestamp",
    "trace_id",
    "run_id",
    "chain_id",
    "span_id",
    "rule",
    "scope",
)
_SORTED_ROWS: Final = 250_000
_ROLLUP_TABLES: Final = ("calls", "runs", "tool_calls")

log = structlog.get_logger(component="account")


def publish_empty_tables(target: Target, dimensions: tuple[str, ...]) -> None:
    """Give every table a typed file, so that a glob over it never fails."""
    for name, schema in table_schemas(dimensions).items():
        if target.get(empty_key(name)) is None:
            target.publish(empty_key(name), schema.empty_table())
    for rollup in ROLLUPS:
        key = f"rollups/{rollup.name}/date=1970-01-01/empty.parquet"
        if target.get(key) is None:
            target.publish(key, rollup.schema.empty_table())


def publish_partitions(store: Store, target: Target) -> int:
    """
    Publish the partitions that changed; their days' rollups become due.

    Args:
        store: Marks what was published as clean; the caller commits it.

        target: The lake.

    Returns:
        Number of files written. Publishing again writes the same files.
    """
    dirty = sorted(store.dirty)
    for name, partition in dirty:
        parts = partition_parts(store, target, name, partition)
        target.publish_parts(part_key(name, partition), store.schemas[name], parts)
    store.dirty_days |= {partition.date for _, partition in dirty}
    store.dirty.difference_update(dirty)
    return len(dirty)


def partition_parts(
    store: Store, target: Target, name: str, partition: Partition
) -> Iterator[pa.Table]:
    """
    Yield all rows of a partition, in canonical order unless it is large.

    An hour whose traces partly left the working tables starts from what is published:
    rows of traces that came back are taken from the store instead. A large hour goes
    part by part, so that publishing needs the memory of one.
    """
    is_settled = partition.hour in store.settled
    small = store.count(name, partition.hour) <= _SORTED_ROWS and not is_settled
    if small:
        rows = store.partition(name, partition.hour)
        yield rows.sort_by(_order(rows)).combine_chunks()
        return
    key = part_key(name, partition)
    if is_settled and target.get(key) is not None:
        for published in target.read_parts(key):
            rows = published.cast(store.schemas[name])
            known = store.knows(trace_numbers(rows.column("trace_id")))
            yield rows.filter(pa.array(~known))
    for part in store.partition_parts(name, partition.hour):
        yield part.sort_by(_order(part)).combine_chunks()


def _order(rows: pa.Table) -> list[tuple[str, str]]:
    return [(key, "ascending") for key in _SORT_KEYS if key in rows.column_names]


def publish_rollups(store: Store, target: Target) -> int:
    """
    Work out the rollups of the days that changed, from the published tables.

    Returns:
        Number of files written.
    """
    days = sorted(store.dirty_days)
    with duckdb.connect(config={"threads": 1}) as connection:
        for date in days:
            since = datetime.fromisoformat(f"{date}T00:00:00+00:00").astimezone(UTC)
            for name in _ROLLUP_TABLES:
                rows = day_rows(target, name, date, store.schemas[name])
                connection.register(name, rows)
            for rollup in ROLLUPS:
                found = run_rollup(connection, rollup, since, since + timedelta(days=1))
                target.publish(rollup_key(rollup.name, date), found)
            store.dirty_days.discard(date)
    return len(days) * len(ROLLUPS)


def day_rows(target: Target, name: str, date: str, schema: pa.Schema) -> pa.Table:
    """Return the published rows of a ledger table that start on a UTC day."""
    keys = [
        key
        for key in target.keys(f"{name}/date={date}")
        if key.endswith("part.parquet")
    ]
    parts = [target.read(key).select(schema.names).cast(schema) for key in keys]
    return pa.concat_tables(parts) if parts else schema.empty_table()


def published_tables() -> tuple[str, ...]:
    """Return the names of the tables that have one file per partition."""
    return (*LEDGER_TABLES, "findings")
