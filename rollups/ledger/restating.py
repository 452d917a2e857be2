"""Usage that repeats other usage: run totals, and calls that add up calls below."""

from typing import Final

import numpy as np

from rollups.ledger.columns import NONE, Ints, Mask
from rollups.ledger.pairs import SLACK_NANOS
from rollups.ledger.spans import Spans

_LAST: Final = np.iinfo(np.int64).max
_FEWEST_PARTS: Final = 2


def book_totals(spans: Spans, counted: Mask, restating: Mask) -> tuple[Mask, Ints]:
    """
    Return which restating spans are booked, and what the others restate.

    Args:
        spans: Whole traces.

        counted: Which spans are calls with counts.

        restating: Which other spans have counts.

    A total is booked only when no call below, above or (its parent missing) beside it
    has counts, and only the uppermost of several; the others restate the first call
    below them or the total above them; `NONE` where that is unknown.
    """
    booked = np.zeros(spans.size, np.bool_)
    restated = np.full(spans.size, NONE)
    if not restating.any():
        return booked, restated
    tree = spans.tree
    below = _first_below(spans, counted, restating)
    above = tree.nearest_above(counted)
    free = restating & (below == _LAST) & (above == spans.size)
    free &= ~_beside_orphans(spans, counted)
    free_above = tree.nearest_above(free)
    booked = free & (free_above == spans.size)
    top = tree.nearest_above(booked)
    for source, missing in ((top, spans.size), (above, spans.size), (below, _LAST)):
        restated = np.where(source != missing, source, restated)
    return booked, np.where(restating & ~booked, restated, NONE)


def _first_below(spans: Spans, counted: Mask, restating: Mask) -> Ints:
    """Return for restating spans the first counted span below, else `_LAST`."""
    first = np.full(spans.size + 1, _LAST)
    above = np.append(spans.tree.nearest_above(restating), spans.size)
    frontier = np.flatnonzero(counted)
    np.minimum.at(first, above[frontier], frontier)
    frontier = np.unique(above[frontier])
    while len(frontier := frontier[frontier < spans.size]):
        before = first[above[frontier]]
        np.minimum.at(first, above[frontier], first[frontier])
        frontier = np.unique(above[frontier[first[above[frontier]] != before]])
    return first[:-1]


def _beside_orphans(spans: Spans, counted: Mask) -> Mask:
    """
    Return spans during which a counted span ran that may belong below them.

    Its own ancestor is missing, and that is not where the span itself hangs.
    """
    missing = spans.missing[spans.tree.root]
    lost = np.flatnonzero(counted & (missing != NONE))
    if len(lost) == 0:
        return np.zeros(spans.size, np.bool_)
    start, end = spans.numbers("start_unix_nano"), spans.numbers("end_unix_nano")
    first, _ = _by_trace(spans, lost, start[lost])
    _, last = _by_trace(spans, lost, end[lost])
    least, most = _by_trace(spans, lost, missing[lost])
    elsewhere = (least[spans.trace] != missing) | (most[spans.trace] != missing)
    return (
        elsewhere
        & (first[spans.trace] <= end + SLACK_NANOS)
        & (last[spans.trace] >= start - SLACK_NANOS)
    )


def _by_trace(spans: Spans, places: Ints, values: Ints) -> tuple[Ints, Ints]:
    """Return the least and the most of *values* in each trace."""
    traces = int(spans.trace[-1]) + 1
    least, most = np.full(traces, _LAST), np.full(traces, NONE)
    np.minimum.at(least, spans.trace[places], values)
    np.maximum.at(most, spans.trace[places], values)
    return least, most


def find_sums(spans: Spans, candidates: Ints, label: Ints, counted: Mask) -> Mask:
    """
    Return which candidates only add up several calls right below them.

    Args:
        spans: Whole traces.

        candidates: Places of spans that are calls, ascending.

        label: For each of them a number that is equal for spans of one call.

        counted: Which spans are calls with counts.

    Such a span has the input of the calls below, inclusive or fresh, and their output,
    give or take one token each.
    """
    size = len(candidates)
    row = np.full(spans.size + 1, NONE)
    row[candidates] = np.arange(size)
    above = row[spans.tree.nearest_above(row[:-1] != NONE)[candidates]]
    nested = np.flatnonzero((above != NONE) & counted[candidates])
    if len(nested) < _FEWEST_PARTS:
        return np.zeros(size, np.bool_)
    pairs, part = np.unique(above[nested] * size + label[nested], return_inverse=True)
    whole = pairs // size
    parts = np.bincount(whole, minlength=size)
    inclusive, fresh, output = (
        np.abs(_sum_of_most(values[nested], part, whole, size=size) - values)
        for values in _amounts(spans, candidates)
    )
    return (
        counted[candidates]
        & (spans.numbers("input_tokens")[candidates] > 0)
        & (parts >= _FEWEST_PARTS)
        & ((inclusive == 0) | (fresh == 0))
        & (output <= parts)
    )


def _sum_of_most(values: Ints, part: Ints, whole: Ints, *, size: int) -> Ints:
    """Return per whole the sum of the most of each of its parts."""
    most = np.zeros(len(whole), np.int64)
    np.maximum.at(most, part, values)
    total = np.zeros(size, np.int64)
    np.add.at(total, whole, most)
    return total


def _amounts(spans: Spans, candidates: Ints) -> tuple[Ints, Ints, Ints]:
    total = spans.numbers("input_tokens")
    cached = spans.numbers("cache_read_tokens") + spans.numbers("cache_write_tokens")
    fresh = np.maximum(total - cached, 0)
    output = spans.numbers("output_tokens")
    return total[candidates], fresh[candidates], output[candidates]
