"""Which spans are one call: by response id, else as pairs of twins."""

import itertools
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rollups.ledger.columns import NONE, Ints, Mask, codes_of, known, starts_of
from rollups.ledger.pairs import (
    Pairs,
    Pool,
    all_pairs,
    in_mixed_groups,
    kin_pairs,
    pool_of,
)
from rollups.ledger.spans import Spans

_LIBRARY_MADE_LENGTH: Final = 8
_GATEWAY_MADE: Final = r"^chatcmpl-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
"""Ids that LiteLLM makes where a provider's answer has another form than OpenAI's."""
_PROVIDERS, _GATEWAYS = 1, 2
_SCOPE_BITS: Final = 63
_FAIR_ROUNDS: Final = 32


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
    whose counts it repeats; a scope is never joined with itself. A gateway's own id
    says as much as a provider's, but a call may have one of each.
    """
    column = spans.pick("response_id", candidates)
    trace = spans.trace[candidates]
    label = _by_response_id(trace, column)
    # What a library logs and what it traces are two reports of one call.
    is_log = spans.words("kind", ("LOG",))[candidates]
    scope = codes_of(spans.pick("scope_name", candidates))[0] * 2 + is_log
    if not in_mixed_groups(trace, scope).any():
        return label
    id_kind = _id_kinds(column)
    units = _Units(label, trace, scope=scope, id_kind=id_kind)

    def pool_of_rows(rows: Ints) -> Pool:
        return pool_of(
            spans,
            candidates[rows],
            scope=scope[rows],
            id_kind=id_kind[rows],
            failed=failed,
        )

    rows = units.open_rows()
    if len(rows):
        pool = pool_of_rows(rows)
        kin = kin_pairs(spans, pool)
        counted = pool.has_usage[kin.one] & pool.has_usage[kin.other]
        units.join(rows, Pairs(kin.one[counted], kin.other[counted]))
        rows = units.open_rows()
    if len(rows):
        pool = pool_of_rows(rows)
        units.join(rows, all_pairs(spans, pool))
    return units.label


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


def _id_kinds(column: pa.Array) -> Ints:
    """Return for each id whose it is, a provider's or a gateway's; 0 without one."""
    kinds = np.where(known(column), _PROVIDERS, 0)
    made = pc.match_substring_regex(column, _GATEWAY_MADE)
    kinds[pc.fill_null(made, pa.scalar(False)).to_numpy(zero_copy_only=False)] = (
        _GATEWAYS
    )
    return kinds


class _Units:
    """
    Spans that are one call so far.

    A unit has at most one response id of a kind, and every scope at most once unless
    spans with its id say otherwise.
    """

    def __init__(self, label: Ints, trace: Ints, *, scope: Ints, id_kind: Ints) -> None:
        self.label = label
        self._trace = trace
        bits = np.uint64(1) << (scope % _SCOPE_BITS).astype(np.uint64)
        self._scopes = np.zeros(len(label), np.uint64)
        np.bitwise_or.at(self._scopes, label, bits)
        self._of_trace = np.zeros(int(trace[-1]) + 1, np.uint64)
        np.bitwise_or.at(self._of_trace, trace, bits)
        self._id_kind = np.zeros(len(label), np.int64)
        np.bitwise_or.at(self._id_kind, label, id_kind)

    def open_rows(self) -> Ints:
        """Return the rows whose unit lacks a scope of their trace."""
        has = self._scopes[self.label]
        return np.flatnonzero(self._of_trace[self._trace] & ~has)

    def join(self, rows: Ints, pairs: Pairs) -> None:
        """
        Join units pairwise, the best pairs first, until no pair is left.

        Args:
            rows: Rows that the pairs are places in.

            pairs: From best to worst.

        Each round joins pairs that are the best of both their units, so rounds are
        few. In a crowd where each waits for the next, what is left after some rounds
        is joined in an order that mixes well.
        """
        one, other = rows[pairs.one], rows[pairs.other]
        for turn in itertools.count():
            free = self._may_join(one, other)
            one, other = one[free], other[free]
            if len(one) == 0:
                return
            if turn == _FAIR_ROUNDS:
                order = np.argsort(self._mixed(one, other), kind="stable")
                one, other = one[order], other[order]
            left, right = self.label[one], self.label[other]
            mutual = _best_of_both(left, right, units=len(self.label))
            self._merge(left[mutual], right[mutual])

    def _may_join(self, one: Ints, other: Ints) -> Mask:
        left, right = self.label[one], self.label[other]
        return (
            (left != right)
            & (self._scopes[left] & self._scopes[right] == 0)
            & (self._id_kind[left] & self._id_kind[right] == 0)
        )

    def _merge(self, left: Ints, right: Ints) -> None:
        keep, drop = np.minimum(left, right), np.maximum(left, right)
        self._scopes[keep] |= self._scopes[drop]
        self._id_kind[keep] |= self._id_kind[drop]
        renamed = np.arange(len(self.label))
        renamed[drop] = keep
        self.label = renamed[self.label]

    def _mixed(self, one: Ints, other: Ints) -> npt.NDArray[np.uint64]:
        """Return a number for each pair that depends on places in its trace alone."""
        place = np.arange(len(self.label)) - starts_of(self._trace)
        seed = place[one].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        seed += place[other].astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
        return (seed ^ (seed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)


def _best_of_both(left: Ints, right: Ints, *, units: int) -> Mask:
    places = np.arange(len(left))
    best = np.full(units, len(left))
    np.minimum.at(best, left, places)
    np.minimum.at(best, right, places)
    return (best[left] == places) & (best[right] == places)
