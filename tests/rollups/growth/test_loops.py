"""Loops are rounds of the same tool calls with the same results."""

import pytest
from growth_rows import one_chain

from rollups.growth import judge_chains


def judge(rounds, *, known=True):
    """Judge a flat chain whose calls ask for the (arguments, result) of *rounds*."""
    results = [
        {
            "at": at,
            "arguments_hash": arguments,
            "result_hash": result if known else None,
            "result_tokens": 50,
        }
        for at, (arguments, result) in enumerate(rounds)
        if arguments is not None
    ]
    tables = one_chain([1000] * (len(rounds) + 1), results, out=10)
    return judge_chains(*tables).chains.to_pylist()[0]


@pytest.mark.parametrize(
    ("rounds", "period"),
    [
        ("aaaa", 1),
        ("ababab", 2),
        ("abcabcabc", 3),
        ("abcdabcdabcd", 4),
        ("xyzaaaa", 1),
        ("aaa", None),
        ("ababa", None),
        ("abcabcab", 3),
        ("abcabca", None),
        ("abcdabcdabc", 4),
        ("abcdabcdab", None),
        ("abcdeabcdeabcde", None),
    ],
)
def test_a_loop_is_four_equal_calls_or_the_third_of_equal_rounds(rounds, period):
    row = judge([(letter, letter) for letter in rounds])

    assert (row["is_loop"], row["loop_period"]) == (period is not None, period)


@pytest.mark.parametrize(
    ("rounds", "start", "count"),
    [
        ("aaaa", 1, 4),
        ("xyaaaaaz", 3, 5),
        ("xababababa", 2, 4),
        ("aaaaxaaaaaa", 1, 6),
        ("abcabcab", 1, 3),
        ("abcabcabca", 1, 3),
    ],
)
def test_a_loop_is_told_with_its_first_round_and_how_many_there_were(
    rounds, start, count
):
    row = judge([(letter, letter) for letter in rounds])

    assert (row["loop_start"], row["loop_rounds"]) == (start, count)


def test_the_same_arguments_with_other_results_are_no_loop():
    row = judge([("poll", f"answer {at}") for at in range(12)])

    assert row["is_loop"] is False


def test_without_results_a_loop_takes_six_rounds():
    five, six = ([("a", None)] * rounds for rounds in (5, 6))

    assert judge(five, known=False)["is_loop"] is False
    assert judge(six, known=False)["is_loop"] is True


def test_unknown_arguments_are_not_equal_to_each_other():
    results = [{"at": at, "result_hash": "same"} for at in range(8)]

    row = judge_chains(*one_chain([1000] * 9, results)).chains.to_pylist()[0]

    assert row["is_loop"] is False


def test_a_call_without_tools_ends_a_round():
    letters = ["a", "a", "a", None, "a", "a", "a"]

    assert judge([(letter, letter) for letter in letters])["is_loop"] is False


def test_parallel_calls_are_equal_in_any_order():
    results = [
        {"at": at, "arguments_hash": name, "result_hash": name}
        for at in range(4)
        for name in ("ab" if at % 2 else "ba")
    ]

    row = judge_chains(*one_chain([1000] * 5, results)).chains.to_pylist()[0]

    assert (row["is_loop"], row["loop_period"]) == (True, 1)


def test_calls_after_the_second_round_are_wasted_and_a_loop_is_a_warning():
    row = judge([("a", "a")] * 5)

    assert row["waste_tokens"] == 3 * (1000 + 10)
    assert row["severity"] == "warning"
