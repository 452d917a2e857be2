"""Which spans are one call: by response id, else by time, scope and counts."""

from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rollups.ledger.columns import NONE, Ints, Mask, codes_of, equals, starts_of
from rollups.ledger.spans import Spans

SLACK_NANOS: Final = 2_000_000
"""How far a twin may stick out of the other: clocks are read one after the other."""
_LEVELS: Final = 3
_NEIGHBOURS: Final = 8
_LIBRARY_MADE_LENGTH: Final = 8
_SCOPE_BITS: Final = 63

Column: TypeAlias = npt.NDArray[Any]


class _Pool(NamedTuple):
    """Candidates of traces with several scopes, and what tells twins."""

    span: Column
    trace: Column
    scope: Column
    start: Column
    end: Column
    inclusive: Column
    fresh: Column
    output: Column
    kind: Column
    has_usage: Column
    failed: Column
    request_model: Column
    response_model: Column

    def at(self, rows: Ints) -> "_Pool":
        """Return *rows* of the pool."""
        return _Pool(*(column[rows] for column in self))


class _Pairs(NamedTuple):
    """Rows of the pool that may be one call; ``kin`` if one is above the other."""

    one: Ints
    other: Ints
    kin: Mask


def group_calls(spans: Spans, candidates: Ints, failed: Mask) -> Ints:
    """
    Return for each of *candidates* a number that is equal for spans of one call.

    Args:
        spans: Whole traces.

        candidates: Places of spans that are calls, ascending.

        failed: For every span, whether it failed.

    A response id makes one call of all spans of a trace that have it; an id of more
    than eight characters is the provider's and does so across traces. A span without
    an id joins the twin of another scope that it contains or that contains it and
    whose counts it repeats; a scope is never joined with itself.
    """
    column = spans.pick("response_id", candidates)
    label = _by_response_id(spans.trace[candidates], column)
    scope = codes_of(spans.pick("scope_name", candidates))[0]
    several = in_mixed_traces(spans.trace[candidates], scope)
    if several.any():
        rows = np.flatnonzero(several)
        pool = _pool_of(spans, candidates[rows], scope[rows], failed)
        has_id = column.is_valid().to_numpy(zero_copy_only=False)
        _join(label, rows, pool, _pairs_of(spans, pool), has_id)
    return label


def _by_response_id(trace: Ints, column: pa.Array) -> Ints:
    code, texts = codes_of(column)
    label = np.arange(len(code))
    with_id = np.flatnonzero(code != NONE)
    if len(with_id) == len(texts):
        return label
    lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
    code = code[with_id]
    across = lengths[code] > _LIBRARY_MADE_LENGTH
    within = np.where(across, NONE, trace[with_id])
    order = np.lexsort((within, code))
    changed = np.r_[True, (np.diff(code[order]) != 0) | (np.diff(within[order]) != 0)]
    first = starts_of(np.cumsum(changed))
    label[with_id[order]] = with_id[order[first]]
    return label


def in_mixed_traces(trace: Ints, scope: Ints) -> Mask:
    """Return which rows are in traces of several scopes; traces ascend."""
    if len(trace) == 0:
        return np.zeros(0, np.bool_)
    numbered = trace - trace[0]
    one = np.full(numbered[-1] + 1, NONE)
    one[numbered] = scope
    several = np.zeros(len(one), np.bool_)
    several[numbered[one[numbered] != scope]] = True
    return several[numbered]


def _pool_of(spans: Spans, span: Ints, scope: Ints, failed: Mask) -> _Pool:
    def numbers(name: str) -> Ints:
        return spans.numbers(name)[span]

    known = spans.known("input_tokens")[span]
    inclusive = numbers("input_tokens")
    cached = numbers("cache_read_tokens") + numbers("cache_write_tokens")
    operation = spans.pick("operation", span)
    models = (spans.pick(name, span) for name in ("request_model", "response_model"))
    # Codes of both columns must compare, so they are numbered together.
    model = codes_of(pa.concat_arrays(list(models)))[0]
    return _Pool(
        span=span,
        trace=spans.trace[span],
        scope=scope,
        start=numbers("start_unix_nano"),
        end=numbers("end_unix_nano"),
        inclusive=np.where(known, inclusive, NONE),
        fresh=np.where(known, np.maximum(inclusive - cached, 0), NONE),
        output=numbers("output_tokens"),
        kind=equals(operation, ("embeddings",))
        + 2 * equals(operation, ("rerank",)).astype(np.int64),
        has_usage=spans.flags("has_usage")[span],
        failed=failed[span],
        request_model=model[: len(span)],
        response_model=model[len(span) :],
    )


