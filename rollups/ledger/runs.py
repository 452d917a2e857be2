"""Which run a span belongs to, how runs nest, and what a run is called."""

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rollups.ledger.columns import NONE, Ints, Mask, one_chunk, ranks_of
from rollups.ledger.spans import Spans

_AGENT, _UNSEEN_AGENT, _KEY, _TRACE = range(4)
_ID_COLUMNS: Final = ("span_id", "parent_span_id", "run_key", "trace_id")
_LAST: Final = np.iinfo(np.int64).max


class Runs(NamedTuple):
    """
    r runs, sorted by (trace, start, run id); a run is unique by trace and run id.

    ``of_span`` is each span's run, `NONE` if nothing happened in it. ``span`` is the
    run's own span (the agent's, else the trace's root), `NONE` if it has not arrived;
    then it is not ``closed``. ``parent`` is the run of the agent above. ``is_agent``
    marks runs that stand in the ledger even without a call.
    """

    of_span: Ints
    run_id: pa.Array
    trace: Ints
    span: Ints
    parent: Ints
    is_agent: Mask
    start_unix_micro: Ints
    duration_nanos: Ints

    @property
    def size(self) -> int:
        """Return the number of runs."""
        return len(self.trace)


class _Claims(NamedTuple):
    """For each span its run as a number, the span that names it, and what it is."""

    code: Ints
    source: Ints
    kind: Ints
    parent: Ints


def nearest_agent(spans: Spans) -> Ints:
    """Return each span's nearest agent span, itself first; n for none."""
    return spans.tree.nearest(spans.roles("agent"))


def agent_distance(spans: Spans, agent: Ints) -> Ints:
    """Return the steps from each span up to its agent; large without one."""
    depth = np.append(spans.tree.depth, np.iinfo(np.int32).min)
    return depth[:-1] - depth[agent]


def place_runs(spans: Spans, agent: Ints, inhabitants: Ints) -> Runs:
    """
    Put every span into its run.

    Args:
        spans: Whole traces.

        agent: From `nearest_agent`.

        inhabitants: Places of calls and tool calls; only runs of agents and of
            these are made.

    The run is the nearest agent's; while that agent's span has not arrived, what is
    known of its children says so; else the dialect's own run id, else the trace.
    """
    claims = _claims(spans, agent)
    is_agent = agent == np.arange(spans.size)
    wanted = np.zeros(spans.size, np.bool_)
    wanted[inhabitants] = True
    wanted |= is_agent
    codes, first = np.unique(claims.code[wanted], return_index=True)
    place = np.flatnonzero(wanted)[first]
    row_of = np.full(int(claims.code.max(initial=0)) + 2, NONE)
    row_of[codes] = np.arange(len(codes))
    unordered = _describe(spans, claims, row_of, place)
    names = ranks_of(unordered.run_id)[0]
    order = np.lexsort((names, unordered.start_unix_micro, unordered.trace))
    row_of[codes[order]] = np.arange(len(codes))
    return Runs(
        of_span=row_of[claims.code],
        run_id=unordered.run_id.take(pa.array(order)),
        trace=unordered.trace[order],
        span=unordered.span[order],
        parent=row_of[claims.parent[claims.source[place[order]]]],
        is_agent=unordered.is_agent[order],
        start_unix_micro=unordered.start_unix_micro[order],
        duration_nanos=unordered.duration_nanos[order],
    )


