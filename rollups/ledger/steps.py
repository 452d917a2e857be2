"""Steps, attempts and chains: where in its run a call stands."""

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rollups.ledger.calls import Calls
from rollups.ledger.columns import (
    NONE,
    Ints,
    Mask,
    codes_of,
    dense_ranks,
    equals,
    group_ranks,
    order_by,
    starts_of,
    take,
)
from rollups.ledger.spans import Spans

STEP_SOURCES: Final = ("own", "frame", "order")
_OWN, _FRAME, _ORDER = range(3)
ASIDE_OPERATIONS: Final = (
    "embeddings",
    "rerank",
    "image_generation",
    "speech",
    "transcription",
    "aggregate",
)
"""Calls that no agent loop is made of; the rest may be steps."""
_RETRY_SLACK_NANOS: Final = 2_000_000
_CHANGING_PROMPTS: Final = 3
_MOST_RESENDS: Final = 1000


class Steps(NamedTuple):
    """Step (`NONE` for none), its source and the attempt of each call."""

    step: Ints
    source: Ints
    attempt: Ints


def is_in_loop(calls: Calls, operation: pa.Array) -> Mask:
    """Return which calls an agent loop may be made of."""
    return ~(equals(operation, ASIDE_OPERATIONS) | calls.total)


def number_steps(
    spans: Spans, calls: Calls, run: Ints, *, in_loop: Mask, failed: Mask
) -> Steps:
    """
    Number the calls of each run.

    Args:
        spans: Whole traces.

        calls: The calls, in time order within a trace.

        run: Each call's run.

        in_loop: From `is_in_loop`.

        failed: For each call, whether it failed.

    The step is the one the span declares, else its frame's (the nearest step span
    below the agent: its number, else its place among the run's frames), else the place
    among the run's successful calls. Only successful calls of the loop have one.
    """
    declared = spans.steps()
    step = declared[calls.best(declared != NONE)]
    source = np.where(step == NONE, NONE, _OWN)
    framed = _frame_steps(spans, calls, run)
    source = np.where((step == NONE) & (framed != NONE), _FRAME, source)
    step = np.where(step == NONE, framed, step)
    attempt = _attempts(spans, calls, run, step=step, in_loop=in_loop, failed=failed)
    counts = in_loop & ~failed
    place = np.full(len(run), NONE)
    place[counts] = group_ranks(run[counts])
    source = np.where(step == NONE, _ORDER, source)
    step = np.where(step == NONE, place, step)
    return Steps(
        step=np.where(counts, step, NONE),
        source=np.where(counts, source, NONE),
        attempt=attempt,
    )


def _frame_steps(spans: Spans, calls: Calls, run: Ints) -> Ints:
    is_agent = spans.roles("agent")
    declared = np.append(spans.steps(), NONE)
    is_frame = spans.roles("step") | (declared[:-1] != NONE)
    is_frame &= ~spans.flags("is_call") & ~is_agent
    if not is_frame.any():
        return np.full(len(run), NONE)
    frame = spans.tree.nearest_above(is_frame | is_agent)
    in_frame = np.append(is_frame, False)[frame]
    place = calls.best(in_frame)
    frame = np.where(in_frame[place], frame[place], NONE)
    step = declared[frame]
    some = np.flatnonzero((frame != NONE) & (step == NONE))
    if len(some):
        step[some] = dense_ranks(run[some], frame[some])
    return step


def _attempts(
    spans: Spans, calls: Calls, run: Ints, *, step: Ints, in_loop: Mask, failed: Mask
) -> Ints:
    """Number attempts from 1: a call that follows a failed one tries it again."""
    size = len(run)
    resends = spans.numbers("resend_count")[calls.best(spans.known("resend_count"))]
    tries = 1 + np.clip(resends, 0, _MOST_RESENDS)
    if not failed.any():
        return tries
    order = order_by(2 * run + in_loop, np.arange(size))
    before, after = order[:-1], order[1:]
    start = spans.numbers("start_unix_nano")[calls.span]
    end = spans.numbers("end_unix_nano")[calls.span]
    again = (
        failed[before]
        & (run[before] == run[after])
        & (in_loop[before] == in_loop[after])
        & (start[after] + _RETRY_SLACK_NANOS >= end[before])
        & (
            (step[before] == step[after])
            | (step[before] == NONE)
            | (step[after] == NONE)
        )
    )
    group = np.cumsum(np.r_[True, ~again])
    total = np.cumsum(tries[order])
    first = starts_of(group)
    attempt = np.empty(size, np.int64)
    attempt[order] = total - (total[first] - tries[order][first])
    return attempt


class Chains(NamedTuple):
    """Each call's chain: 0 if it is the run itself, else its number from 1."""

    number: Ints

    def ids(self, run_ids: pa.Array) -> pa.Array:
        """Return the chain ids of calls whose run ids are given."""
        split = np.flatnonzero(self.number)
        if len(split) == 0:
            return run_ids
        number = pa.array(self.number[split]).cast(pa.string())
        named = pc.binary_join_element_wise(take(run_ids, split), number, "/")
        return pc.replace_with_mask(run_ids, pa.array(self.number > 0), named)


def number_chains(run: Ints, *, in_loop: Mask, by: tuple[pa.Array, ...]) -> Chains:
    """
    Split runs where several conversations, prompts or agents take turns.

    Args:
        run: Each call's run.

        in_loop: From `is_in_loop`.

        by: Columns of the calls that tell conversations apart.

    A run with one value of each is one chain; otherwise each combination is a chain,
    numbered from 1 in order of its first call. Values that hardly ever come again (a
    prompt that states the time, say) name no chain.
    """
    number = np.zeros(len(run), np.int64)
    rows = np.flatnonzero(in_loop)
    if len(rows) == 0:
        return Chains(number)
    keys = []
    for column in by:
        code = codes_of(column)[0][rows]
        keys.append(np.where(_splits(run[rows], code)[run[rows]], code, NONE))
    if all((key == NONE).all() for key in keys):
        return Chains(number)
    order = np.lexsort((rows, *keys, run[rows]))
    same = (np.diff(run[rows][order]) == 0) & np.logical_and.reduce(
        [np.diff(key[order]) == 0 for key in keys]
    )
    first = np.empty(len(rows), np.int64)
    first[order] = rows[order][starts_of(np.cumsum(np.r_[True, ~same]))]
    ranks = 1 + dense_ranks(run[rows], first)
    most = np.zeros(int(run.max()) + 1, np.int64)
    np.maximum.at(most, run[rows], ranks)
    number[rows] = np.where(most[run[rows]] > 1, ranks, 0)
    return Chains(number)


def _splits(run: Ints, code: Ints) -> Mask:
    """Return for each run whether the codes of its calls tell chains apart."""
    runs = int(run.max()) + 1
    some = np.flatnonzero(code != NONE)
    width = int(code.max(initial=0)) + 1
    pairs, uses = np.unique(run[some] * width + code[some], return_counts=True)
    owner = pairs // width
    distinct = np.bincount(owner, minlength=runs)
    once = np.bincount(owner[uses == 1], minlength=runs)
    calls = np.bincount(run[some], minlength=runs)
    changing = (once >= _CHANGING_PROMPTS) & (2 * once > calls)
    return (distinct > 1) & ~changing
