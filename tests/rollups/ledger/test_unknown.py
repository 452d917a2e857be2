"""What libraries leave out is unknown in the ledger, not zero."""

import pytest
from ledger_spans import agent, call, table_of, tool

from rollups.ledger import draft_ledger

BLIND = {"cache_unknown": True, "usage_convention": "inclusive"}


def drafted(*spans):
    return draft_ledger(table_of(list(spans)))


def flags_of(*spans, name):
    return drafted(*spans).calls[name].to_pylist()


@pytest.mark.parametrize("known", [{}, {"cache_read_tokens": 30}])
def test_the_classes_of_input_add_up_also_where_a_cache_count_was_lost(known):
    row = drafted(call(1, **BLIND, **known)).calls.to_pylist()[0]

    parts = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens")
    assert row["cache_write_tokens"] is None
    assert sum(row[part] or 0 for part in parts) == row["input_tokens"] == 100


def test_a_twin_that_tells_the_cache_makes_it_known():
    blind = call(2, ms=20, response_id="resp_1", scope_name="framework", **BLIND)
    telling = call(3, 2, at=1, response_id="resp_1", scope_name="sdk")

    assert flags_of(blind, name="cache_unknown") == [True]
    assert flags_of(blind, telling, name="cache_unknown") == [False]


def test_counts_of_both_cache_parts_leave_nothing_unknown():
    told = call(1, **BLIND, cache_read_tokens=10, cache_write_tokens=0)

    assert flags_of(told, name="cache_unknown") == [False]


def test_a_call_without_usage_hides_no_cache():
    assert flags_of(call(1, tokens=None, **BLIND), name="cache_unknown") == [False]


def test_a_call_that_runs_tools_itself_counts_one_of_several_calls():
    alone = call(2, 1)
    looping = call(3, 1, at=50, ms=40, scope_name="sdk")

    spans = (agent(1), alone, looping, tool(4, 3, at=60), tool(5, 1, at=95))

    assert flags_of(*spans, name="usage_incomplete") == [False, True]


def test_a_tool_that_an_agent_library_runs_while_the_answer_comes_hides_no_call():
    streaming = call(2, 1, ms=40)

    spans = (agent(1), streaming, tool(3, 2, at=20, ms=30), call(4, 1, at=60))

    assert flags_of(*spans, name="usage_incomplete") == [False, False]


def test_a_run_total_is_complete_although_tools_ran_below_it():
    total = agent(1, has_usage=True, is_total=True, input_tokens=9, output_tokens=1)

    assert flags_of(total, tool(2, 1), name="usage_incomplete") == [False]


def test_a_total_of_one_of_several_calls_is_incomplete():
    total = agent(
        1, has_usage=True, is_total=True, input_tokens=9, usage_incomplete=True
    )

    assert flags_of(total, name="usage_incomplete") == [True]


def test_a_span_failed_if_normalising_says_why():
    refused = call(1, tokens=None, error_type="429", status_code="ERROR")
    wrapped = call(2, at=50, status_code="ERROR")

    errors = drafted(refused, wrapped).calls["error_type"].to_pylist()

    assert errors == ["429", None]
