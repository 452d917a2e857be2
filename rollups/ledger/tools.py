"""Tool calls, each once, with the LLM call that asked for them."""

from typing import Final

import numpy as np

from rollups.ledger.calls import Calls
from rollups.ledger.columns import NONE, Ints, Mask, codes_of, order_by, starts_of
from rollups.ledger.pairs import in_mixed_groups
from rollups.ledger.spans import Spans

TOOL_ROLES: Final = ("tool", "retrieval")
_SLACK_NANOS: Final = 2_000_000


def find_tools(spans: Spans) -> Ints:
    """
    Return the places of tool and retrieval spans, one per tool call.

    Spans of one trace and different scopes with one tool call id are one tool call:
    the one that knows its result stays.
    """
    places = np.flatnonzero(spans.roles(*TOOL_ROLES))
    scope = codes_of(spans.pick("scope_name", places))[0]
    mixed = np.flatnonzero(in_mixed_groups(spans.trace[places], scope))
    code, texts = codes_of(spans.pick("tool_call_id", places[mixed]))
    named = mixed[code != NONE]
    if len(named) == len(texts):
        return places
    some, scope = places[named], scope[named]
    key = spans.trace[some] * len(texts) + code[code != NONE]
    unknown = ~(spans.known("result_hash") | spans.known("result_bytes"))[some]
    # The best of a key stays, and with it what its own scope says of other tries.
    order = np.lexsort((some, unknown, key))
    first = order[starts_of(key[order])]
    repeats = order[scope[order] != scope[first]]
    return np.delete(places, named[repeats])


def asking_calls(
    spans: Spans, calls: Calls, tools: Ints, *, run: Ints, tool_run: Ints, able: Mask
) -> Ints:
    """
    Return for each tool call the call that asked for it, `NONE` if there is none.

    Args:
        spans: Whole traces.

        calls: The calls.

        tools: From `find_tools`.

        run: Each call's run.

        tool_run: Each tool call's run.

        able: For each call, whether it can ask for tools.

    It is the call that the tool runs in, else the last of the run to end before the
    tool starts, else the last to start before it.
    """
    start = spans.numbers("start_unix_nano")
    end = spans.numbers("end_unix_nano")
    some = np.flatnonzero(able)
    spot = calls.span[some]
    ended = _last_before(run[some], end[spot], tool_run, start[tools] + _SLACK_NANOS)
    begun = _last_before(run[some], start[spot], tool_run, start[tools])
    chosen = np.where(ended == NONE, begun, ended)
    asking = np.where(chosen == NONE, NONE, np.append(some, NONE)[chosen])
    row = calls.stood_for(size=spans.size)
    around = np.append(row, NONE)[spans.tree.nearest_above(row != NONE)[tools]]
    inside = np.append(able, False)[around] & (np.append(run, NONE)[around] == tool_run)
    return np.where(inside, around, asking)


def _last_before(group: Ints, when: Ints, asked_group: Ints, asked: Ints) -> Ints:
    """Return for each (group, time) asked the last row not after it, else `NONE`."""
    size = len(group)
    groups, times = np.r_[group, asked_group], np.r_[when, asked]
    # Rows come before questions, so an equal time is not after.
    order = order_by(groups, times)
    rows = np.where(order < size, np.arange(len(order)), NONE)
    latest = np.maximum.accumulate(rows)
    found = np.where(latest == NONE, NONE, order[latest])
    found[groups[found] != groups[order]] = NONE
    result = np.empty(len(order), np.int64)
    result[order] = found
    return result[size:]
