"""Recorded agent runs (rows of tests/fixtures/growth) as calls and tool_calls."""

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from rollups.schema import call_schema, tool_call_schema

START_MICROS = 1_760_000_000_000_000
USD_PER_TOKEN = {
    "input": Decimal("0.000003"),
    "cache_read": Decimal("0.0000003"),
    "cache_write": Decimal("0.00000375"),
    "output": Decimal("0.000015"),
}


class Tables(NamedTuple):
    """Call rows and tool rows of the same traces."""

    calls: pa.Table
    tool_calls: pa.Table


def read_runs(path: Path) -> list[dict[str, Any]]:
    """Return the recorded runs of a gzipped JSON lines file."""
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def tables_of(runs: Iterable[dict[str, Any]]) -> Tables:
    """Return priced calls and tool calls, in the order recorded."""
    calls: list[dict[str, Any]] = []
    tools: list[dict[str, Any]] = []
    for run in runs:
        for place, step in enumerate(run["steps"]):
            calls.append(call_row(run["run_id"], place, step))
            tools.extend(tool_rows(calls[-1], step))
    return Tables(call_table(calls), tool_table(tools))


def one_chain(
    sizes: Sequence[int | None],
    results: Sequence[dict[str, Any]] = (),
    *,
    out: int = 0,
    changes: dict[int, dict[str, Any]] | None = None,
) -> Tables:
    """
    Return one chain: prompt sizes ten seconds apart, and the tool results.

    Args:
        sizes: Tokens of each prompt, none cached.

        results: Columns of tool rows, each with ``at``, the call that asked.

        out: Tokens of every answer.

        changes: Columns of call rows to set otherwise, by place.
    """
    calls = [
        call_row("trace", place, {"i": place, "c": "main", "in": size or 0, "out": out})
        | ({"input_tokens": None} if size is None else {})
        | (changes or {}).get(place, {})
        for place, size in enumerate(sizes)
    ]
    tools = [
        tool_row(calls[result["at"]], place, tool_name="read")
        | {name: value for name, value in result.items() if name != "at"}
        for place, result in enumerate(results)
    ]
    return Tables(call_table(calls), tool_table(tools))


def call_row(run_id: str, place: int, step: dict[str, Any]) -> dict[str, Any]:
    """Return the call row of one recorded step."""
    failed = step.get("status") == "error"
    declared = step["i"] is not None
    own_step = step["i"] if declared else place
    seconds = step["ts"] if "ts" in step else START_MICROS / 1e6 + 10 * step["i"]
    read, written = step.get("cr") or 0, step.get("cw") or 0
    read = min(read, step["in"])
    written = min(written, step["in"] - read)
    plain = step["in"] - read - written
    costs = {
        "input_cost_usd": plain * USD_PER_TOKEN["input"],
        "cache_read_cost_usd": read * USD_PER_TOKEN["cache_read"],
        "cache_write_cost_usd": written * USD_PER_TOKEN["cache_write"],
        "output_cost_usd": step["out"] * USD_PER_TOKEN["output"],
        "other_cost_usd": Decimal(0),
    }
    return {
        "timestamp": round(seconds * 1e6),
        "trace_id": run_id,
        "span_id": step.get("span", f"{place:04}"),
        "run_id": run_id,
        "chain_id": step["c"] or "main",
        "step": None if failed else own_step,
        "step_source": None if failed else "own" if declared else "order",
        "operation": "chat",
        "error_type": "timeout" if failed else None,
        "input_tokens": step["in"],
        "uncached_input_tokens": plain,
        "cache_read_tokens": step.get("cr"),
        "cache_write_tokens": step.get("cw"),
        "output_tokens": step["out"],
        "cost_usd": sum(costs.values()),
        **costs,
        "cost_status": "priced",
    }


def tool_rows(call: dict[str, Any], step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the tool rows that a recorded step asked for."""
    for place, (name, arguments, tokens, result) in enumerate(step["t"]):
        yield tool_row(call, place, tool_name=name) | {
            "arguments_hash": arguments,
            "result_hash": result,
            "result_tokens": tokens,
        }


def tool_row(call: dict[str, Any], place: int, *, tool_name: str) -> dict[str, Any]:
    """Return a tool row that *call* asked for, a little later than the call."""
    return {
        "timestamp": call["timestamp"] + 1000 + place,
        "trace_id": call["trace_id"],
        "span_id": f"{call['span_id']}.{place:02}",
        "run_id": call["run_id"],
        "chain_id": call["chain_id"],
        "step": call["step"],
        "tool_name": tool_name,
        "tool_type": "tool",
    }


def call_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Return rows as a calls table; columns not given are null or plain defaults."""
    return _table(rows, call_schema(), {"attempt": 1, "sampling_weight": 1.0})


def tool_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Return rows as a tool_calls table; columns not given are null or defaults."""
    return _table(rows, tool_call_schema(), {})


def _table(
    rows: list[dict[str, Any]], schema: pa.Schema, defaults: dict[str, Any]
) -> pa.Table:
    given = set().union(*rows)
    columns = []
    for field in schema:
        default = 0.0 if field.name == "duration_ms" else defaults.get(field.name)
        if field.name in given:
            values = [row.get(field.name, default) for row in rows]
            columns.append(pa.array(values, field.type))
        elif default is None:
            columns.append(pa.nulls(len(rows), field.type))
        else:
            columns.append(pa.repeat(pa.scalar(default, field.type), len(rows)))
    return pa.Table.from_arrays(columns, schema=schema)
