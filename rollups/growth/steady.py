"""
Prompts without what only fluctuates in them.

A part of a prompt may be replaced at every call (the state of a page, the time, a
list of files): it makes sizes go up and down, and is no history. The unexplained level
of a chain is what its prompts grew by beyond known answers and results. It wanders
where things are added that nobody told of, and fluctuates where things are replaced;
how much of either is told by its changes (a local level model, as in Harvey 1989).
"""

from typing import Final

import numpy as np

from rollups.growth.segments import (
    NEGLIGIBLE,
    Bools,
    Floats,
    Ints,
    Segments,
    from_counts,
    group_sums,
    scan_backward,
    scan_forward,
)

LEAST_CHANGES: Final = 3
"""Fewer changes do not tell fluctuation from growth."""

CUT_SHARE: Final = 2
"""A prompt that lost more than half was cut: no fluctuation."""

OUTLIER: Final = 16.0
"""
Nor is a change that is more than four times the others' standard deviation: something
was added once, as a user's turn. The square of that.
"""

MEMORIES: Final = (0.25, 0.5, 0.75)
"""
Shares of the level before that a smooth level keeps from call to call, besides 0 (all
change stays) and 1 (all change is taken back). Each counts by its likelihood.
"""

WANDERING_BY_SIZE: Final = 0.75
"""Of the wandering, three quarters are in proportion to the results that entered."""

_TIE: Final = 1e-6


def steady_prompts(
    segments: Segments, tokens: Ints, known: Ints, entering: Ints
) -> Ints:
    """
    Return the size that each prompt would have without fluctuation, in tokens.

    Equal to *tokens* where the known parts explain all changes, or where nothing that
    came was taken back.

    Args:
        segments: The chains.

        tokens: Size of each prompt.

        known: Tokens of answers and results that are known to be new in it.

        entering: Tokens of results alone.
    """
    steady = tokens.copy()
    surprise = tokens - segments.previous(tokens) - known
    surprise[segments.starts] = 0
    cut = CUT_SHARE * tokens < segments.previous(tokens)
    restless = segments.sums(np.abs(surprise)) > 0
    chosen = restless & (segments.counts > LEAST_CHANGES)
    if not chosen.any():
        return steady
    inner, rows = segments.select(chosen)
    begins = _breaks(inner, surprise[rows].astype(np.float64), cut[rows])
    stretches = from_counts(np.diff(np.flatnonzero(begins), append=inner.size))
    change = np.where(begins, 0, surprise[rows])
    memory = _memory(inner, stretches, change)
    keep = _weights(inner, stretches, memory, entering[rows])
    level = stretches.running(change).astype(np.float64)
    one = np.ones(inner.size)
    total = scan_forward(stretches, keep, level) + scan_backward(stretches, keep, level)
    weight = scan_forward(stretches, keep, one) + scan_backward(stretches, keep, one)
    off = np.floor(total / weight - level + (0.5 + _TIE)).astype(np.int64)
    steady[rows] = np.maximum(tokens[rows] + off, 0)
    return steady


def _breaks(segments: Segments, surprise: Floats, cut: Bools) -> Bools:
    """Tell where a stretch of one level begins: at a start, a cut, an outlier."""
    begins = cut.copy()
    begins[segments.starts] = True
    square = np.where(begins, 0.0, surprise * surprise)
    others = (segments.totals(square)[segments.owner] - square).clip(min=0.0)
    count = segments.sums((~begins).astype(np.int64))[segments.owner]
    outlying: Bools = square * (count - 1) > OUTLIER * others
    return begins | outlying


def _memory(segments: Segments, stretches: Segments, change: Ints) -> Floats:
    """
    Return per chain how much of the level before a smooth level keeps, 0 to 1.

    It is 0 unless changes are, by and large, followed by their opposites. Else it is
    the mean over 0, `MEMORIES` and 1 by likelihood: that of a first-order moving
    average of the changes, whose first value is left open in each stretch.
    """
    owner = segments.owner[stretches.starts]
    chains = len(segments.counts)
    count = group_sums(stretches.counts - 1, owner, chains).astype(np.float64)
    taken_back = change[1:] * change[:-1].astype(np.float64)
    product = np.bincount(segments.owner[1:], taken_back, chains)
    some = (count >= LEAST_CHANGES) & (product < 0)
    level = stretches.running(change)
    values = change.astype(np.float64)
    memories = (0.0, *MEMORIES, 1.0)
    costs = []
    for memory in memories:
        if memory == 1.0:
            innovation = level.astype(np.float64)
        else:
            innovation = _filtered(stretches, values, memory)
        weight = memory ** stretches.place.astype(np.float64)
        open_end = stretches.totals(weight * weight)
        left = stretches.totals(innovation * innovation)
        left -= stretches.totals(innovation * weight) ** 2 / open_end
        squares = np.bincount(owner, np.maximum(left, 0.0), chains)
        volume = np.bincount(owner, np.log(open_end), chains)
        costs.append(count * np.log(np.maximum(squares, _TIE)) + volume)
    odds = np.exp((np.min(costs, axis=0) - costs) / 2)
    mean = np.array(memories) @ odds / odds.sum(axis=0)
    return np.where(some, mean, 0.0)


def _weights(
    segments: Segments, stretches: Segments, memory: Floats, entering: Ints
) -> Floats:
    """Return how far each call's level counts for that of the call before it."""
    inside = stretches.place > 0
    size = np.where(inside, entering, 0).astype(np.float64) ** 2
    count = np.maximum(segments.sums(inside.astype(np.int64)), 1)
    usual = segments.totals(size) / count
    relative = np.ones(segments.size)
    mean = usual[segments.owner]
    np.divide(size, mean, out=relative, where=mean > 0)
    part = 1 - WANDERING_BY_SIZE + WANDERING_BY_SIZE * relative
    least = np.maximum(memory, _TIE)
    wandering = ((1 - least) ** 2 / least)[segments.owner] * part
    gain = (wandering + np.sqrt(wandering * (wandering + 4))) / 2
    kept = (memory > 0)[segments.owner] & inside
    return np.where(kept, 1 / (1 + gain), 0.0)


def _filtered(segments: Segments, values: Floats, memory: float) -> Floats:
    """Return ``values[k] + memory * values[k-1] + memory**2 * ...`` per segment."""
    total = values.copy()
    factor, reach = memory, 1
    longest = int(segments.counts.max(initial=0))
    while factor > NEGLIGIBLE and reach < longest:
        rows = np.flatnonzero(segments.place >= reach)
        total[rows] += factor * total[rows - reach]
        factor *= factor
        reach *= 2
    return total
