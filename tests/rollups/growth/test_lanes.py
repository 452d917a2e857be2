"""Two conversations under one chain key are told apart by the size of their prompts."""

from growth_rows import one_chain

from rollups.growth import judge_chains


def judge(sizes, results=()):
    return judge_chains(*one_chain(sizes, results)).chains.to_pylist()[0]


def test_growth_is_seen_through_a_side_conversation():
    main = [4000 + 700 * call for call in range(10)]
    both = [size for call in main for size in (call, 900)]

    row = judge(both)

    assert (row["calls"], row["quadratic"]) == (20, True)
    assert row["growth_shape"] == "accreting"
    assert row["excess_tokens"] == sum(size - main[0] for size in main)


def test_the_lane_that_grows_speaks_for_the_chain():
    side = [900 + 500 * call for call in range(10)]
    both = [size for call in side for size in (60_000, call)]

    row = judge(both)

    assert row["growth_shape"] == "accreting"
    assert row["slope_tokens_per_step"] == 500


def test_jumps_of_both_lanes_stand_in_the_order_of_calls():
    main = [14_000, 14_100, 14_200, 64_200, 64_300, 64_400, 64_500]
    side = [900, 900, 900, 900, 900, 5000, 5000]

    row = judge([size for pair in zip(main, side, strict=True) for size in pair])

    assert row["jump_steps"] == [7, 12]


def test_a_jump_is_named_by_its_place_in_the_whole_chain():
    main = [4000, 4100, 4200, 64_200, 64_300, 64_400]
    both = [size for call in main for size in (call, 900)]

    assert judge(both)["jump_steps"] == [7]


def test_a_rise_inside_the_lower_lane_does_not_lead_to_the_upper_one():
    main = [9000 + 100 * call for call in range(8)]
    both = [size for call in main for size in (call, 900)]

    row = judge([*both, 1500])

    assert row["excess_tokens"] == sum(size - main[0] for size in main) + 600


def test_a_result_goes_into_the_next_prompt_of_its_own_conversation():
    main = [4000 + 700 * call for call in range(6)]
    both = [size for call in main for size in (call, 900)]
    tables = one_chain(both, [{"at": 0, "result_tokens": 700}])

    results = judge_chains(*tables).tool_calls

    assert results["carried_steps"].to_pylist() == [4]
    assert results["carried_tokens"].to_pylist() == [4 * 700]


def test_prompts_of_any_size_in_turn_are_one_conversation():
    row = judge([30_000, 21_000, 44_000, 26_000, 39_000, 20_000, 35_000, 28_000] * 2)

    assert row["excess_tokens"] == 2 * (14_000 + 9000 + 5000)


def test_a_sawtooth_is_one_conversation():
    assert judge([2000 + 2000 * (call % 6) for call in range(24)])["excess_tokens"] > 0
    assert judge([2000 + 2000 * (call % 6) for call in range(24)])["calls"] == 24
