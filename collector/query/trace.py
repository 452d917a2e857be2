"""One trace as a waterfall: its spans as a tree, with time and cost."""

from decimal import Decimal
from typing import Any, Final, NamedTuple

import pyarrow as pa

from collector.errors import QueryError
from collector.query.again import asking_again
from collector.query.context_curve import aligned, count, dollars, draw_contexts
from collector.query.formats import plain_rows, printable
from collector.query.sql import fetch
from collector.query.texts import query_text
from collector.query.views import Lake, open_lake

_MILLISECOND: Final = 1_000_000
_NAME_WIDTH: Final = 48
_BAR_WIDTH: Final = 28

TRACE_SCHEMA: Final = pa.schema(
    [
        ("depth", pa.int32()),
        ("name", pa.string()),
        ("span_id", pa.string()),
        ("parent_span_id", pa.string()),
        ("service_name", pa.string()),
        ("operation", pa.string()),
        ("start_ms", pa.float64()),
        ("duration_ms", pa.float64()),
        ("step", pa.int32()),
        ("input_tokens", pa.int64()),
        ("cache_read_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("cost_usd", pa.decimal128(18, 12)),
        ("subtree_cost_usd", pa.decimal128(38, 12)),
        ("cost_status", pa.string()),
        ("note", pa.string()),
        ("chain_id", pa.string()),
        ("new_tokens", pa.int64()),
        ("resent_tokens", pa.int64()),
        ("resent_usd", pa.decimal128(18, 12)),
        ("tool_name", pa.string()),
        ("result_tokens", pa.int64()),
        ("carried_tokens", pa.int64()),
        ("first_sent_usd", pa.decimal128(38, 12)),
        ("carried_usd", pa.decimal128(38, 12)),
    ]
)
"""A span each, parents before children; ``start_ms`` counts from the trace's start."""


class Trace(NamedTuple):
    """The spans of a trace as a tree, in rows of `TRACE_SCHEMA`."""

    trace_id: str
    table: pa.Table

    def document(self) -> dict[str, Any]:
        """Return the trace as JSON has it."""
        return {"trace_id": self.trace_id, "spans": plain_rows(self.table)}


@asking_again
def read_trace(lake: Lake, trace_id: str, *, memory_limit: str | None = None) -> Trace:
    """
    Read one trace.

    Args:
        lake: Where its spans are.

        trace_id: 32 hex digits, in either case.

        memory_limit: In DuckDB's words.

    Raises:
        QueryError: There is no such trace, or the lake cannot be read.
    """
    key = trace_id.strip().lower()
    with open_lake(
        lake,
        needed=("spans", "calls", "tool_calls", "excluded"),
        memory_limit=memory_limit,
    ) as connection:
        found = fetch(
            connection, query_text("trace_spans"), parameters={"trace_id": key}
        )
    if not found.num_rows:
        message = f"trace {key}: no span in the lake"
        raise QueryError(message)
    rows = [_row(span, depth, subtree) for span, depth, subtree in _tree(found)]
    first = min(row["start_ms"] for row in rows)
    for row in rows:
        row["start_ms"] = (row["start_ms"] - first) / _MILLISECOND
    return Trace(key, pa.Table.from_pylist(rows, schema=TRACE_SCHEMA))


def _tree(found: pa.Table) -> list[tuple[dict[str, Any], int, Decimal | None]]:
    """Return spans with depth and cost of their subtree, parents before children."""
    spans = found.to_pylist()
    by_id = {span["span_id"]: span for span in spans}
    children: dict[str | None, list[dict[str, Any]]] = {}
    for span in spans:
        parent = span["parent_span_id"]
        children.setdefault(parent if parent in by_id else None, []).append(span)
    order: list[tuple[dict[str, Any], int]] = []
    seen: set[str] = set()
    # what is left after the roots hangs on itself: parents in a circle
    for root in [*children.get(None, []), *spans]:
        stack = [(root, 0)]
        while stack:
            span, depth = stack.pop()
            if span["span_id"] in seen:
                continue
            seen.add(span["span_id"])
            order.append((span, depth))
            below = children.get(span["span_id"], [])
            stack += [(child, depth + 1) for child in reversed(below)]
    return _with_subtrees(order)


def _with_subtrees(
    order: list[tuple[dict[str, Any], int]],
) -> list[tuple[dict[str, Any], int, Decimal | None]]:
    costs: list[Decimal | None] = []
    open_levels: list[Decimal | None] = []
    for span, depth in reversed(order):
        below = open_levels[depth + 1] if len(open_levels) > depth + 1 else None
        own = _add(span["cost_usd"], below)
        del open_levels[depth + 1 :]
        open_levels += [None] * (depth + 1 - len(open_levels))
        open_levels[depth] = _add(open_levels[depth], own)
        costs.append(own)
    return [
        (span, depth, cost)
        for (span, depth), cost in zip(order, reversed(costs), strict=True)
    ]


def _add(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


def _row(span: dict[str, Any], depth: int, subtree: Decimal | None) -> dict[str, Any]:
    duration = (span["end_unix_nano"] - span["start_unix_nano"]) / _MILLISECOND
    return {
        **{name: span[name] for name in TRACE_SCHEMA.names if name in span},
        "depth": depth,
        "start_ms": span["start_unix_nano"],
        "duration_ms": duration,
        "subtree_cost_usd": subtree,
        "note": _note(span),
    }


def _note(span: dict[str, Any]) -> str | None:
    said = []
    if span["excluded_reason"]:
        said.append(_not_billed(span["excluded_reason"], span["billed_span_id"]))
    if span["cost_reason"]:
        said.append(f"{span['cost_status']}: {span['cost_reason']}")
    if span["error_type"] or span["status_code"] == "ERROR":
        said.append(f"error: {span['error_type'] or 'unknown'}")
    return "; ".join(said) or None


def _not_billed(reason: str, billed_span_id: str | None) -> str:
    is_copy = billed_span_id and reason != "aggregate"
    return f"not billed: {reason}" + (f" of {billed_span_id}" if is_copy else "")


def draw_trace(trace: Trace) -> str:
    """Return the waterfall as text for people, one line per span."""
    rows = trace.table.to_pylist()
    whole_ms = max(row["start_ms"] + row["duration_ms"] for row in rows)
    calls = [row for row in rows if row["cost_status"]]
    known = [row["cost_usd"] for row in calls if row["cost_usd"] is not None]
    head = (
        f"trace {trace.trace_id}: {len(rows)} spans, {len(calls)} calls,"
        f" {_duration(whole_ms)}, ${format(sum(known, Decimal(0)), 'f')}"
    )
    if len(known) < len(calls):
        head += f", {len(calls) - len(known)} calls without a price"
    cells = [_line(row, whole_ms) for row in rows]
    title = ("span", "", "time", "input", "cached", "output", "cost_usd", "subtree", "")
    lines = [head, "", *aligned([title, *cells], left={0, 1, len(title) - 1})]
    return "\n".join([*lines, *draw_contexts(rows)]) + "\n"


def _line(row: dict[str, Any], whole_ms: float) -> tuple[str, ...]:
    name = printable("  " * row["depth"] + row["name"])
    if len(name) > _NAME_WIDTH:
        name = name[: _NAME_WIDTH - 1] + "…"
    is_leaf = row["subtree_cost_usd"] == row["cost_usd"]
    return (
        name,
        _bar(row["start_ms"], row["duration_ms"], whole_ms),
        _duration(row["duration_ms"]),
        count(row["input_tokens"]),
        count(row["cache_read_tokens"]),
        count(row["output_tokens"]),
        dollars(row["cost_usd"]),
        "" if is_leaf else dollars(row["subtree_cost_usd"]),
        printable(row["note"] or ""),
    )


def _bar(start_ms: float, duration_ms: float, whole_ms: float) -> str:
    scale = _BAR_WIDTH / whole_ms if whole_ms > 0 else 0.0
    first = min(int(start_ms * scale), _BAR_WIDTH - 1)
    length = max(1, min(round(duration_ms * scale), _BAR_WIDTH - first))
    return f"|{' ' * first}{'█' * length}".ljust(_BAR_WIDTH + 1) + "|"


def _duration(milliseconds: float) -> str:
    if milliseconds < 1000:
        return f"{milliseconds:.3g} ms"
    return f"{milliseconds / 1000:.3f} s"
