"""Normalised spans for tests of the ledger: say what matters, the rest is null."""

from decimal import Decimal
from typing import Any

import pyarrow as pa

from rollups.ledger import required_fields
from rollups.schema import COST_COLUMNS, call_schema

FIRST_UNIX_NANO = 1_700_000_000_000_000_000
MILLISECOND = 1_000_000


def span_id_of(word: str | int) -> str:
    """Return a span id of 16 digits for a short word."""
    return f"{word:0>16}"


def trace_id_of(word: str | int) -> str:
    """Return a trace id of 32 digits for a short word."""
    return f"{word:0>32}"


def span(
    span_id: str | int,
    parent: str | int | None = None,
    *,
    trace: str | int = 1,
    at: float = 0,
    ms: float = 10,
    **values: Any,
) -> dict[str, Any]:
    """Return a normalised span that starts *at* milliseconds and lasts *ms*."""
    start = FIRST_UNIX_NANO + round(at * MILLISECOND)
    return {
        "trace_id": trace_id_of(trace),
        "span_id": span_id_of(span_id),
        "parent_span_id": None if parent is None else span_id_of(parent),
        "timestamp": start // 1000,
        "start_unix_nano": start,
        "end_unix_nano": start + round(ms * MILLISECOND),
        "received_unix_nano": start + 10**9,
        "name": "work",
        "kind": "INTERNAL",
        "status_code": "UNSET",
        "scope_name": "app",
        "is_call": False,
        "has_usage": False,
        "is_total": False,
        "sampling_weight": 1.0,
        "error_type": None,
    } | values


def call(
    span_id: str | int,
    parent: str | int | None = None,
    *,
    tokens: tuple[int, int] | None = (100, 10),
    **values: Any,
) -> dict[str, Any]:
    """Return a chat span with (input, output) *tokens*."""
    counts = {}
    if tokens is not None:
        counts = {"input_tokens": tokens[0], "output_tokens": tokens[1]}
    defaults = {
        "name": "chat gpt",
        "span_role": "call",
        "operation": "chat",
        "is_call": True,
        "has_usage": tokens is not None,
        "provider": "openai",
        "request_model": "gpt",
    }
    return span(span_id, parent, **(defaults | counts | values))


def agent(
    span_id: str | int, parent: str | int | None = None, **values: Any
) -> dict[str, Any]:
    """Return an agent span."""
    defaults = {"name": "invoke_agent", "span_role": "agent", "ms": 1000}
    return span(span_id, parent, **(defaults | {"operation": "invoke_agent"} | values))


def tool(
    span_id: str | int, parent: str | int | None = None, **values: Any
) -> dict[str, Any]:
    """Return a tool span."""
    defaults = {"name": "execute_tool", "span_role": "tool", "tool_name": "search"}
    return span(span_id, parent, **(defaults | {"operation": "execute_tool"} | values))


def table_of(
    spans: list[dict[str, Any]], *, dimensions: tuple[str, ...] = ()
) -> pa.Table:
    """Return *spans* as the table that the ledger takes."""
    schema = required_fields(dimensions)
    columns = {
        field.name: pa.array([one.get(field.name) for one in spans], field.type)
        for field in schema
    }
    return pa.table(columns, schema=schema)


PICO_USD_PER_TOKEN = 1_000_000


def costs_of(calls: pa.Table) -> pa.Table:
    """
    Price calls at a micro-dollar per token, whole in the input part.

    A failed call without counts costs 0; a model called ``unknown`` has no price.
    """
    rows = []
    for row in calls.select(
        ["input_tokens", "output_tokens", "request_model"]
    ).to_pylist():
        tokens = (row["input_tokens"] or 0) + (row["output_tokens"] or 0)
        usd = Decimal(tokens * PICO_USD_PER_TOKEN).scaleb(-12)
        known = row["request_model"] != "unknown"
        rows.append(
            {
                "cost_usd": usd if known else None,
                "input_cost_usd": usd if known else None,
                "cost_status": "priced" if known else "unpriced",
            }
        )
    schema = call_schema()
    columns = {
        name: pa.array([row.get(name) for row in rows], schema.field(name).type)
        for name in COST_COLUMNS
    }
    return pa.table(columns)
