"""Rows of the ledger's tables, as far as they need no price."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rollups.ledger.billable import REASONS, Excluded
from rollups.ledger.calls import Calls
from rollups.ledger.columns import (
    NONE,
    Ints,
    Mask,
    from_integers,
    integers,
    known,
    one_chunk,
    ranks_of,
    take,
    texts_of,
)
from rollups.ledger.runs import Runs
from rollups.ledger.spans import Spans
from rollups.ledger.steps import STEP_SOURCES, Steps

Columns = dict[str, pa.Array]

AGGREGATE_OPERATION: Final = "aggregate"
"""Operation of a call that is booked from a run total."""
_UNNAMED_OPERATION: Final = "chat"
_OF_ANY_MEMBER: Final = (
    "provider",
    "request_model",
    "response_model",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "cache_read_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
    "usage_convention",
    "reported_cost_usd",
    "time_to_first_token_ms",
    "finish_reason",
    "response_id",
    "dialect",
    "input_hash",
    "system_prompt_hash",
    "system_prompt_bytes",
    "web_search_requests",
    "service_tier",
    "processing",
    "speed",
    "deployment",
    "region",
)
_OF_STANDING: Final = (
    "timestamp",
    "trace_id",
    "span_id",
    "service_name",
    "sampling_weight",
)
_OF_TOOL: Final = (
    "timestamp",
    "trace_id",
    "span_id",
    "tool_name",
    "tool_call_id",
    "arguments_hash",
    "result_hash",
    "result_bytes",
    "result_tokens",
    "documents",
    "document_bytes",
    "largest_document_bytes",
    "median_document_bytes",
)
_OF_EXCLUDED: Final = (
    "timestamp",
    "trace_id",
    "span_id",
    "name",
    "scope_name",
    "input_tokens",
    "output_tokens",
)
_NANOS_PER_MILLISECOND: Final = 1e6


def merged(spans: Spans, calls: Calls, name: str) -> pa.Array:
    """Return a column of the calls: of the most detailed member that knows it."""
    column = one_chunk(spans.table, name)
    if len(calls.several) and 0 < column.null_count < len(column):
        return spans.pick(name, calls.best(known(column)[spans.rows]))
    return spans.pick(name, calls.counted)


def _merged_all(spans: Spans, calls: Calls) -> Columns:
    if not len(calls.several):
        return spans.pick_all(_OF_ANY_MEMBER, calls.counted)
    return {name: merged(spans, calls, name) for name in _OF_ANY_MEMBER}


def operations(spans: Spans, calls: Calls) -> pa.Array:
    """Return the calls' operations; `AGGREGATE_OPERATION` marks booked totals."""
    operation = pc.fill_null(merged(spans, calls, "operation"), _UNNAMED_OPERATION)
    if not calls.total.any():
        return operation
    return pc.if_else(pa.array(calls.total), AGGREGATE_OPERATION, operation)


def durations_ms(spans: Spans, places: Ints) -> pa.Array:
    """Return end minus start in milliseconds."""
    nanos = spans.numbers("end_unix_nano") - spans.numbers("start_unix_nano")
    return pa.array(nanos[places] / _NANOS_PER_MILLISECOND)


def errors(error_type: pa.Array, failed: Mask) -> pa.Array:
    """Return the error types of failed rows, null for the others."""
    if not failed.any():
        return pa.nulls(len(failed), pa.string())
    return pc.if_else(pa.array(failed), error_type, pa.scalar(None, pa.string()))


def call_rows(
    spans: Spans, calls: Calls, *, steps: Steps, failed: Mask, operation: pa.Array
) -> Columns:
    """Return the columns of calls that spans tell, identity and run apart."""
    counted = spans.flags("has_usage")[calls.counted]
    columns = _merged_all(spans, calls)
    streamed = spans.flags("streaming")
    columns |= spans.pick_all(_OF_STANDING, calls.span)
    return columns | {
        "usage_span_id": spans.pick("span_id", np.where(counted, calls.counted, NONE)),
        "step": from_integers(steps.step, pa.int32(), null=steps.step == NONE),
        "step_source": take(texts_of(STEP_SOURCES), steps.source),
        "attempt": pa.array(steps.attempt).cast(pa.int32()),
        "operation": operation,
        "uncached_input_tokens": _uncached(columns),
        "cache_unknown": pa.array(_hides_cache(spans, calls, columns) & counted),
        "usage_incomplete": pa.array(_hides_calls(spans, calls) & counted),
        "duration_ms": durations_ms(spans, calls.span),
        "streaming": pc.or_kleene(
            merged(spans, calls, "streaming"), pa.array(streamed[calls.best(streamed)])
        ),
        "error_type": errors(merged(spans, calls, "error_type"), failed),
        "received_unix_nano": pa.array(calls.least(spans.received_unix_nano)),
    }