def _pairs_of(spans: Spans, pool: _Pool) -> _Pairs:
    rows = np.full(spans.size + 1, NONE)
    rows[pool.span] = np.arange(len(pool.span))
    kin = _kin(spans, pool, rows)
    near = [
        _neighbours(pool.trace, (pool.output + parity) // 2, pool.start, pool.has_usage)
        for parity in (0, 1)
    ]
    parent = spans.tree.up[pool.span]
    near.append(_neighbours(pool.trace, parent, pool.start, parent < spans.size))
    one = np.concatenate([kin[0], *(pair[0] for pair in near)])
    other = np.concatenate([kin[1], *(pair[1] for pair in near)])
    low, high = np.minimum(one, other), np.maximum(one, other)
    is_kin = np.arange(len(one)) < len(kin[0])
    _, first = np.unique(low * len(rows) + high, return_index=True)
    return _likely(pool, spans, _Pairs(low[first], high[first], is_kin[first]))


def _kin(spans: Spans, pool: _Pool, rows: Ints) -> tuple[Ints, Ints]:
    """Return each row with its nearest candidates above, a few levels up."""
    above = np.append(spans.tree.nearest_above(rows[:-1] != NONE), spans.size)
    ones, others = [], []
    pointer = pool.span
    for _ in range(_LEVELS):
        pointer = above[pointer]
        found = np.flatnonzero(pointer < spans.size)
        ones.append(found)
        others.append(rows[pointer[found]])
    return np.concatenate(ones), np.concatenate(others)


def _neighbours(
    trace: Ints, bucket: Ints, start: Ints, usable: Mask
) -> tuple[Ints, Ints]:
    """Return rows of one trace and bucket that start one after the other."""
    some = np.flatnonzero(usable)
    order = some[np.lexsort((start[some], bucket[some], trace[some]))]
    ones, others = [], []
    for step in range(1, _NEIGHBOURS + 1):
        one, other = order[:-step], order[step:]
        same = (trace[one] == trace[other]) & (bucket[one] == bucket[other])
        ones.append(one[same])
        others.append(other[same])
    return np.concatenate(ones), np.concatenate(others)


def _likely(pool: _Pool, spans: Spans, pairs: _Pairs) -> _Pairs:
    """Return the pairs that can be one call, best first."""
    one, other = pool.at(pairs.one), pool.at(pairs.other)
    siblings = spans.tree.up[one.span] == spans.tree.up[other.span]
    likely = (
        (one.scope != other.scope)
        & (one.kind == other.kind)
        & _contained(one, other)
        & np.where(
            one.has_usage & other.has_usage,
            _same_counts(one, other),
            (pairs.kin | siblings) & _same_outcome(one, other),
        )
    )
    apart = np.abs(one.start - other.start) + np.abs(one.end - other.end)
    counted = one.has_usage & other.has_usage
    order = np.lexsort((pairs.other, pairs.one, apart, ~pairs.kin, ~counted))
    order = order[likely[order]]
    return _Pairs(*(column[order] for column in pairs))


def _contained(one: _Pool, other: _Pool) -> Mask:
    inside = (one.start <= other.start + SLACK_NANOS) & (
        other.end <= one.end + SLACK_NANOS
    )
    around = (other.start <= one.start + SLACK_NANOS) & (
        one.end <= other.end + SLACK_NANOS
    )
    return inside | around


def _same_counts(one: _Pool, other: _Pool) -> Mask:
    same_input = (
        (one.inclusive == other.inclusive)
        | (one.inclusive == other.fresh)
        | (one.fresh == other.inclusive)
        | (one.fresh == other.fresh)
    )
    return same_input & (np.abs(one.output - other.output) <= 1)


def _same_outcome(one: _Pool, other: _Pool) -> Mask:
    return (one.failed == other.failed) & (
        (one.request_model == other.request_model)
        | (one.request_model == other.response_model)
        | (one.response_model == other.request_model)
    )


def _join(label: Ints, rows: Ints, pool: _Pool, pairs: _Pairs, has_id: Mask) -> None:
    """
    Join units of spans pairwise, the best pairs first, until none is left.

    A unit has at most one response id and every scope at most once. Each round joins
    pairs that are the best of both their units, so rounds are few.
    """
    scopes = np.zeros(len(label), np.uint64)
    bits = np.uint64(1) << (pool.scope % _SCOPE_BITS).astype(np.uint64)
    np.bitwise_or.at(scopes, label[rows], bits)
    ids = np.zeros(len(label), np.bool_)
    ids[label[rows]] = has_id[rows]
    one, other = rows[pairs.one], rows[pairs.other]
    while True:
        left, right = label[one], label[other]
        free = (
            (left != right)
            & (scopes[left] & scopes[right] == 0)
            & ~(ids[left] & ids[right])
        )
        one, other, left, right = one[free], other[free], left[free], right[free]
        if len(one) == 0:
            return
        places = np.arange(len(one))
        best = np.full(len(label), len(one))
        np.minimum.at(best, left, places)
        np.minimum.at(best, right, places)
        mutual = (best[left] == places) & (best[right] == places)
        keep = np.minimum(left[mutual], right[mutual])
        drop = np.maximum(left[mutual], right[mutual])
        scopes[keep] |= scopes[drop]
        ids[keep] |= ids[drop]
        renamed = np.arange(len(label))
        renamed[drop] = keep
        label[:] = renamed[label]
