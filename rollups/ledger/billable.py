"""What is billed once: calls with their member spans, and usage that repeats them."""

from typing import Final, NamedTuple

import numpy as np
import pyarrow.compute as pc

from rollups.ledger.columns import NONE, Ints, Mask, flags, one_chunk
from rollups.ledger.spans import Spans
from rollups.ledger.twins import SLACK_NANOS, group_calls

REASONS: Final = ("aggregate", "twin", "duplicate_response", "retransmitted")
_AGGREGATE, _TWIN, _DUPLICATE, _RETRANSMITTED = range(4)
_TOTAL_ROLES: Final = ("agent", "workflow")
_LAST: Final = np.iinfo(np.int64).max


class Calls(NamedTuple):
    """
    m calls in the order of the spans that stand for them.

    ``span`` is the span that stands for the call, ``counted`` the one with the most
    detail. A call of several spans is in ``several``; its ``members`` lie together
    from ``starts``, the most detailed first. ``total`` marks calls that are booked
    from a run total because nothing finer has arrived.
    """

    span: Ints
    counted: Ints
    total: Mask
    several: Ints
    starts: Ints
    members: Ints

    def best(self, usable: Mask) -> Ints:
        """
        Return each call's most detailed member that is usable.

        Args:
            usable: For every span, whether it will do.

        Returns:
            Places of spans; a call without a usable member gives ``counted``.
        """
        places = self.counted.copy()
        if len(self.several):
            steps = np.where(usable[self.members], np.arange(len(self.members)), _LAST)
            first = np.minimum.reduceat(steps, self.starts)
            found = first < _LAST
            places[self.several[found]] = self.members[first[found]]
        return places

    def least(self, values: Ints) -> Ints:
        """Return the least of *values* (one per span) over each call's members."""
        result = values[self.span]
        if len(self.several):
            lowest = np.minimum.reduceat(values[self.members], self.starts)
            result[self.several] = lowest
        return result

    def all(self, marked: Mask) -> Mask:
        """Return whether all members of each call are *marked*."""
        return self.least(marked.astype(np.int64)) == 1


class Excluded(NamedTuple):
    """
    Usage that is not billed.

    ``row`` is a row of the table, ``reason`` a place in `REASONS`, ``billed`` the place
    of the span that was billed instead.
    """

    row: Ints
    reason: Ints
    billed: Ints


class Bill(NamedTuple):
    """The calls and the usage that repeats them."""

    calls: Calls
    excluded: Excluded


def bill(spans: Spans, *, failed: Mask, agent_distance: Ints) -> Bill:
    """
    Find the calls, each once, and account for every other span that bears usage.

    Args:
        spans: Whole traces.

        failed: For every span, whether it failed.

        agent_distance: For every span, steps up to its agent; large without one.
    """
    has_usage = spans.flags("has_usage")
    is_total = spans.roles(*_TOTAL_ROLES) | spans.flags("is_total")
    is_call = spans.flags("is_call") & ~is_total
    restating = has_usage & ~is_call
    booked, restated = _totals(spans, is_call & has_usage, restating)
    candidates = np.flatnonzero(is_call | booked)
    label = group_calls(spans, candidates, failed)
    calls = _calls(spans, candidates, label, has_usage, agent_distance)
    calls = calls._replace(total=calls.all(booked))
    billed = np.full(spans.size + 1, NONE)
    billed[calls.span] = calls.span
    _mark_members(calls, billed)
    excluded = _excluded(spans, calls, has_usage, billed, restated)
    return Bill(calls, excluded)


