"""Pairs of spans that may be one call: near in the tree or in time, alike in counts."""

from itertools import combinations
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rollups.ledger.columns import (
    NONE,
    Ints,
    Mask,
    codes_of,
    equals,
    order_by,
    starts_of,
)
from rollups.ledger.crowds import match_crowd
from rollups.ledger.spans import Spans

SLACK_NANOS: Final = 2_000_000
"""How far a twin may stick out of the other: clocks are read one after the other."""
_LEVELS: Final = 3
_NEIGHBOURS: Final = 4

Column: TypeAlias = npt.NDArray[Any]


class Pool(NamedTuple):
    """Candidates of traces with several scopes, and what tells twins."""

    span: Column
    trace: Column
    parent: Column
    scope: Column
    id_kind: Column
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

    def at(self, rows: Ints) -> "Pool":
        """Return *rows* of the pool."""
        return Pool(*(column[rows] for column in self))


class Pairs(NamedTuple):
    """Rows of a pool, pairwise."""

    one: Ints
    other: Ints


def pool_of(
    spans: Spans, span: Ints, *, scope: Ints, id_kind: Ints, failed: Mask
) -> Pool:
    """
    Return what tells twins of candidates.

    Args:
        spans: Whole traces.

        span: Places of the candidates, ascending.

        scope: Codes of their scopes.

        id_kind: Kinds of response id that they have, as bits.

        failed: For every span, whether it failed.
    """

    def numbers(name: str) -> Ints:
        return spans.numbers(name)[span]

    counted = spans.known("input_tokens")[span]
    inclusive = numbers("input_tokens")
    cached = numbers("cache_read_tokens") + numbers("cache_write_tokens")
    operation = spans.pick("operation", span)
    models = (spans.pick(name, span) for name in ("request_model", "response_model"))
    # Codes of both columns must compare, so they are numbered together.
    model = codes_of(pa.concat_arrays(list(models)))[0]
    is_rerank = equals(operation, ("rerank",)).astype(np.int64)
    return Pool(
        span=span,
        trace=spans.trace[span],
        parent=spans.tree.up[span],
        scope=scope,
        id_kind=id_kind,
        start=numbers("start_unix_nano"),
        end=numbers("end_unix_nano"),
        inclusive=np.where(counted, inclusive, NONE),
        fresh=np.where(counted, np.maximum(inclusive - cached, 0), NONE),
        output=numbers("output_tokens"),
        kind=equals(operation, ("embeddings",)) + 2 * is_rerank,
        has_usage=spans.flags("has_usage")[span],
        failed=failed[span],
        request_model=model[: len(span)],
        response_model=model[len(span) :],
    )


def kin_pairs(spans: Spans, pool: Pool) -> Pairs:
    """Return the pairs, one above the other, that may be one call, best first."""
    kin = _kin(spans, pool)
    order = np.lexsort((kin.other, kin.one, _apart(pool, kin)))
    kin = Pairs(kin.one[order], kin.other[order])
    fit = _fits(pool, kin)
    return Pairs(kin.one[fit], kin.other[fit])


def all_pairs(spans: Spans, pool: Pool) -> Pairs:
    """
    Return the pairs that may be one call, best first.

    Both counted before one without counts, kin (one above the other) before others,
    crowds that pair off as a whole before those that do not, then the closest in time.
    """
    size = len(pool.span)
    kin = _kin(spans, pool)
    alike, paired_off = _alike(pool)
    quiet, quietly_paired_off = _quiet_siblings(spans, pool)
    crowded = _joined((paired_off, quietly_paired_off))
    found = _joined((kin, alike, quiet, crowded))
    keys, first = np.unique(_key(found, size), return_index=True)
    in_step = np.isin(keys, _key(crowded, size))
    is_kin = first < len(kin.one)
    pairs = Pairs(*np.divmod(keys, max(size, 1)))
    counted = pool.has_usage[pairs.one] & pool.has_usage[pairs.other]
    apart = _apart(pool, pairs)
    order = np.lexsort((pairs.other, pairs.one, apart, ~in_step, ~is_kin, ~counted))
    order = order[_fits(pool, pairs)[order]]
    return Pairs(pairs.one[order], pairs.other[order])


