"""Equal calls of two scopes at once: which of the one is which of the other."""

from bisect import bisect_right, insort

import numpy as np

from rollups.ledger.columns import Ints


def match_crowd(
    outer: Ints, inner: Ints, *, start: Ints, end: Ints, slack: int
) -> tuple[Ints, Ints]:
    """
    Pair as many intervals as possible with one that each contains.

    Args:
        outer: Rows of the longer intervals, in an order that settles ties.

        inner: Rows of the shorter ones.

        start: Of every row.

        end: Of every row.

        slack: How far an inner interval may stick out.

    Returns:
        Rows of outer and inner intervals, pairwise. From the last to start to the
        first, each outer one takes the inner one that ends last of those it contains:
        no other choice leaves more for the others.
    """
    # The last to start stands at the end, where it is taken from.
    waiting = inner[np.argsort(start[inner], kind="stable")].tolist()
    begin, finish = start.tolist(), end.tolist()
    inside: list[tuple[int, int]] = []
    ones, others = [], []
    for one in outer[np.argsort(-start[outer], kind="stable")].tolist():
        while waiting and begin[waiting[-1]] >= begin[one] - slack:
            row = waiting.pop()
            insort(inside, (finish[row], row))
        place = bisect_right(inside, (finish[one] + slack, len(finish)))
        if place:
            _, row = inside.pop(place - 1)
            ones.append(one)
            others.append(row)
    return np.array(ones, np.int64), np.array(others, np.int64)
