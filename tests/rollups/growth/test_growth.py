"""Exponent, verdict, shape and jumps of a context that grows or does not."""

import itertools

import pytest
from growth_rows import one_chain
from hypothesis import given, settings
from hypothesis import strategies as st

from rollups.growth import judge_chains


def judge(sizes, results=(), **options):
    return judge_chains(*one_chain(sizes, results, **options)).chains.to_pylist()[0]


def appended(sizes):
    """Return tool results that explain every rise."""
    return [
        {"at": at, "result_tokens": max(0, after - before)}
        for at, (before, after) in enumerate(itertools.pairwise(sizes))
    ]


@settings(max_examples=30)
@given(st.integers(6, 80), st.integers(100, 3000), st.integers(0, 10_000))
def test_a_line_has_exponent_two_whatever_its_length_and_floor(calls, slope, floor):
    row = judge([floor + slope * call for call in range(calls)])

    assert row["growth_exponent"] == pytest.approx(2)
    assert row["slope_tokens_per_step"] == pytest.approx(slope)
    assert row["growth_r2"] == pytest.approx(1)


def test_a_context_that_adds_a_result_per_step_is_quadratic_and_accreting():
    row = judge([2000 + 700 * call for call in range(12)])

    assert (row["quadratic"], row["growth_shape"]) == (True, "accreting")


def test_a_context_that_grows_as_the_square_is_superlinear():
    row = judge([2000 + 90 * call**2 for call in range(16)])

    assert (row["quadratic"], row["growth_shape"]) == (True, "superlinear")
    assert row["growth_exponent"] == pytest.approx(3, abs=0.15)


def test_a_context_that_stays_is_flat_with_exponent_one():
    row = judge([5000] * 20)

    assert (row["quadratic"], row["growth_shape"]) == (False, "flat")
    assert row["growth_exponent"] == 1
    assert row["severity"] == "none"


def test_five_calls_are_too_few_for_a_verdict():
    row = judge([1000 * call for call in range(1, 6)])

    assert (row["quadratic"], row["growth_shape"]) == (False, "insufficient")


@pytest.mark.parametrize("calls", [12, 20, 40])
def test_a_ramp_that_levels_off_by_the_middle_is_bounded(calls):
    sizes = [2000 + 1000 * min(call, calls // 2 - 1) for call in range(calls)]

    row = judge(sizes)

    assert (row["quadratic"], row["growth_shape"]) == (False, "bounded")


def test_a_short_ramp_that_levels_off_early_has_a_low_exponent():
    row = judge([1000, 3000, *[5000] * 6])

    assert row["growth_exponent"] == pytest.approx(110 / 85)
    assert row["quadratic"] is False


@pytest.mark.parametrize(
    ("added", "window"),
    [
        ([2, 9, 1, 8, 3, 5, 9, 2, 10, 4, 9, 7, 11, 5], 4),
        ([5, 1.4, 2.8, 3.2, 10.6, 3, 6.4, 9.8, 8.2, 8.6, 7, 5.4, 10.8, 11.2], 5),
    ],
    ids=["keeps little", "falls often"],
)
def test_a_sliding_window_of_growing_results_is_not_quadratic(added, window):
    added = [int(100 * hundreds) for hundreds in added]
    sizes = [1000 + sum(added[max(0, at - window) : at]) for at in range(len(added))]
    results = [{"at": at, "result_tokens": size} for at, size in enumerate(added)]

    assert judge(sizes, results[:-1])["quadratic"] is False
    assert judge(sizes)["quadratic"] is True


def test_a_context_that_drops_most_of_what_is_appended_is_not_quadratic():
    sizes = [1000, 1125, 1250, 250, 375, 500, 625, 750, 875]
    sizes += [1375, 375, 875, 1375, 1875, 2375, 2875]
    results = [{"at": at, "result_tokens": 500} for at in range(15)]

    assert judge(sizes, results)["quadratic"] is False
    assert judge(sizes)["quadratic"] is True


def test_compactions_make_a_sawtooth():
    row = judge([2000 + 2000 * (call % 8) for call in range(32)])

    assert (row["quadratic"], row["growth_shape"]) == (False, "sawtooth")


def test_growth_beside_jumps_is_seen_without_them():
    sizes = [1000 + 300 * call + 40_000 * (call >= 4) for call in range(14)]

    row = judge(sizes, appended(sizes))

    assert row["jump_steps"] == [5]
    assert row["quadratic"] is True
    assert row["slope_tokens_per_step"] == pytest.approx(286, abs=15)


def test_a_result_for_one_call_is_a_jump_and_no_growth():
    sizes = [3000, 3000, 3000, 23_000, 3000, 3000, 3000, 3000]

    row = judge(sizes, appended(sizes))

    assert row["jump_steps"] == [4]
    assert row["slope_tokens_per_step"] == 0
    assert row["growth_shape"] == "flat"


def test_a_result_that_stays_gives_the_shape_jump():
    sizes = [3000, 3000, 3000, *[23_000] * 5]

    assert judge(sizes, appended(sizes))["growth_shape"] == "jump"


def test_what_is_usual_in_a_chain_is_no_jump_even_if_it_comes_first():
    sizes = [4000 + 3500 * call for call in range(10)]

    assert judge(sizes[:2], appended(sizes[:2]))["jump_steps"] == [2]
    assert judge(sizes, appended(sizes))["jump_steps"] == []


def test_a_rise_that_no_result_explains_must_be_tall_to_be_a_jump():
    low = [6000, 6100, 6200, 11_000, 11_100, 11_200]
    tall = [6000, 6100, 6200, 21_000, 21_100, 21_200]

    assert judge(low)["jump_steps"] == []
    assert judge(low, appended(low))["jump_steps"] == [4]
    assert judge(tall)["jump_steps"] == [4]


def test_the_jump_is_charged_to_the_largest_result_of_the_largest_jump():
    sizes = [1000, 1100, 11_000, 11_100, 51_000, 51_100]
    results = [
        {"at": 1, "tool_name": "small", "result_tokens": 9900},
        {"at": 3, "tool_name": "part", "result_tokens": 9900},
        {"at": 3, "tool_name": "most", "result_tokens": 30_000},
    ]

    row = judge(sizes, results)

    assert (row["jump_steps"], row["jump_tool"]) == ([3, 5], "most")


def test_a_window_that_drifts_upwards_is_not_quadratic():
    added = [60, 90, 60, 110, 60, 90, 400, 80, 350, 60, 420, 90, 800, 120]
    sizes = [3500 + sum(added[max(0, at - 3) : at]) for at in range(len(added))]
    results = [{"at": at, "result_tokens": size} for at, size in enumerate(added)]

    (row,) = judge_chains(*one_chain(sizes, results)).chains.to_pylist()

    assert row["quadratic"] is False


def test_a_history_that_loses_thoughts_now_and_then_still_grows():
    sizes = [2000, 2700, 3400, 4100, 4400, 5100, 5800, 5600, 6300, 7000, 6900, 7600]
    results = [{"at": at, "result_tokens": 700} for at in range(len(sizes))]

    (row,) = judge_chains(*one_chain(sizes, results)).chains.to_pylist()

    assert row["quadratic"] is True