def _hides_cache(spans: Spans, calls: Calls, columns: Columns) -> Mask:
    """Return the calls of which no member's library tells what was cached."""
    blind = spans.flags("cache_unknown") | ~spans.flags("has_usage")
    told = known(columns["cache_read_tokens"]) & known(columns["cache_write_tokens"])
    return calls.all(blind) & ~told


def _hides_calls(spans: Spans, calls: Calls) -> Mask:
    """Return the calls that stand for several, of which they count one."""
    part = spans.flags("usage_incomplete")
    loops = part.copy()
    loops[_ran_tools(spans)] = True
    return ~calls.all(~loops) & ~calls.total | calls.all(part)


def _ran_tools(spans: Spans) -> Ints:
    """
    Return the calls that ran tools, so that they asked the model again.

    Google's SDK does so inside one call. A library that has an agent's span around the
    call has one for each request as well: there a tool began while the answer came.
    """
    caller = spans.tree.up[:-1][spans.words("span_role", ("tool",))]
    caller = np.unique(caller[caller < spans.size])
    caller = caller[spans.flags("is_call")[caller]]
    if not len(caller):
        return caller
    agent = spans.tree.nearest(spans.roles("agent"))[caller]
    scope = np.append(spans.codes("scope_name"), NONE)
    return caller[scope[agent] != scope[caller]]


def _uncached(columns: Columns) -> pa.Array:
    total = columns["input_tokens"]
    rest = np.maximum(integers(total), 0)
    for name in ("cache_read_tokens", "cache_write_tokens"):
        rest -= np.clip(integers(columns[name]), 0, rest)
    return from_integers(rest, pa.int64(), null=~known(total))


def tool_rows(spans: Spans, tools: Ints, *, failed: Mask) -> Columns:
    """
    Return the columns of tool calls that spans tell, identity and run apart.

    ``step`` is what the span declares.
    """
    columns = spans.pick_all(_OF_TOOL, tools)
    reported = known(columns["result_tokens"])
    step = spans.steps()[tools]
    return columns | {
        "step": from_integers(step, pa.int32(), null=step == NONE),
        "tool_type": spans.pick("span_role", tools),
        "duration_ms": durations_ms(spans, tools),
        "error_type": errors(spans.pick("error_type", tools), failed[tools]),
        "result_tokens_source": take(
            texts_of(("reported",)), np.where(reported, 0, NONE)
        ),
    }


def run_rows(spans: Spans, runs: Runs, *, failed: Mask) -> Columns:
    """Return the columns of runs that spans tell, identity and sums apart."""
    closed = runs.span != NONE
    parent = pa.array(runs.parent, mask=runs.parent == NONE)
    some = np.flatnonzero(runs.of_span != NONE)
    any_span = np.full(runs.size, NONE)
    any_span[runs.of_span[some]] = some
    own_failed = closed & np.append(failed, False)[runs.span]
    return {
        "timestamp": pa.array(runs.start_unix_micro).cast(pa.timestamp("us", tz="UTC")),
        "trace_id": spans.pick("trace_id", any_span),
        "run_id": runs.run_id,
        "parent_run_id": runs.run_id.take(parent),
        "started_by_span_id": spans.pick("span_id", _started_by(spans, runs)),
        "name": spans.pick("name", runs.span),
        "duration_ms": pa.array(runs.duration_nanos / _NANOS_PER_MILLISECOND),
        "closed": pa.array(closed),
        "error_type": errors(spans.pick("error_type", runs.span), own_failed),
    }


def _started_by(spans: Spans, runs: Runs) -> Ints:
    """Return the tool span of the parent's run that each run is inside, else `NONE`."""
    above = np.append(spans.tree.nearest_above(spans.roles("tool")), spans.size)
    tool = above[np.where(runs.span == NONE, spans.size, runs.span)]
    run = np.append(runs.of_span, NONE)[tool]
    return np.where((run == runs.parent) & (run != NONE), tool, NONE)


def excluded_rows(spans: Spans, excluded: Excluded) -> Columns:
    """Return the rows of ``excluded``, sorted by (trace_id, timestamp, span_id)."""
    table, row = spans.table, excluded.row
    columns = {name: take(one_chunk(table, name), row) for name in _OF_EXCLUDED}
    columns["reason"] = take(texts_of(REASONS), excluded.reason)
    columns["billed_trace_id"] = spans.pick("trace_id", excluded.billed)
    columns["billed_span_id"] = spans.pick("span_id", excluded.billed)
    order = np.lexsort(
        (
            ranks_of(columns["span_id"])[0],
            integers(columns["timestamp"]),
            ranks_of(columns["trace_id"])[0],
        )
    )
    return {name: take(column, order) for name, column in columns.items()}
