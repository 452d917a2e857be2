"""LLM calls as groups of spans: who stands for a call, and whose counts are taken."""

from typing import Final, NamedTuple

import numpy as np
import pyarrow.compute as pc

from rollups.ledger.columns import NONE, Ints, Mask
from rollups.ledger.spans import Spans

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

    def stood_for(self, *, size: int) -> Ints:
        """Return for each of *size* spans the row of its call, `NONE` without one."""
        row = np.full(size, NONE)
        row[self.span] = np.arange(len(self.span))
        sizes = np.diff(np.r_[self.starts, len(self.members)])
        row[self.members] = np.repeat(self.several, sizes)
        return row


def make_calls(
    spans: Spans, candidates: Ints, label: Ints, *, agent_distance: Ints
) -> Calls:
    """
    Make calls of spans that are grouped.

    Args:
        spans: Whole traces.

        candidates: Places of spans that are calls, ascending.

        label: For each of them a number that is equal for spans of one call.

        agent_distance: For every span, steps up to its agent; large without one.

    For a call stands its span named ``chat ...``, else the one nearest the agent; of
    spans in several traces, one below an agent, then the first to start.
    """
    counts = np.bincount(label, minlength=len(candidates))
    alone = candidates[counts[label] == 1]
    shared = np.flatnonzero(counts[label] > 1)
    group, member = label[shared], candidates[shared]
    standing = member[
        np.lexsort((member, *_standing(spans, group, member, agent_distance), group))
    ]
    order = np.lexsort((member, *_detail(spans, group, member), group))
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


def _standing(
    spans: Spans, group: Ints, member: Ints, agent_distance: Ints
) -> tuple[Ints, ...]:
    """Return sort keys, last first, of who stands for a call: the least does."""
    name = spans.pick("name", member)
    is_chat = pc.starts_with(name, "chat ").to_numpy(zero_copy_only=False)
    distance = agent_distance[member]
    across = _across_traces(group, spans.trace[member])
    has_none = across & (distance > spans.tree.depth[member])
    start = np.where(across, spans.numbers("start_unix_nano")[member], 0)
    is_log = spans.words("kind", ("LOG",))[member].astype(np.int64)
    return (
        distance,
        (~is_chat).astype(np.int64),
        start,
        has_none.astype(np.int64),
        is_log,
    )


def _across_traces(group: Ints, trace: Ints) -> Mask:
    """Return which members are of a call that has spans in several traces."""
    if len(group) == 0:
        return np.zeros(0, np.bool_)
    one = np.zeros(int(group.max()) + 1, np.int64)
    one[group] = trace
    several = np.zeros(len(one), np.bool_)
    several[group[one[group] != trace]] = True
    return several[group]


def _detail(spans: Spans, group: Ints, member: Ints) -> tuple[Ints, ...]:
    """Return sort keys, last first, of whose counts are taken: the least are."""

    def told(name: str) -> Ints:
        return -spans.known(name)[member].astype(np.int64)

    def amount(name: str) -> Ints:
        return told(name) - (spans.numbers(name)[member] > 0)

    split = np.minimum(told("cache_write_5m_tokens"), told("cache_write_1h_tokens"))
    return (
        -spans.tree.depth[member],
        spans.words("kind", ("LOG",))[member].astype(np.int64),
        _output_preference(group, spans.numbers("output_tokens")[member]),
        told("response_id"),
        told("reasoning_tokens"),
        amount("cache_read_tokens"),
        amount("cache_write_tokens"),
        split,
        -spans.flags("has_usage")[member].astype(np.int64),
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
