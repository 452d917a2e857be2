"""Several agents in one trace: whose run a call is in, and what trees of runs cost."""

from decimal import Decimal
from itertools import permutations

import pytest
from ledger_spans import agent, call, costs_of, span, span_id_of, table_of, tool

from rollups.ledger import draft_ledger, finish_ledger


def ledger_of(*spans):
    draft = draft_ledger(table_of(list(spans)))
    return finish_ledger(draft, costs_of(draft.calls))


def runs_by_id(ledger):
    return {row["run_id"].lstrip("0"): row for row in ledger.runs.to_pylist()}


def calls_by_id(ledger):
    return {row["span_id"].lstrip("0"): row for row in ledger.calls.to_pylist()}


def usd(tokens):
    return Decimal(tokens).scaleb(-6)


def parallel_researchers():
    """Return a lead that calls, lets two agents work at the same time, and sums up."""
    return [
        agent(1, own_agent_name="lead"),
        call(10, 1, at=0, tokens=(100, 10)),
        agent(2, 1, at=20, ms=100, own_agent_name="web"),
        agent(3, 1, at=20, ms=100, own_agent_name="files"),
        call(20, 2, at=21, tokens=(1000, 10), ms=30),
        call(30, 3, at=22, tokens=(2000, 10), ms=30),
        call(21, 2, at=60, tokens=(1500, 10), ms=30),
        call(31, 3, at=61, tokens=(2500, 10), ms=30),
        call(11, 1, at=130, tokens=(400, 10)),
    ]


def test_agents_that_work_at_the_same_time_count_their_own_steps_and_dollars():
    ledger = ledger_of(*parallel_researchers())

    runs, calls = runs_by_id(ledger), calls_by_id(ledger)
    assert {key: row["parent_run_id"] for key, row in runs.items()} == {
        "1": None,
        "2": span_id_of(1),
        "3": span_id_of(1),
    }
    assert [calls[key]["step"] for key in ("20", "21", "30", "31")] == [0, 1, 0, 1]
    assert [runs[key]["cost_usd"] for key in "123"] == [usd(520), usd(2520), usd(4520)]
    assert runs["1"]["subtree_cost_usd"] == usd(520 + 2520 + 4520)


def test_agents_that_work_at_the_same_time_are_no_chain_together():
    calls = calls_by_id(ledger_of(*parallel_researchers()))

    chains = {key: calls[key]["chain_id"] for key in calls}
    assert len(set(chains.values())) == 3
    assert chains["20"] == chains["21"] != chains["30"] == chains["31"]


def test_the_order_in_which_spans_are_given_changes_no_run_of_nested_agents():
    spans = [
        agent(1),
        agent(2, 1, at=1),
        agent(3, 2, at=2),
        call(4, 3, at=3, tokens=(70, 7)),
        call(5, 2, at=20, tokens=(500, 5)),
    ]
    expected = ledger_of(*spans).runs.to_pylist()

    for given in permutations(spans):
        assert ledger_of(*given).runs.to_pylist() == expected


def test_an_agent_that_hands_over_below_a_workflow_is_a_run_beside_the_next():
    spans = [
        span(1, name="workflow", ms=500),
        agent(2, 1, at=0, ms=50, own_agent_name="triage"),
        call(3, 2, at=1, tokens=(100, 10)),
        span(4, 2, at=20, name="handoff"),
        agent(5, 1, at=60, ms=90, own_agent_name="billing"),
        call(6, 5, at=61, tokens=(900, 10)),
    ]

    ledger = ledger_of(*spans)

    runs = runs_by_id(ledger)
    assert {key: row["parent_run_id"] for key, row in runs.items()} == {
        "2": None,
        "5": None,
    }
    assert [row["agent_name"] for row in ledger.calls.to_pylist()] == [
        "triage",
        "billing",
    ]
    assert [runs[key]["subtree_cost_usd"] for key in "25"] == [usd(110), usd(910)]


def test_an_agent_that_is_handed_over_to_from_inside_adds_to_the_one_above():
    spans = [
        agent(1, own_agent_name="triage"),
        call(2, 1, at=1, tokens=(100, 10)),
        tool(3, 1, at=20, ms=200, tool_name="transfer_to_billing"),
        agent(4, 3, at=21, ms=100, own_agent_name="billing"),
        call(5, 4, at=22, tokens=(900, 10)),
    ]

    runs = runs_by_id(ledger_of(*spans))

    assert runs["4"]["parent_run_id"] == span_id_of(1)
    assert (runs["1"]["cost_usd"], runs["1"]["subtree_cost_usd"]) == (
        usd(110),
        usd(1020),
    )


def test_a_second_attempt_of_an_agent_in_one_trace_is_a_run_of_its_own():
    spans = [
        span(1, name="job", ms=900),
        agent(2, 1, at=0, ms=50, own_agent_name="triage", error_type="timeout"),
        call(3, 2, at=1, tokens=(100, 10)),
        call(4, 2, at=20, tokens=None, error_type="timeout"),
        agent(5, 1, at=100, ms=90, own_agent_name="triage"),
        call(6, 5, at=101, tokens=(100, 10)),
        call(7, 5, at=120, tokens=(300, 10)),
    ]

    ledger = ledger_of(*spans)

    runs, calls = runs_by_id(ledger), calls_by_id(ledger)
    assert [(runs[key]["calls"], runs[key]["failed_calls"]) for key in "25"] == [
        (2, 1),
        (2, 0),
    ]
    assert [runs[key]["error_type"] for key in "25"] == ["timeout", None]
    assert [calls[key]["step"] for key in "67"] == [0, 1]
    assert calls["6"]["attempt"] == 1
    assert [runs[key]["cost_usd"] for key in "25"] == [usd(110), usd(420)]


def test_agents_without_spans_are_chains_of_the_traces_run_and_add_up_there():
    turns = ["planner", "worker", "planner", "worker"]
    spans = [
        call(2 + k, at=20 * k, own_agent_name=name, tokens=(100 * k + 100, 0))
        for k, name in enumerate(turns)
    ]

    ledger = ledger_of(*spans)

    (run,) = ledger.runs.to_pylist()
    assert run["parent_run_id"] is None
    assert run["cost_usd"] == run["subtree_cost_usd"] == usd(1000)
    rows = ledger.calls.to_pylist()
    assert [row["agent_name"] for row in rows] == turns
    assert len({row["chain_id"] for row in rows}) == 2


@pytest.mark.parametrize("depth", [2, 5, 40])
def test_dollars_go_up_through_every_run_above(depth):
    spans = []
    for level in range(depth):
        above = level or None
        spans.append(agent(level + 1, above, at=level))
        spans.append(call(1000 + level, level + 1, at=500 + level, tokens=(10, 0)))

    runs = runs_by_id(ledger_of(*spans))

    assert [runs[str(level + 1)]["subtree_cost_usd"] for level in range(depth)] == [
        usd(10 * (depth - level)) for level in range(depth)
    ]


def test_what_has_no_price_below_is_missing_in_the_sum_and_told_where_it_is():
    spans = [
        agent(1),
        call(2, 1, at=1, tokens=(100, 0)),
        agent(3, 1, at=20),
        call(4, 3, at=21, tokens=(900, 0), request_model="unknown"),
    ]

    runs = runs_by_id(ledger_of(*spans))

    assert (runs["3"]["cost_usd"], runs["3"]["subtree_cost_usd"]) == (None, None)
    assert runs["1"]["subtree_cost_usd"] == usd(100)
    assert (runs["1"]["coverage"], runs["3"]["coverage"]) == (1.0, 0.0)
