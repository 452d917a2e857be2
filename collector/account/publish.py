"""Derived tables of the lake: one file per partition, replaced as a whole."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import structlog

from collector.account.lengths import CALLS_OF, Lengths
from collector.account.segments import (
    SPANS,
    Traces,
    is_among,
    trace_numbers,
)
from collector.account.store import Dirty, Store
from collector.lake.layout import (
    Partition,
    empty_key,
    fit,
    hours_of,
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
WindowKey = tuple[str, str, datetime, str | None]
_BY_TIME: Final = tuple(rollup for rollup in ROLLUPS if rollup.grain != "trace")

log = structlog.get_logger(component="account")


def publish_empty_tables(target: Target, dimensions: tuple[str, ...]) -> None:
    """Give every table a typed file, so that a glob over it never fails."""
    for name, schema in table_schemas(dimensions).items():
        _publish_empty(target, empty_key(name), schema)
    for rollup in ROLLUPS:
        key = f"rollups/{rollup.name}/date=1970-01-01/empty.parquet"
        _publish_empty(target, key, rollup.schema)


def _publish_empty(target: Target, key: str, schema: pa.Schema) -> None:
    # A later version has more columns, and a query may ask for them on an old day.
    if not target.has(key) or target.footer(key).schema.names != schema.names:
        target.publish(key, schema.empty_table())


def published_in(target: Target, hour: int, names: Iterable[str]) -> Dirty:
    """Return the derived partitions of *hour* that there are."""
    partition = Partition(hour)
    return {
        (name, partition)
        for name in names
        if name != SPANS and target.has(part_key(name, partition))
    }


def outdated(store: Store, target: Target, hour: int) -> Dirty:
    """Return the partitions of *hour* that were published with other columns."""
    return {
        (name, partition)
        for name, partition in published_in(target, hour, store.schemas)
        if target.footer(part_key(name, partition)).schema.names
        != store.schemas[name].names
    }


def publish_partitions(store: Store, target: Target, lengths: Lengths) -> int:
    """
    Publish the partitions that changed; their days' rollups become due.

    Args:
        store: Marks what was published as clean; the caller commits it.

        target: The lake.

        lengths: Compares chains with those of the hours before, and says which later
            hours are to be published again.

    Returns:
        Number of files written. Publishing again writes the same files.
    """
    written = 0
    while store.dirty:
        # In order, so that hours are compared with earlier ones as they are now.
        dirty = sorted(store.dirty)
        for name, partition in dirty:
            parts = partition_parts(store, target, name, partition)
            if name in CALLS_OF:
                parts = lengths.fill(name, partition.hour, parts)
            target.publish_parts(part_key(name, partition), store.schemas[name], parts)
        store.dirty_days |= {
            partition.date for name, partition in dirty if name in _ROLLUP_TABLES
        }
        store.dirty.difference_update(dirty)
        store.dirty |= {
            (name, Partition(hour)) for hour in lengths.outdated() for name in CALLS_OF
        }
        written += len(dirty)
    return written


def partition_parts(
    store: Store, target: Target, name: str, partition: Partition
) -> Iterator[pa.Table]:
    """
    Yield all rows of a partition, in canonical order unless it is large.

    An hour whose traces partly left the working tables starts from what is published:
    rows of traces that came back are taken from the store instead. In an hour whose
    raw spans are gone, traces stay as they were published. A large hour goes part by
    part, as they came: publishing needs the memory of one, and no time to sort.
    """
    hour, schema = partition.hour, store.schemas[name]
    is_retired, is_settled = hour in store.retired, hour in store.settled
    key = part_key(name, partition)
    if not (is_retired or is_settled) or not target.has(key):
        if store.count(name, hour) <= _SORTED_ROWS:
            rows = store.partition(name, hour)
            yield rows.sort_by(_order(rows)).combine_chunks()
            return
        yield from store.partition_parts(name, hour)
        return
    mine = _findings_of_windows(store, hour) if name == "findings" else frozenset()
    there: Traces = np.zeros(0, np.uint64)
    for published in target.read_parts(key):
        rows = fit(published, schema)
        numbers = trace_numbers(rows.column("trace_id"))
        there = np.union1d(there, numbers)
        kept = np.ones(len(numbers), np.bool_) if is_retired else ~store.knows(numbers)
        if mine:
            kept &= [_window_key(row) not in mine for row in rows.to_pylist()]
        yield rows.filter(pa.array(kept))
    for part in store.partition_parts(name, hour):
        numbers = trace_numbers(part.column("trace_id"))
        if is_retired:
            is_new = ~is_among(numbers, there)
            if mine:
                is_new |= [_window_key(row) in mine for row in part.to_pylist()]
            part = part.filter(pa.array(is_new))  # noqa: PLW2901
        yield part.sort_by(_order(part)).combine_chunks()


def _findings_of_windows(store: Store, hour: int) -> frozenset[WindowKey]:
    found = store.window_findings
    rows = found.filter(pa.array(hours_of(found.column("timestamp")) == hour))
    return frozenset(_window_key(row) for row in rows.to_pylist())


def _window_key(row: dict[str, Any]) -> WindowKey:
    return row["rule"], row["scope"], row["window_start"], row["run_id"]


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
        parts = [fit(target.read(key), schema) for key in keys]
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
