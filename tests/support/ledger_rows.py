"""Rows of the ledger's tables: name what matters, the rest is filled in."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa

from rollups.registry import find_rollup
from rollups.schema import (
    CHAIN_SCHEMA,
    EXCLUDED_SCHEMA,
    RESTATEMENT_SCHEMA,
    call_schema,
    run_schema,
    tool_call_schema,
)

DAY = datetime(2026, 11, 20, tzinfo=UTC)

_CALL = {
    "timestamp": DAY,
    "trace_id": "0" * 31 + "1",
    "run_id": "run",
    "chain_id": "run",
    "attempt": 1,
    "operation": "chat",
    "cost_status": "priced",
    "sampling_weight": 1.0,
    "duration_ms": 1000.0,
}
_RUN = {
    "timestamp": DAY,
    "trace_id": "0" * 31 + "1",
    "run_id": "run",
    "calls": 1,
    "failed_calls": 0,
    "steps": 1,
    "duration_ms": 1000.0,
    "closed": True,
}
_CHAIN = {
    "timestamp": DAY,
    "trace_id": "0" * 31 + "1",
    "run_id": "run",
    "chain_id": "run",
    "calls": 1,
}
_TOOL_CALL = {
    "timestamp": DAY,
    "trace_id": "0" * 31 + "1",
    "run_id": "run",
    "chain_id": "run",
    "tool_type": "tool",
    "duration_ms": 1000.0,
}
_EXCLUDED = {
    "timestamp": DAY,
    "trace_id": "0" * 31 + "1",
    "name": "chat",
    "reason": "twin",
}


def at(*, hours: float = 0, minutes: float = 0, seconds: float = 0) -> datetime:
    """Return a moment after the start of `DAY`."""
    return DAY + timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _table(
    rows: Iterable[dict[str, Any]], defaults: dict[str, Any], schema: pa.Schema
) -> pa.Table:
    filled = []
    for number, row in enumerate(rows):
        unknown = row.keys() - set(schema.names)
        assert not unknown, f"no column {unknown}"
        filled.append({"span_id": f"{number:016x}", **defaults, **row})
    return pa.Table.from_pylist(filled, schema=schema)


def calls(rows: Iterable[dict[str, Any]], dimensions: tuple[str, ...] = ()) -> pa.Table:
    """Return a table of calls; dollars may be given as text."""
    money = {
        field.name
        for field in call_schema()
        if isinstance(field.type, pa.Decimal128Type)
    }
    exact = [
        {
            key: Decimal(value) if key in money and value is not None else value
            for key, value in row.items()
        }
        for row in rows
    ]
    return _table(exact, _CALL, call_schema(dimensions))


def runs(rows: Iterable[dict[str, Any]], dimensions: tuple[str, ...] = ()) -> pa.Table:
    """Return a table of runs."""
    return _table(rows, _RUN, run_schema(dimensions))


def chains(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Return a table of chains."""
    return _table(rows, _CHAIN, CHAIN_SCHEMA)


def tool_calls(
    rows: Iterable[dict[str, Any]], dimensions: tuple[str, ...] = ()
) -> pa.Table:
    """Return a table of tool calls."""
    return _table(rows, _TOOL_CALL, tool_call_schema(dimensions))


def excluded(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Return a table of excluded spans."""
    return _table(rows, _EXCLUDED, EXCLUDED_SCHEMA)


def connect(**tables: pa.Table) -> duckdb.DuckDBPyConnection:
    """Return a connection with the ledger's tables, empty where none is given."""
    whole = {
        "calls": calls([]),
        "runs": runs([]),
        "chains": chains([]),
        "tool_calls": tool_calls([]),
        "excluded": excluded([]),
        "restatements": RESTATEMENT_SCHEMA.empty_table(),
        "feature_hourly": find_rollup("feature_hourly").schema.empty_table(),
        **tables,
    }
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name, table in whole.items():
        connection.register(f"{name}_arrow", table)
        connection.execute(f"CREATE TABLE {name} AS FROM {name}_arrow")
    return connection


def feature_hours(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Return a table of the rollup ``feature_hourly``; dollars may be given as text."""
    schema = find_rollup("feature_hourly").schema
    filled = []
    for row in rows:
        cost = row.get("cost_usd")
        counts = {"calls": 1, "failed_calls": 0, "runs": 1, "unpriced_calls": 0}
        maps = {name: {} for name in ("latency_histogram", "ttft_histogram", "errors")}
        money = {"cost_usd": None if cost is None else Decimal(cost)}
        filled.append({**counts, **maps, **row, **money})
    return pa.Table.from_pylist(filled, schema=schema)
