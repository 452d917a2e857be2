"""The columnar detector does what the plain one does, on the calls so far."""

import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from growth_reference import judge_chain
from growth_rows import (
    Tables,
    call_row,
    call_table,
    read_runs,
    tables_of,
    tool_row,
    tool_table,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from rollups.growth import judge_chains

RUNS = read_runs(Path(__file__).parents[2] / "fixtures" / "growth" / "runs.jsonl.gz")
KEY = ("trace_id", "run_id", "chain_id")


def key_of(row):
    return tuple(row[name] for name in KEY)


def assert_as_reference(tables):
    verdicts = judge_chains(*tables)
    calls, tools = defaultdict(list), defaultdict(list)
    for row in tables.calls.to_pylist():
        calls[key_of(row)].append(row)
    for row in tables.tool_calls.to_pylist():
        tools[key_of(row)].append(row)
    filled = {
        (key_of(row), row["span_id"]): row for row in verdicts.tool_calls.to_pylist()
    }
    chains = verdicts.chains.to_pylist()
    assert [key_of(row) for row in chains] == sorted(calls)
    for chain in chains:
        expected, results = judge_chain(calls[key_of(chain)], tools[key_of(chain)])
        assert_same_verdict(chain, expected, len(results))
        for result in results:
            assert_same_carry(filled[key_of(chain), result["span_id"]], result)


def assert_same_verdict(chain, expected, results):
    for name, value in expected.items():
        if isinstance(value, float) and name != "waste_tokens":
            assert math.isclose(chain[name], value, rel_tol=1e-7, abs_tol=1e-7), name
        elif name == "waste_tokens":
            assert abs(chain[name] - value) <= results + 1
        else:
            assert chain[name] == value, name


def assert_same_carry(row, result):
    assert row["result_tokens"] == result["result_tokens"]
    assert row["result_tokens_source"] == result["source"]
    assert row["carried_steps"] == result["carried_steps"]
    assert abs(row["carried_tokens"] - result["carried_tokens"]) <= 1


@pytest.mark.parametrize("run", RUNS, ids=[run["run_id"] for run in RUNS])
def test_recorded_runs_are_judged_as_by_the_reference(run):
    assert_as_reference(tables_of([run]))


def test_many_runs_at_once_are_judged_as_one_by_one():
    together = judge_chains(*tables_of(RUNS))

    apart = [judge_chains(*tables_of([run])) for run in RUNS]

    chains = pa.concat_tables([verdicts.chains for verdicts in apart])
    tools = pa.concat_tables([verdicts.tool_calls for verdicts in apart])
    assert together.chains.equals(chains.sort_by([(name, "ascending") for name in KEY]))
    assert together.tool_calls.equals(tools)


@settings(max_examples=20)
@given(st.sampled_from(RUNS), st.randoms(use_true_random=False), st.data())
def test_calls_so_far_in_any_order_are_judged_as_by_the_reference(run, random, data):
    steps = sorted(run["steps"], key=lambda step: (step.get("ts", 0), step["i"] or 0))
    made = data.draw(st.integers(1, len(steps)))
    calls, tools = tables_of([run | {"steps": steps[:made]}])

    shuffled = Tables(*(shuffle(table, random) for table in (calls, tools)))

    assert_as_reference(shuffled)
    verdicts, again = judge_chains(calls, tools), judge_chains(*shuffled)
    assert verdicts.chains.equals(again.chains)
    assert by_span(verdicts.tool_calls).equals(by_span(again.tool_calls))


def shuffle(table, random):
    order = list(range(table.num_rows))
    random.shuffle(order)
    return table.take(np.array(order, dtype=np.int64))


def by_span(table):
    return table.sort_by([("trace_id", "ascending"), ("span_id", "ascending")])


counts = st.one_of(
    st.integers(0, 60_000), st.sampled_from([1000, 1001, 1500, 2000, 5000, 30_000])
)
names = st.sampled_from(["a", "b"])
results = st.fixed_dictionaries(
    {
        "tool_name": names,
        "arguments_hash": st.one_of(st.none(), names),
        "result_hash": st.one_of(st.none(), names),
        "result_tokens": st.one_of(st.none(), st.integers(0, 20_000)),
        "result_bytes": st.one_of(st.none(), st.integers(0, 80_000)),
    }
)
moves = st.fixed_dictionaries(
    {
        "grow": st.one_of(st.integers(-3000, 6000), st.just(0), counts),
        "reset": st.sampled_from([False] * 9 + [True]),
        "out": st.integers(0, 900),
        "cached": st.integers(0, 10),
        "failed": st.sampled_from([False] * 9 + [True]),
        "declared": st.booleans(),
        "tools": st.lists(results, max_size=3),
    }
)


def tables_from(plan):
    calls, tools, size, step = [], [], 1000, 0
    for place, move in enumerate(plan):
        size = max(0, move["grow"] if move["reset"] else size + move["grow"])
        step += move["grow"] != 0
        recorded = {
            "i": step if move["declared"] else None,
            "c": "main",
            "ts": 1_760_000_000 + place,
            "in": size,
            "out": move["out"],
            "cr": size * move["cached"] // 10,
            "cw": size * (10 - move["cached"]) // 20,
            "status": "error" if move["failed"] else "ok",
        }
        calls.append(call_row("run", place, recorded))
        for at, result in enumerate(move["tools"]):
            tools.append(tool_row(calls[-1], at, tool_name="?") | result)
    return Tables(call_table(calls), tool_table(tools))


@given(st.lists(moves, max_size=40))
def test_any_chain_is_judged_as_by_the_reference(plan):
    assert_as_reference(tables_from(plan))


@given(
    st.integers(8, 30),
    st.integers(300, 3000),
    st.integers(0, 900),
    st.integers(0, 2**30),
)
def test_interleaved_chains_are_judged_as_by_the_reference(n, side, grow, noise):
    plan = []
    for place in range(n):
        wobble = noise * (place + 1) % 97
        size = side + wobble if place % 2 else 4 * side + grow * place + wobble
        plan.append(
            {
                "grow": size,
                "reset": True,
                "out": 50,
                "cached": 0,
                "failed": False,
                "declared": False,
                "tools": [],
            }
        )

    assert_as_reference(tables_from(plan))