def _totals(spans: Spans, counted: Mask, restating: Mask) -> tuple[Mask, Ints]:
    """
    Return which restating spans are booked, and what the others restate.

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


def _calls(
    spans: Spans, candidates: Ints, label: Ints, has_usage: Mask, agent_distance: Ints
) -> Calls:
    counts = np.bincount(label, minlength=len(candidates))
    alone = candidates[counts[label] == 1]
    shared = np.flatnonzero(counts[label] > 1)
    group, member = label[shared], candidates[shared]
    standing = member[
        np.lexsort((member, *_standing(spans, member, agent_distance), group))
    ]
    order = np.lexsort((member, *_detail(spans, group, member, has_usage), group))
    members, group = member[order], group[order]
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]][: len(group)])
    span = np.r_[alone, standing[starts]]
    rank = np.argsort(span, kind="stable")
    place = np.empty_like(rank)
    place[rank] = np.arange(len(rank))
    return Calls(
        span=span[rank],
        counted=np.r_[alone, members[starts]][rank],
        total=np.zeros(len(span), np.bool_),
        several=place[len(alone) :],
        starts=starts,
        members=members,
    )


def _standing(spans: Spans, member: Ints, agent_distance: Ints) -> tuple[Ints, ...]:
    """Return sort keys, last first, of who stands for a call: the least does."""
    name = spans.pick("name", member)
    is_chat = pc.starts_with(name, "chat ").to_numpy(zero_copy_only=False)
    return agent_distance[member], (~is_chat).astype(np.int64)


def _detail(
    spans: Spans, group: Ints, member: Ints, has_usage: Mask
) -> tuple[Ints, ...]:
    """Return sort keys, last first, of whose counts are taken: the least are."""

    def told(name: str) -> Ints:
        return -spans.known(name)[member].astype(np.int64)

    def amount(name: str) -> Ints:
        return told(name) - (spans.numbers(name)[member] > 0)

    split = np.minimum(told("cache_write_5m_tokens"), told("cache_write_1h_tokens"))
    return (
        -spans.tree.depth[member],
        _output_preference(group, spans.numbers("output_tokens")[member]),
        told("response_id"),
        told("reasoning_tokens"),
        amount("cache_read_tokens"),
        amount("cache_write_tokens"),
        split,
        -has_usage[member].astype(np.int64),
    )


def _output_preference(group: Ints, output: Ints) -> Ints:
    """
    Return a key that prefers the least output of a group, or the most.

    One token more is a stream's first message counted twice; many more are thoughts
    that the other member left out.
    """
    if len(group) == 0:
        return output
    least, most = np.full(group.max() + 1, _LAST), np.zeros(group.max() + 1, np.int64)
    np.minimum.at(least, group, output)
    np.maximum.at(most, group, output)
    return np.where(most[group] - least[group] <= 1, output, -output)


def _mark_members(calls: Calls, billed: Ints) -> None:
    """Write for every member of a call the span that stands for it."""
    sizes = np.diff(np.r_[calls.starts, len(calls.members)])
    billed[calls.members] = np.repeat(calls.span[calls.several], sizes)


def _excluded(
    spans: Spans, calls: Calls, has_usage: Mask, billed: Ints, restated: Ints
) -> Excluded:
    scope = spans.codes("scope_name")
    is_member = billed[:-1] != NONE
    repeats = np.flatnonzero(
        has_usage & is_member & (billed[:-1] != np.arange(spans.size))
    )
    standing = billed[repeats]
    is_twin = (spans.trace[repeats] == spans.trace[standing]) & (
        scope[repeats] != scope[standing]
    )
    totals = np.flatnonzero(has_usage & ~is_member)
    again = calls.span[_replaced_usage(spans, calls.span)]
    return Excluded(
        row=np.r_[spans.rows[repeats], spans.rows[totals], spans.replaced[again]],
        reason=np.r_[
            np.where(is_twin, _TWIN, _DUPLICATE),
            np.full(len(totals), _AGGREGATE),
            np.full(len(again), _RETRANSMITTED),
        ],
        billed=np.r_[standing, billed[restated[totals]], again],
    )


def _replaced_usage(spans: Spans, places: Ints) -> Mask:
    replaced = spans.replaced[places]
    if (replaced == NONE).all():
        return np.zeros(len(places), np.bool_)
    usage = flags(one_chunk(spans.table, "has_usage"))
    return (replaced != NONE) & usage[replaced]
