"""Failed and repeated calls are off the curve and charged as waste."""

from decimal import Decimal

import pytest
from growth_rows import one_chain

from rollups.growth import judge_chains

FAILED = {"error_type": "timeout", "step": None, "step_source": None}


def judge(sizes, changes=None):
    tables = one_chain(sizes, out=10, changes=changes)
    return judge_chains(*tables).chains.to_pylist()[0]


def test_a_failed_call_is_wasted_and_not_counted():
    row = judge([1000, 2000, 2000, 3000], {1: FAILED | {"output_tokens": 0}})

    assert row["calls"] == 3
    assert row["waste_tokens"] == 2000
    assert row["excess_tokens"] == 1000 + 2000


def test_a_failed_call_that_was_not_billed_wastes_no_dollars():
    unbilled = FAILED | {"cost_status": "not_billed", "cost_usd": None}

    row = judge([1000, 2000, 2000], {1: unbilled})

    assert row["waste_usd"] == Decimal(0)


@pytest.mark.parametrize(
    "again",
    [{"step": 5}, {"input_hash": "same", "step_source": "order"}],
    ids=["the same declared step", "the same messages"],
)
def test_a_success_that_sends_the_same_again_is_a_repeat(again):
    row = judge([1000, 2000, 2000, 3000], {1: again, 2: again})

    assert (row["calls"], row["waste_tokens"]) == (3, 2010)


def test_a_success_after_failed_attempts_repeats_the_success_before_them():
    changes = {key: {"step_source": "order"} for key in range(5)} | {2: FAILED}

    row = judge([1000, 2000, 2000, 2000, 3000], changes)

    assert (row["calls"], row["waste_tokens"]) == (3, 2 * 2010)


def test_a_declared_next_step_is_no_repeat_of_the_one_before_a_failure():
    row = judge([1000, 2000, 2000, 2000, 3000], {2: FAILED})

    assert (row["calls"], row["waste_tokens"]) == (4, 2010)


def test_equal_sizes_alone_are_no_repeat():
    assert judge([1000] * 8)["calls"] == 8


def test_other_calls_of_one_step_are_no_repeats():
    row = judge([1000, 2000, 2500], {1: {"step": 5}, 2: {"step": 5}})

    assert (row["calls"], row["waste_tokens"]) == (3, 0)


def test_a_call_without_counts_is_a_call_but_no_point_of_the_curve():
    row = judge([1000, None, 61_000, 61_000, 61_000, 61_000])

    assert row["calls"] == 6
    assert row["jump_steps"] == [3]


def test_calls_at_the_same_time_stand_in_order_of_step_and_span():
    same_time = {at: {"timestamp": 1_760_000_000_000_000} for at in range(4)}
    sizes = [1000, 2000, 3000, 4000]
    calls, tools = one_chain(sizes, changes=same_time)

    forth = judge_chains(calls, tools).chains
    back = judge_chains(calls.take([3, 1, 0, 2]), tools).chains

    assert forth["resent_tokens"].to_pylist() == [1000 + 2000]
    assert forth.equals(back)