def _claims(spans: Spans, agent: Ints) -> _Claims:
    size = spans.size
    places = np.arange(size)
    code, source = size + spans.trace, places
    kind = np.full(size, _TRACE)
    base = size + (int(spans.trace[-1]) + 1 if size else 0)
    key, key_source = _keys(spans)
    has_key = key != NONE
    code = np.where(has_key, base + key, code)
    source = np.where(has_key, key_source, source)
    kind[has_key] = _KEY
    base += int(key.max(initial=NONE)) + 1
    unseen = _unseen_agents(spans)
    is_unseen = unseen != NONE
    code = np.where(is_unseen, base + unseen, code)
    source = np.where(is_unseen, spans.tree.root, source)
    kind[is_unseen] = _UNSEEN_AGENT
    has_agent = agent < size
    code = np.where(has_agent, agent, code)
    source = np.where(has_agent, agent, source)
    kind[has_agent] = _AGENT
    above = np.append(agent, size)[spans.tree.up[:-1]]
    parent = np.where(is_unseen, base + unseen, NONE)
    parent = np.where(above < size, above, parent)
    # Only an agent's run hangs below another: who starts the others is not known.
    parent[~has_agent] = NONE
    return _Claims(code, source, kind, parent)


def _keys(spans: Spans) -> tuple[Ints, Ints]:
    """Return each span's inherited run key, numbered by trace, and who says it."""
    column = one_chunk(spans.table, "run_key")
    if column.null_count == len(column):
        return np.full(spans.size, NONE), np.full(spans.size, NONE)
    source = spans.tree.nearest(spans.known("run_key"))
    text = spans.codes("run_key")
    key = np.append(spans.trace * (int(text.max()) + 1) + text, NONE)[source]
    found = source < spans.size
    numbered = np.full(spans.size, NONE)
    numbered[found] = np.unique(key[found], return_inverse=True)[1]
    return numbered, source


def _unseen_agents(spans: Spans) -> Ints:
    """
    Number missing parents that are agents by what their children are; else `NONE`.

    An agent's span ends last, so for most of its life its calls hang on a parent that
    has not arrived. Tools, steps, and calls that name an agent or a step are an
    agent's children. Its run has its final id from the first call on.
    """
    unseen = np.full(spans.size, NONE)
    orphan = np.flatnonzero(spans.missing != NONE)
    if len(orphan) == 0:
        return unseen
    evidence = spans.roles("tool", "step")
    says = (spans.steps() != NONE) | spans.known("own_agent_name")
    evidence |= spans.flags("is_call") & (says | spans.known("own_agent_id"))
    parents, number = np.unique(spans.missing[orphan], return_inverse=True)
    proven = np.zeros(len(parents), np.bool_)
    proven[number[evidence[orphan]]] = True
    unseen[orphan] = np.where(proven[number], number, NONE)
    return unseen[spans.tree.root]


def _describe(spans: Spans, claims: _Claims, row_of: Ints, place: Ints) -> Runs:
    row = row_of[claims.code]
    inside = np.flatnonzero(row != NONE)
    owner = row[inside]

    def least(values: Ints) -> Ints:
        result = np.full(len(place), _LAST)
        np.minimum.at(result, owner, values[inside])
        return result

    micros = spans.numbers("timestamp")
    first = least(spans.numbers("start_unix_nano"))
    last = -least(-spans.numbers("end_unix_nano"))
    kind, source = claims.kind[place], claims.source[place]
    is_agent = kind == _AGENT
    start = least(micros)
    start[is_agent] = micros[source[is_agent]]
    root = _roots(spans)[spans.trace[place]]
    ids = [
        spans.pick(name, np.where(kind == code, source, NONE))
        for code, name in enumerate(_ID_COLUMNS)
    ]
    return Runs(
        of_span=row,
        run_id=pc.coalesce(*ids),
        trace=spans.trace[place],
        span=np.select([is_agent, kind == _UNSEEN_AGENT], [source, NONE], root),
        parent=np.full(len(place), NONE),
        is_agent=is_agent | (kind == _UNSEEN_AGENT),
        start_unix_micro=start,
        duration_nanos=last - first,
    )


def _roots(spans: Spans) -> Ints:
    """Return each trace's first span that names no parent, `NONE` without."""
    traces = int(spans.trace[-1]) + 1 if spans.size else 0
    roots = np.flatnonzero(~spans.known("parent_span_id"))[::-1]
    first = np.full(traces, NONE)
    first[spans.trace[roots]] = roots
    return first