def _apart(pool: Pool, pairs: Pairs) -> Ints:
    """Return how far apart pairs start and end, in nanoseconds."""
    starts = np.abs(pool.start[pairs.one] - pool.start[pairs.other])
    return starts + np.abs(pool.end[pairs.one] - pool.end[pairs.other])


def _key(pairs: Pairs, size: int) -> Ints:
    low = np.minimum(pairs.one, pairs.other)
    return low * size + np.maximum(pairs.one, pairs.other)


def _kin(spans: Spans, pool: Pool) -> Pairs:
    """Return each row with its nearest candidates above, a few levels up."""
    row = np.full(spans.size + 1, NONE)
    row[pool.span] = np.arange(len(pool.span))
    above = np.append(spans.tree.nearest_above(row[:-1] != NONE), spans.size)
    ones, others = [], []
    pointer = pool.span
    for _ in range(_LEVELS):
        pointer = above[pointer]
        found = np.flatnonzero(pointer < spans.size)
        ones.append(found)
        others.append(row[pointer[found]])
    return Pairs(np.concatenate(ones), np.concatenate(others))


def _alike(pool: Pool) -> tuple[Pairs, Pairs]:
    """Return rows of different scopes whose counts may be the same, near in time."""
    some = np.flatnonzero(pool.has_usage)
    cached = some[pool.fresh[some] != pool.inclusive[some]]
    rows = np.r_[some, cached]
    amount = np.r_[pool.inclusive[some], pool.fresh[cached]]
    # Outputs that differ by one share a half in one of the two divisions.
    found = [
        _near(pool, rows, amount, (pool.output[rows] + shift) // 2, pool.trace[rows])
        for shift in (0, 1)
    ]
    pairs, in_step = zip(*found, strict=True)
    return _joined(pairs), _joined(in_step)


def _quiet_siblings(spans: Spans, pool: Pool) -> tuple[Pairs, Pairs]:
    """Return rows of different scopes under one parent, one of them without counts."""
    rows = np.flatnonzero(pool.parent < spans.size)
    quiet = np.zeros(spans.size + 1, np.bool_)
    quiet[pool.parent[rows[~pool.has_usage[rows]]]] = True
    rows = rows[quiet[pool.parent[rows]]]
    return _near(pool, rows, pool.parent[rows])


def _joined(pairs: tuple[Pairs, ...]) -> Pairs:
    return Pairs(
        np.concatenate([pair.one for pair in pairs]),
        np.concatenate([pair.other for pair in pairs]),
    )


def _near(pool: Pool, rows: Ints, *keys: Ints) -> tuple[Pairs, Pairs]:
    """
    Return rows of different scopes with equal keys that start or end about together.

    The second result are the pairs of crowds that pair off as a whole: the first to
    start in one scope with the first of the other, and so on.
    """
    group = _dense(*keys)
    mixed = in_mixed_groups(group, pool.scope[rows])
    rows, group = rows[mixed], group[mixed]
    if len(rows) == 0:
        return Pairs(rows, rows), Pairs(rows, rows)
    start, end, scope = pool.start[rows], pool.end[rows], pool.scope[rows]
    scoped = _dense(scope, group)
    by_start, by_end = _ranks(scoped, start), _ranks(scoped, end)
    found = []
    for value in (start, by_start, by_end):
        near = np.lexsort((scope, start, value, group))
        for step in range(1, _NEIGHBOURS + 1):
            one, other = near[:-step], near[step:]
            fit = (group[one] == group[other]) & (scope[one] != scope[other])
            found.append(Pairs(rows[one[fit]], rows[other[fit]]))
    return _joined(tuple(found)), _in_step(pool, rows, group, by_start)


def _in_step(pool: Pool, rows: Ints, group: Ints, rank: Ints) -> Pairs:
    """
    Return the pairs of equal rank in the groups where all of them fit.

    In the others each pair of scopes is matched on its own, as far as that goes.
    """
    order = np.lexsort((pool.scope[rows], rank, group))
    one, other = order[:-1], order[1:]
    meet = (group[one] == group[other]) & (rank[one] == rank[other])
    one, other = one[meet], other[meet]
    fit = _fits(pool, Pairs(rows[one], rows[other]))
    groups = int(group.max()) + 1
    ranks = np.zeros(groups, np.int64)
    np.maximum.at(ranks, group, rank + 1)
    sizes = np.bincount(group, minlength=groups)
    fitting = np.bincount(group[one[fit]], minlength=groups)
    # Every rank has the same scopes, and each pair of neighbours in it fits.
    scopes = sizes // np.maximum(ranks, 1)
    whole = (sizes == scopes * ranks) & (fitting == sizes - ranks)
    chosen = whole[group[one]]
    in_step = Pairs(rows[one[chosen]], rows[other[chosen]])
    left = np.flatnonzero(~whole[group])
    if not len(left):
        return in_step
    return _joined((in_step, _matched(pool, rows[left], group[left])))


def _matched(pool: Pool, rows: Ints, group: Ints) -> Pairs:
    """Return pairs of rows of different scopes, the longer of which has the other."""
    order = np.lexsort((rows, pool.scope[rows], group))
    rows, group, scope = rows[order], group[order], pool.scope[rows[order]]
    fresh = np.r_[True, (np.diff(group) != 0) | (np.diff(scope) != 0)]
    parts = np.split(rows, np.flatnonzero(fresh)[1:])
    of_group: dict[int, list[Ints]] = {}
    for number, part in zip(group[fresh].tolist(), parts, strict=True):
        of_group.setdefault(number, []).append(part)
    lengths = pool.end - pool.start
    found = [Pairs(rows[:0], rows[:0])]
    for crowd in of_group.values():
        for pair in combinations(crowd, 2):
            inner, outer = sorted(pair, key=lambda part: int(lengths[part].max()))
            ones, others = match_crowd(
                outer, inner, start=pool.start, end=pool.end, slack=SLACK_NANOS
            )
            found.append(Pairs(ones, others))
    return _joined(tuple(found))


def in_mixed_groups(group: Ints, scope: Ints) -> Mask:
    """Return which rows are in groups of several scopes; group numbers are dense."""
    if len(group) == 0:
        return np.zeros(0, np.bool_)
    numbered = group - group.min()
    one = np.full(int(numbered.max()) + 1, NONE)
    one[numbered] = scope
    several = np.zeros(len(one), np.bool_)
    several[numbered[one[numbered] != scope]] = True
    return several[numbered]


def _dense(*keys: Ints) -> Ints:
    """Return numbers that are equal where all *keys* are, by the last key first."""
    order = np.lexsort(keys)
    fresh = np.zeros(len(order), np.bool_)
    for key in keys:
        fresh[1:] |= np.diff(key[order]) != 0
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.cumsum(fresh)
    return numbers


def _ranks(group: Ints, value: Ints) -> Ints:
    order = order_by(group, value)
    ranks = np.empty_like(group)
    ranks[order] = np.arange(len(group)) - starts_of(group[order])
    return ranks


def _fits(pool: Pool, pairs: Pairs) -> Mask:
    """
    Return which pairs can be one call.

    Pairs with a member without counts are kin or siblings already: see who makes them.
    """
    one, other = pool.at(pairs.one), pool.at(pairs.other)
    return (
        (one.trace == other.trace)
        & (one.kind == other.kind)
        & (one.id_kind & other.id_kind == 0)
        & _contained(one, other)
        & np.where(
            one.has_usage & other.has_usage,
            _same_counts(one, other),
            _same_outcome(one, other),
        )
    )


def _contained(one: Pool, other: Pool) -> Mask:
    inside = (one.start <= other.start + SLACK_NANOS) & (
        other.end <= one.end + SLACK_NANOS
    )
    around = (other.start <= one.start + SLACK_NANOS) & (
        one.end <= other.end + SLACK_NANOS
    )
    return inside | around


def _same_counts(one: Pool, other: Pool) -> Mask:
    same_input = (
        (one.inclusive == other.inclusive)
        | (one.inclusive == other.fresh)
        | (one.fresh == other.inclusive)
        | (one.fresh == other.fresh)
    )
    return same_input & (np.abs(one.output - other.output) <= 1)


def _same_outcome(one: Pool, other: Pool) -> Mask:
    return (one.failed == other.failed) & (
        (one.request_model == other.request_model)
        | (one.request_model == other.response_model)
        | (one.response_model == other.request_model)
    )
