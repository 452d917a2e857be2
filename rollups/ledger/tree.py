"""Trees of spans as arrays: ancestors by pointer doubling, cycles cut."""

from typing import NamedTuple

import numpy as np

from rollups.ledger.columns import NONE, Ints, Mask


class Tree(NamedTuple):
    """
    Parents of n spans.

    ``up`` has n + 1 entries: the parent's place, or n for none; entry n is n, so
    that a pointer may be followed without asking. There are no cycles.
    """

    up: Ints
    depth: Ints
    root: Ints

    @property
    def size(self) -> int:
        """Return the number of spans."""
        return len(self.depth)

    def nearest(self, marked: Mask) -> Ints:
        """Return for each span the nearest marked one, itself first; n for none."""
        places = np.arange(self.size + 1)
        if not marked.any():
            return np.full(self.size, self.size)
        pointer = self.up.copy()
        pointer[:-1][marked] = places[:-1][marked]
        while True:
            further = pointer[pointer]
            if np.array_equal(further, pointer):
                return pointer[:-1]
            pointer = further

    def nearest_above(self, marked: Mask) -> Ints:
        """Return for each span its nearest marked ancestor; n for none."""
        return np.append(self.nearest(marked), self.size)[self.up[:-1]]


def plant(parents: Ints) -> Tree:
    """
    Return the tree of *parents* (`NONE` for no parent), cycles cut.

    A cycle loses the parent of its first span, so rows must be in a canonical order.
    """
    parents = _without_cycles(parents)
    size = len(parents)
    up = np.append(np.where(parents < 0, size, parents), size)
    depth = (up < size).astype(np.int64)
    root = np.where(up < size, up, np.arange(size + 1))
    pointer = up
    while (pointer < size).any():
        depth += depth[pointer]
        pointer = pointer[pointer]
        root = root[root]
    return Tree(up, depth[:-1], root[:-1])


def _without_cycles(parents: Ints) -> Ints:
    size = len(parents)
    places = np.arange(size + 1)
    up = np.append(np.where(parents < 0, size, parents), size)
    pointer = up
    for _ in range(max(size, 1).bit_length() + 1):
        if (pointer == size).all():
            return parents
        pointer = pointer[pointer]
    on_cycle = np.zeros(size + 1, np.bool_)
    on_cycle[pointer] = True
    on_cycle[size] = False
    first, pointer = places.copy(), up
    for _ in range(size.bit_length() + 1):
        first = np.minimum(first, first[pointer])
        pointer = pointer[pointer]
    cut = parents.copy()
    cut[(on_cycle & (first == places))[:-1]] = NONE
    return cut
