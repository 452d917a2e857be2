"""Derived tables of the lake: one file per partition, replaced as a whole."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import structlog

from collector.account.segments import Traces, is_among, trace_numbers
from collector.account.store import Store
from collector.lake.layout import (
    Partition,
    empty_key,
    part_key,
    rollup_key,
    table_schemas,
)
from collector.lake.target import Target
from rollups.engine import run_rollup
from rollups.registry import ROLLUPS, Rollup

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
_BY_TRACE: Final = tuple(rollup for rollup in ROLLUPS if rollup.grain == "trace")
_BY_TIME: Final = tuple(rollup for rollup in ROLLUPS if rollup.grain != "trace")

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


def publish_rollups(store: Store, target: Target, *, memory_limit: str) -> int:
    """
    Work out the rollups of the days that changed, from the published tables.

    Returns:
        Number of files written.
    """
    days = sorted(store.dirty_days)
    written = 0
    with duckdb.connect(
        config={"threads": 1, "memory_limit": memory_limit}
    ) as connection:
        for day in days:
            for name in _ROLLUP_TABLES:
                _show(connection, target, name, [day], store.schemas[name])
            written += _publish_day(connection, target, day, _BY_TIME)
        for day in sorted({*days, *(_next_day(day, -1) for day in days)}):
            around = _days_of_traces(target, day)
            # A day that did not change itself has one that did behind it.
            if day in days or _next_day(day, 1) in around:
                _show(connection, target, "calls", around, store.schemas["calls"])
                written += _publish_day(connection, target, day, _BY_TRACE)
    store.dirty_days.difference_update(days)
    return written


def _publish_day(
    connection: duckdb.DuckDBPyConnection,
    target: Target,
    day: str,
    rollups: tuple[Rollup, ...],
) -> int:
    since = datetime.fromisoformat(f"{day}T00:00:00+00:00").astimezone(UTC)
    for rollup in rollups:
        found = run_rollup(connection, rollup, since, since + timedelta(days=1))
        target.publish(rollup_key(rollup.name, day), found)
    return len(rollups)


def _show(
    connection: duckdb.DuckDBPyConnection,
    target: Target,
    name: str,
    days: list[str],
    schema: pa.Schema,
) -> None:
    """Let *name* stand for the published rows of *days*, read as far as needed."""
    connection.execute(f"DROP VIEW IF EXISTS {name}")
    keys = [key for day in days for key in _part_keys(target, name, day)]
    paths = target.local_paths([empty_key(name), *keys])
    if paths is None:
        parts = [target.read(key).select(schema.names).cast(schema) for key in keys]
        rows = pa.concat_tables(parts) if parts else schema.empty_table()
        connection.register(name, rows)
        return
    connection.read_parquet(paths, union_by_name=True).create_view(name)


def _part_keys(target: Target, name: str, day: str) -> list[str]:
    keys = target.keys(f"{name}/date={day}")
    return [key for key in keys if key.endswith("/part.parquet")]


def _days_of_traces(target: Target, day: str) -> list[str]:
    """
    Return *day*, and the days beside it if a trace has calls on both.

    A trace belongs to the day of its first call.
    """
    mine = np.unique(_trace_numbers(target, day))
    beside = (_next_day(day, -1), _next_day(day, 1))
    shared = [d for d in beside if is_among(_trace_numbers(target, d), mine).any()]
    return [day, *shared]


def _trace_numbers(target: Target, day: str) -> Traces:
    keys = _part_keys(target, "calls", day)
    columns = [target.read(key, ["trace_id"]).column("trace_id") for key in keys]
    numbers = [trace_numbers(column) for column in columns]
    return np.concatenate(numbers) if numbers else np.zeros(0, np.uint64)


def _next_day(day: str, step: int) -> str:
    return str(date.fromisoformat(day) + timedelta(days=step))
