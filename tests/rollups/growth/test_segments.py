"""Scans and sums over segments equal loops over each of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollups.growth.segments import (
    from_counts,
    run_lengths,
    scan_backward,
    scan_forward,
)

chains = st.lists(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(0, 99)),
        min_size=1,
        max_size=40,
    ),
    min_size=1,
    max_size=6,
)


def laid_out(groups):
    segments = from_counts(np.array([len(group) for group in groups]))
    rows = np.array([row for group in groups for row in group], dtype=np.float64)
    return segments, rows[:, 0].copy(), rows[:, 1].copy()


@given(chains)
def test_the_forward_scan_solves_the_recurrence(groups):
    expected = []
    for group in groups:
        alive = 0.0
        for place, (keep, enter) in enumerate(group):
            alive = enter + (keep * alive if place else 0.0)
            expected.append(alive)

    assert scan_forward(*laid_out(groups)).tolist() == pytest.approx(expected)


@given(chains)
def test_the_backward_scan_solves_the_recurrence(groups):
    expected = []
    for group in groups:
        lasting = [0.0]
        for keep, enter in reversed(group[1:]):
            lasting.append(keep * (enter + lasting[-1]))
        expected += reversed(lasting)

    assert scan_backward(*laid_out(groups)).tolist() == pytest.approx(expected)


@given(chains)
def test_a_scan_of_a_segment_does_not_see_its_neighbours(groups):
    together = scan_forward(*laid_out(groups)).tolist()

    apart = [value for group in groups for value in scan_forward(*laid_out([group]))]

    assert together == apart


def test_sums_may_skip_the_head_of_each_segment():
    segments = from_counts(np.array([3, 2]))
    values = np.array([1, 2, 4, 8, 16])

    assert segments.sums(values).tolist() == [7, 24]
    assert segments.sums(values, segments.counts // 2).tolist() == [6, 16]


def test_run_lengths_begin_anew_after_a_break():
    holds = np.array([True, True, False, True])

    assert run_lengths(holds).tolist() == [1, 2, 0, 1]
