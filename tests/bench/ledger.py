"""
Make ledger rows on one core: ``python -P tests/bench/ledger.py [TRACES]``.

Prints one JSON line per stage. Each trace has an agent span with a feature, six or
seven chat spans and six tool spans, shuffled over all traces; calls, tokens and money
are checked before the clock starts and the first run is not counted. ``finish`` has
the growth detector in it, which is also timed alone. Seconds are the process's own,
so that a busy machine disturbs them less.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rollups.growth import judge_chains
from rollups.ledger import Draft, draft_ledger, finish_ledger, required_fields
from rollups.schema import COST_COLUMNS, call_schema

START_UNIX_NANO = 1_790_000_000_000_000_000
STEP_NANOS = 2_000_000_000
SLOTS = 14  # the agent, then chat and tool in turn; slot 13 is the seventh chat


def ids(values: np.ndarray, digits: int) -> pa.Array:
    text = np.char.mod(f"%0{digits}x", values)
    return pa.array(text.tolist(), pa.string())


def words(names: list[str], codes: np.ndarray) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(codes, mask=codes < 0))


def whole_traces(traces: int) -> pa.Table:
    """Return the shuffled spans of *traces* traces; every other one has 13 spans."""
    random = np.random.default_rng(7)
    trace, slot = np.divmod(np.arange(traces * SLOTS), SLOTS)
    present = (slot < SLOTS - 1) | (trace % 2 == 0)
    trace, slot = trace[present], slot[present]
    order = random.permutation(len(trace))
    trace, slot = trace[order], slot[order]
    is_agent, is_call = slot == 0, slot % 2 == 1
    is_tool = ~is_agent & ~is_call
    start = START_UNIX_NANO + trace * 10_000_000 + slot * STEP_NANOS
    end = np.where(is_agent, start + SLOTS * STEP_NANOS, start + STEP_NANOS // 2)
    key = trace * SLOTS + slot + 1
    role = np.select([is_agent, is_call], [0, 1], 2)
    tokens = 1000 + 700 * slot
    chosen: dict[str, pa.Array] = {
        "timestamp": pa.array(start // 1000).cast(pa.timestamp("us", tz="UTC")),
        "trace_id": ids(trace * 2_654_435_761 % 2**40, 32),
        "span_id": ids(key, 16),
        "parent_span_id": pc.if_else(
            pa.array(is_agent), None, ids(trace * SLOTS + 1, 16)
        ),
        "name": words(["invoke_agent triage", "chat gpt-5", "execute_tool s"], role),
        "status_code": words(["UNSET"], 0 * slot),
        "service_name": words(["desk", "shop"], trace % 2),
        "scope_name": words(["app"], 0 * slot),
        "span_role": words(["agent", "call", "tool"], role),
        "operation": words(["invoke_agent", "chat", "execute_tool"], role),
        "dialect": words(["otel-genai"], 0 * slot),
        "provider": words(["openai"], np.where(is_call, 0, -1)),
        "request_model": words(
            ["gpt-5", "gpt-5-mini"], np.where(is_call, trace % 2, -1)
        ),
        "response_model": words(["gpt-5-2025-08-07"], np.where(is_call, 0, -1)),
        "response_id": pc.if_else(pa.array(is_call), ids(key, 29), None),
        "finish_reason": words(
            ["stop", "tool_calls"], np.where(is_call, slot // 13, -1)
        ),
        "usage_convention": words(["inclusive"], np.where(is_call, 0, -1)),
        "tool_name": words(["search", "fetch"], np.where(is_tool, slot % 4 // 2, -1)),
        "tool_call_id": pc.if_else(pa.array(is_tool), ids(key, 24), None),
        "arguments_hash": pc.if_else(pa.array(is_tool), ids(key * 7, 16), None),
        "result_hash": pc.if_else(pa.array(is_tool), ids(key * 9, 16), None),
        "result_bytes": pa.array(slot * 100, mask=~is_tool),
        "own_feature": words(
            [f"feature {i}" for i in range(20)], np.where(is_agent, trace % 20, -1)
        ),
        "own_agent_name": words(["triage", "desk"], np.where(is_agent, trace % 2, -1)),
        "own_conversation_id": pc.if_else(pa.array(is_agent), ids(trace, 12), None),
        "start_unix_nano": pa.array(start),
        "end_unix_nano": pa.array(end),
        "received_unix_nano": pa.array(end),
        "input_tokens": pa.array(tokens, mask=~is_call),
        "cache_read_tokens": pa.array(tokens // 2, mask=~is_call),
        "output_tokens": pa.array(50 + slot, mask=~is_call),
        "is_call": pa.array(is_call),
        "has_usage": pa.array(is_call),
        "is_total": pa.array(np.zeros(len(slot), np.bool_)),
        "sampling_weight": pa.array(np.ones(len(slot))),
    }
    schema = required_fields()
    columns = [
        chosen.get(field.name, pa.nulls(len(slot), field.type)) for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def flat_costs(draft: Draft) -> pa.Table:
    """Return a cost of one micro-dollar per token, for want of a price book."""
    size = draft.calls.num_rows
    schema = call_schema()
    columns = {name: pa.nulls(size, schema.field(name).type) for name in COST_COLUMNS}
    tokens = draft.calls["input_tokens"].cast(pa.decimal128(19, 0))
    rate = pa.scalar("0.000001").cast(pa.decimal128(7, 6))
    cost = pc.multiply(tokens, rate).cast(pa.decimal128(18, 12))
    columns |= {"cost_usd": cost, "input_cost_usd": cost}
    columns["cost_status"] = pa.array(["priced"] * size)
    return pa.table(columns)


def best_seconds(work: Callable[[], object]) -> tuple[float, float]:
    work()
    seconds = []
    for _ in range(5):
        before = time.process_time()
        work()
        seconds.append(time.process_time() - before)
    return min(seconds), statistics.median(seconds)


def main(traces: int) -> None:
    pa.set_cpu_count(1)
    spans = whole_traces(traces)
    draft = draft_ledger(spans)
    costs = flat_costs(draft)
    ledger = finish_ledger(draft, costs)
    assert ledger.calls.num_rows == 6 * traces + (traces + 1) // 2
    assert ledger.runs.num_rows == traces
    assert pc.sum(ledger.calls["cost_usd"]) == pc.sum(ledger.runs["cost_usd"])
    assert pc.sum(ledger.calls["input_tokens"]) == pc.sum(spans["input_tokens"])
    stages: dict[str, Callable[[], object]] = {
        "draft": lambda: draft_ledger(spans),
        "finish": lambda: finish_ledger(draft, costs),
        "growth": lambda: judge_chains(ledger.calls, draft.tool_calls),
    }
    for stage, work in stages.items():
        best, median = best_seconds(work)
        line = {
            "stage": stage,
            "traces": traces,
            "spans": spans.num_rows,
            "best_us_per_span": round(best / spans.num_rows * 1e6, 3),
            "median_us_per_span": round(median / spans.num_rows * 1e6, 3),
            "pyarrow": pa.__version__,
            "numpy": np.__version__,
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 20_000)
