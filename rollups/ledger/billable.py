"""What is billed once: the calls, and all usage that repeats them."""

from typing import Final, NamedTuple

import numpy as np

from rollups.ledger.calls import Calls, make_calls
from rollups.ledger.columns import NONE, Ints, Mask, flags, one_chunk
from rollups.ledger.restating import book_totals, find_sums
from rollups.ledger.spans import Spans
from rollups.ledger.twins import group_calls

REASONS: Final = ("aggregate", "twin", "duplicate_response", "retransmitted")
_AGGREGATE, _TWIN, _DUPLICATE, _RETRANSMITTED = range(4)
_TOTAL_ROLES: Final = ("agent", "workflow")
_MOST_LAYERS: Final = 4


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
    is_log = spans.words("kind", ("LOG",))
    grouped = _group(spans, is_call, has_usage, failed)
    if is_log.any():
        is_call &= ~_untold_by_spans(spans, grouped, is_call, has_usage, is_log)
        grouped = _group(spans, is_call, has_usage, failed)
    for _ in range(_MOST_LAYERS):
        sums = find_sums(spans, grouped.span, grouped.label, is_call & has_usage)
        if not sums.any():
            break
        is_call[grouped.span[sums]] = False
        grouped = _group(spans, is_call, has_usage, failed)
    calls = make_calls(
        spans, grouped.span, grouped.label, agent_distance=agent_distance
    )
    calls = calls._replace(total=calls.all(grouped.booked))
    return Bill(calls, _excluded(spans, calls, has_usage, grouped.restated))


class _Grouped(NamedTuple):
    span: Ints
    label: Ints
    booked: Mask
    restated: Ints


def _group(spans: Spans, is_call: Mask, has_usage: Mask, failed: Mask) -> _Grouped:
    is_log = spans.words("kind", ("LOG",))
    totals = has_usage & ~is_call & ~is_log
    booked, restated = book_totals(spans, is_call & has_usage, totals)
    candidates = np.flatnonzero(is_call | booked)
    label = group_calls(spans, candidates, failed)
    return _Grouped(candidates, label, booked, restated)


def _untold_by_spans(
    spans: Spans, grouped: _Grouped, is_call: Mask, has_usage: Mask, is_log: Mask
) -> Mask:
    """
    Return log events that no span tells although their library sends spans.

    A library that traces a run traces all of its calls: such an event repeats one that
    is in another trace, or still on its way. One of a failed call has no counts, nor
    has the span of that call.
    """
    units = len(grouped.span)
    has_span = np.zeros(units, np.bool_)
    has_span[grouped.label[~is_log[grouped.span]]] = True
    alone = np.zeros(spans.size, np.bool_)
    alone[grouped.span[~has_span[grouped.label]]] = True
    dialect = spans.codes("dialect")
    key = spans.trace * (int(dialect.max(initial=0)) + 2) + dialect + 1
    traced = is_call & ~is_log
    repeats = np.where(
        has_usage, np.isin(key, key[traced & has_usage]), np.isin(key, key[traced])
    )
    return alone & is_log & repeats


def _excluded(spans: Spans, calls: Calls, has_usage: Mask, restated: Ints) -> Excluded:
    row = calls.stood_for(size=spans.size)
    is_member = row != NONE
    billed = np.full(spans.size + 1, NONE)
    billed[:-1][is_member] = calls.span[row[is_member]]
    is_log = spans.words("kind", ("LOG",))
    scope = spans.codes("scope_name") * 2 + is_log
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
            np.where(is_log[totals], _TWIN, _AGGREGATE),
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
