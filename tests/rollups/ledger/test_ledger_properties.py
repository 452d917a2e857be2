"""What holds of the ledger for any trees of spans, in any order."""

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_spans import agent, call, costs_of, span, table_of, tool

from rollups.ledger import draft_ledger, finish_ledger
from rollups.ledger.spans import read_spans

any_spans = settings(deadline=None, max_examples=60)
NAMES = ("a", "b", None)
TEXTS = st.sampled_from(NAMES)
COUNTS = st.integers(0, 3)
GATEWAY_ID = "chatcmpl-0b1f9f4e-6a5b-4c3d-8e2f-1a2b3c4d5e6f"
KINDS = {"agent": agent, "call": call, "tool": tool, "span": span}


@st.composite
def one_span(draw, number):
    kind = draw(st.sampled_from(["call", "call", "call", "agent", "tool", "span"]))
    values = {
        "trace": draw(st.integers(1, 3)),
        "at": draw(st.integers(0, 30)),
        "ms": draw(st.integers(0, 40)),
        "scope_name": draw(st.sampled_from(["x", "y", "z"])),
        "kind": draw(st.sampled_from(["INTERNAL", "INTERNAL", "LOG"])),
        "dialect": draw(TEXTS),
        "status_code": draw(st.sampled_from(["UNSET", "UNSET", "ERROR"])),
        "own_feature": draw(TEXTS),
        "own_agent_name": draw(TEXTS),
        "run_key": draw(st.sampled_from([None, None, "r"])),
        "step": draw(st.sampled_from([None, None, 0, 5])),
        "span_role": draw(
            st.sampled_from(["keep", "keep", "keep", "step", "workflow"])
        ),
        "system_prompt_hash": draw(TEXTS),
    }
    if values["span_role"] == "keep":
        del values["span_role"]
    if kind == "call":
        values["tokens"] = draw(st.none() | st.tuples(COUNTS, COUNTS))
        values["response_id"] = draw(
            st.sampled_from(
                [None, None, "short", "a-long-id", GATEWAY_ID, f"id-of-{number:05}"]
            )
        )
        values["cache_read_tokens"] = draw(st.none() | COUNTS)
        values["operation"] = draw(st.sampled_from(["chat", "chat", "embeddings"]))
        values["request_model"] = draw(st.sampled_from(["gpt", "unknown"]))
    else:
        values["has_usage"] = draw(st.booleans())
        values["input_tokens"] = draw(st.none() | COUNTS)
    # A parent may be missing, in another trace, the span itself or below it.
    parent = draw(st.none() | st.integers(0, number + 4))
    return KINDS[kind](draw(st.integers(0, number)), parent, **values)


@st.composite
def span_lists(draw):
    return [draw(one_span(number)) for number in range(draw(st.integers(0, 14)))]


def ledger_of(spans):
    draft = draft_ledger(table_of(spans))
    return finish_ledger(draft, costs_of(draft.calls))


def rows_of(ledger):
    return [table.to_pylist() for table in ledger]


@any_spans
@given(span_lists(), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_changes_the_ledger(spans, random):
    again = spans + [random.choice(spans) for _ in range(3) if spans]
    random.shuffle(again)

    assert rows_of(ledger_of(again)) == rows_of(ledger_of(spans))


@any_spans
@given(span_lists())
def test_each_span_with_usage_is_billed_or_excluded_once(spans):
    table = table_of(spans)
    draft = draft_ledger(table)

    read = read_spans(table)
    winners = table.take(pa.array(read.rows)).filter(pa.array(read.flags("has_usage")))
    bearing = keys(winners)
    calls = keys(draft.calls)
    note = pc.equal(draft.excluded["reason"], "retransmitted")
    excluded = keys(draft.excluded.filter(pc.invert(note)))
    older = keys(draft.excluded.filter(note))

    assert len(set(calls)) == len(calls)
    assert len(set(excluded)) == len(excluded)
    assert not set(calls) & set(excluded)
    assert set(bearing) <= set(calls) | set(excluded)
    assert set(excluded) <= set(bearing)
    assert set(older) <= set(calls)


def keys(table):
    pairs = zip(
        table["trace_id"].to_pylist(), table["span_id"].to_pylist(), strict=True
    )
    return list(pairs)


@any_spans
@given(span_lists())
def test_what_is_billed_instead_is_a_call(spans):
    draft = draft_ledger(table_of(spans))

    calls = set(keys(draft.calls))
    for row in draft.excluded.to_pylist():
        if row["billed_span_id"] is not None:
            assert (row["billed_trace_id"], row["billed_span_id"]) in calls


@any_spans
@given(span_lists())
def test_runs_add_up_to_their_calls_and_trees_to_their_runs(spans):
    ledger = ledger_of(spans)

    calls, runs = ledger.calls.to_pylist(), ledger.runs.to_pylist()
    own = {}
    for row in calls:
        own.setdefault((row["trace_id"], row["run_id"]), []).append(row["cost_usd"])
    children = {}
    for run in runs:
        above = (run["trace_id"], run["parent_run_id"])
        children.setdefault(above, []).append(run["subtree_cost_usd"])

    assert len({(run["trace_id"], run["run_id"]) for run in runs}) == len(runs)
    for run in runs:
        key = (run["trace_id"], run["run_id"])
        assert run["cost_usd"] == known_sum(own.pop(key, []))
        below = children.get(key, [])
        assert run["subtree_cost_usd"] == known_sum([run["cost_usd"], *below])
    assert own == {}


def known_sum(costs):
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None


@any_spans
@given(span_lists())
def test_counts_are_never_negative_and_input_splits_into_its_parts(spans):
    for row in draft_ledger(table_of(spans)).calls.to_pylist():
        if row["input_tokens"] is not None:
            cached = (row["cache_read_tokens"] or 0) + (row["cache_write_tokens"] or 0)
            assert row["uncached_input_tokens"] == max(row["input_tokens"] - cached, 0)


@any_spans
@given(span_lists())
def test_a_trace_alone_has_the_rows_it_has_among_others(spans):
    spans = [one | {"response_id": None} for one in spans]
    whole = ledger_of(spans)

    for trace in sorted({one["trace_id"] for one in spans}):
        alone = ledger_of([one for one in spans if one["trace_id"] == trace])
        for part, table in zip(alone, whole, strict=True):
            chosen = table.filter(pc.equal(table["trace_id"], trace))
            assert part.to_pylist() == chosen.to_pylist()
