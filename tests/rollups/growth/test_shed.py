"""Contexts that drop what entered some calls before do not grow for long."""

import itertools

import pytest
from growth_rows import one_chain

from rollups.growth import judge_chains

LATER_ARE_LARGER = [60 + 55 * at + 40 * (7 * at % 5 - 2) for at in range(16)]


def windowed(added, window, kept=0):
    """Return prompts that hold the latest *window* of *added* and all of *kept*."""
    return [
        1000 + kept * at + sum(added[max(0, at - window) : at])
        for at in range(len(added) + 1)
    ]


def judged(sizes, added, out):
    results = [
        {"at": at, "result_tokens": size, "arguments_hash": f"{at}"}
        for at, size in enumerate(added)
    ]
    return judge_chains(*one_chain(sizes, results, out=out)).chains.to_pylist()[0]


@pytest.mark.parametrize("window", [2, 3, 4, 6, 7])
def test_a_window_is_recognised_by_what_it_drops(window):
    row = judged(windowed(LATER_ARE_LARGER, window), LATER_ARE_LARGER, out=0)

    assert row["quadratic"] is False


def test_a_history_whose_results_are_dropped_still_grows_by_its_answers():
    added = [300 + 40 * (7 * at % 5) for at in range(20)]

    row = judged(windowed(added, 4, kept=250), added, out=250)

    assert row["quadratic"] is True


def test_a_history_that_keeps_everything_is_no_window():
    sizes = list(itertools.accumulate(LATER_ARE_LARGER, initial=1000))

    row = judged(sizes, LATER_ARE_LARGER, out=0)

    assert row["quadratic"] is True


def test_falls_of_a_part_that_is_replaced_shed_nothing():
    state = [0, 900, -600, 700, -800, 500, -500, 900, -700, 600, -900, 800]
    sizes = [4000 + 450 * at + part for at, part in enumerate(state)]

    row = judged(sizes, [450] * 11, out=0)

    assert row["quadratic"] is True
