"""
Runs of equal length or not, laid end to end in one array: one per chain.

Sums are int64, so they are exact and a segment's result never depends on its
neighbours. The affine scan works in float64 by doubling; its
order of operations depends on the place inside the segment alone.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NEGLIGIBLE: Final = 2.0**-64
"""A share that no sum of tokens shows; scans end there."""


@dataclass(frozen=True, slots=True)
class Segments:
    """Non-empty segments of an array of ``size`` rows, in order, without gaps."""

    starts: Ints
    counts: Ints
    owner: Ints
    place: Ints

    @property
    def size(self) -> int:
        """Number of rows over all segments."""
        return len(self.owner)

    @property
    def lasts(self) -> Ints:
        """Row of the last element of each segment."""
        return self.starts + self.counts - 1

    def sums(self, values: Ints, skipped: Ints | None = None) -> Ints:
        """Return exact sums per segment, without the first *skipped* if given."""
        if not len(self.starts):
            return np.zeros(0, dtype=np.int64)
        if skipped is None:
            return _reduce(np.add, values, self.starts)
        bounds = np.stack([self.starts + skipped, self.starts + self.counts], axis=1)
        return _reduce(np.add, values, bounds.ravel()[:-1])[::2]

    def totals(self, values: Floats) -> Floats:
        """Return sums per segment, added in order so that neighbours do not matter."""
        if not self.size:
            return np.zeros(0)
        return np.add.reduceat(values, self.starts)

    def running(self, values: Ints) -> Ints:
        """Return cumulative sums of *values* that begin anew in each segment."""
        prefix = prefix_sums(values)
        return prefix[1:] - prefix[self.starts][self.owner]

    def previous(self, values: Ints) -> Ints:
        """Return the value one row before, and the row's own at a start."""
        shifted = np.empty_like(values)
        shifted[1:] = values[:-1]
        shifted[self.starts] = values[self.starts]
        return shifted

    def lowest(self, values: Ints) -> Ints:
        """Return the minimum per segment."""
        return _reduce(np.minimum, values, self.starts)

    def highest(self, values: Ints) -> Ints:
        """Return the maximum per segment."""
        return _reduce(np.maximum, values, self.starts)

    def select(self, chosen: Bools) -> tuple["Segments", NDArray[np.intp]]:
        """Return the segments *chosen* and the rows they have in this array."""
        rows = np.flatnonzero(chosen[self.owner])
        return from_counts(self.counts[chosen]), rows


def from_counts(counts: Ints) -> Segments:
    """Return segments of *counts* rows each; every count is at least one."""
    starts = prefix_sums(counts)[:-1]
    owner = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    place = np.arange(len(owner), dtype=np.int64) - starts[owner]
    return Segments(starts=starts, counts=counts, owner=owner, place=place)


def prefix_sums(values: Ints) -> Ints:
    """Return n + 1 sums of the first 0, 1, ..., n values."""
    sums = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values, out=sums[1:])
    return sums


def group_sums(values: Ints, group: Ints, groups: int) -> Ints:
    """Return exact sums of *values* by *group*; rows come in any order."""
    sums = np.zeros(groups, dtype=np.int64)
    np.add.at(sums, group, values)
    return sums


def run_lengths(holds: Bools) -> Ints:
    """Return how many rows up to and with this one hold without a break."""
    rows = np.arange(len(holds), dtype=np.int64)
    broken: Ints = np.maximum.accumulate(np.where(holds, np.int64(-1), rows))
    return rows - broken


def scan_forward(segments: Segments, keep: Floats, enter: Floats) -> Floats:
    """Solve ``a[k] = keep[k] * a[k-1] + enter[k]`` with a = 0 before a segment."""
    factor = keep.copy()
    total = enter.copy()
    reach = 1
    while len(
        rows := np.flatnonzero((segments.place >= reach) & (factor > NEGLIGIBLE))
    ):
        total[rows] += factor[rows] * total[rows - reach]
        factor[rows] *= factor[rows - reach]
        reach *= 2
    return total


def scan_backward(segments: Segments, keep: Floats, enter: Floats) -> Floats:
    """Solve ``t[k] = keep[k+1] * (enter[k+1] + t[k+1])`` with t = 0 at the last."""
    factor = np.zeros(segments.size)
    factor[:-1] = keep[1:]
    factor[segments.lasts] = 0.0
    total = np.zeros(segments.size)
    total[:-1] = factor[:-1] * enter[1:]
    remaining = segments.counts[segments.owner] - 1 - segments.place
    reach = 1
    while len(rows := np.flatnonzero((remaining >= reach) & (factor > NEGLIGIBLE))):
        total[rows] += factor[rows] * total[rows + reach]
        factor[rows] *= factor[rows + reach]
        reach *= 2
    return total


def _reduce(operation: np.ufunc, values: Ints, starts: Ints) -> Ints:
    if not len(starts):
        return np.zeros(0, dtype=np.int64)
    reduced: Ints = operation.reduceat(values, starts)
    return reduced
