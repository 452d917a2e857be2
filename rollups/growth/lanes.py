"""
Two conversations that share one chain key, told apart by the size of their prompts.

Without a key of its own a side conversation interleaves with the main one, and the
chain's context seems to fall and rise at every call. If the calls, put into an upper
and a lower lane, move smoothly there, the chain is tangled and the lanes are what
must be judged.
"""

from typing import Final

import numpy as np

from rollups.growth.segments import Bools, Ints, Segments

LEAST_CALLS: Final = 8
LEAST_LANE_CALLS: Final = 3
LARGE_TENTHS: Final = 3
"""A change of more than three tenths of the larger prompt may be a change of lane."""

SMOOTHNESS: Final = 4
"""Lanes together move at most a fourth of what the chain seems to move."""

_PASSES: Final = 2
_NONE: Final = -1


def find_lanes(segments: Segments, tokens: Ints) -> Ints:
    """Return 1 for the calls in the upper lane of a tangled chain, else 0."""
    lanes = np.zeros(segments.size, dtype=np.int64)
    before = segments.previous(tokens)
    large = 10 * np.abs(tokens - before) > LARGE_TENTHS * np.maximum(tokens, before)
    switching = 3 * segments.sums(large.astype(np.int64)) >= segments.counts - 1
    suspects = switching & (segments.counts >= LEAST_CALLS)
    if not suspects.any():
        return lanes
    inner, rows = segments.select(suspects)
    upper = _follow(inner, tokens[rows], large[rows])
    for _ in range(_PASSES):
        upper = _settle(inner, tokens[rows], upper)
    tangled = _is_tangled(inner, tokens[rows], upper)
    lanes[rows] = upper & tangled[inner.owner]
    return lanes


def _follow(segments: Segments, tokens: Ints, large: Bools) -> Bools:
    """A large rise leads to the upper lane, a large fall to the lower one."""
    rises = tokens > segments.previous(tokens)
    latest = _latest(segments, large, inclusive=True)
    turns = np.append(np.flatnonzero(large), segments.size - 1)
    first = turns[np.searchsorted(turns[:-1], segments.starts)]
    at_start = ~rises[first]
    upper: Bools = np.where(
        latest == _NONE, at_start[segments.owner], rises[np.maximum(latest, 0)]
    )
    return upper


def _settle(segments: Segments, tokens: Ints, upper: Bools) -> Bools:
    """Move each call to the lane whose latest prompt is nearer in size."""
    over = _latest(segments, upper, inclusive=False)
    under = _latest(segments, ~upper, inclusive=False)
    to_over = np.abs(tokens - tokens[np.maximum(over, 0)])
    to_under = np.abs(tokens - tokens[np.maximum(under, 0)])
    both = (over != _NONE) & (under != _NONE) & (to_over != to_under)
    settled: Bools = np.where(both, to_over < to_under, upper)
    return settled


def _is_tangled(segments: Segments, tokens: Ints, upper: Bools) -> Bools:
    change = np.abs(tokens - segments.previous(tokens))
    over = _latest(segments, upper, inclusive=False)
    under = _latest(segments, ~upper, inclusive=False)
    own = np.where(upper, over, under)
    inside = np.where(own == _NONE, 0, np.abs(tokens - tokens[np.maximum(own, 0)]))
    lane = upper.astype(np.int64)
    switches = segments.sums((lane != segments.previous(lane)).astype(np.int64))
    size = segments.sums(lane)
    fewest = np.minimum(size, segments.counts - size)
    tangled: Bools = (
        (fewest >= LEAST_LANE_CALLS)
        & (2 * switches >= segments.counts - 1)
        & (SMOOTHNESS * segments.sums(inside) <= segments.sums(change))
    )
    return tangled


def _latest(segments: Segments, marked: Bools, *, inclusive: bool) -> Ints:
    """Return the latest marked row of the same segment, up to or before each row."""
    rows = np.arange(segments.size, dtype=np.int64)
    latest = np.maximum.accumulate(np.where(marked, rows, _NONE))
    if not inclusive:
        latest = np.concatenate([[_NONE], latest[:-1]])
    return np.where(latest >= segments.starts[segments.owner], latest, _NONE)
