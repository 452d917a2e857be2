"""Tool results: which call asked for them, which prompt they enter, their size."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from rollups.growth.chains import (
    TOKEN_LIMIT,
    Curve,
    Keys,
    longest_chain,
    time_keys,
)
from rollups.growth.columns import integers, text_codes, validity
from rollups.growth.ratio import DEFAULT_TOKENS_PER_BYTE, fitted_ratio
from rollups.growth.segments import Bools, Floats, Ints, group_sums

CUT_TENTHS: Final = 3
"""A prompt that lost three tenths and more says nothing of what entered it."""

LEAST_TOKENS_PER_BYTE: Final = 1 / 16
MOST_TOKENS_PER_BYTE: Final = 1.0

SOURCES: Final = ("reported", "size", "difference", None)
REPORTED, SIZE, DIFFERENCE, UNKNOWN = range(4)


@dataclass(frozen=True, slots=True)
class Asked:
    """
    Tool rows in the order of the counted calls that asked for them.

    Attributes:
        rows: Row of each tool call in the tool_calls table, all of them.

        caller: Index on the curve of the call that asked; -1 if none did.

        enters: Index on the curve of the call whose prompt has the result; -1 if
            there is none yet.

        opening: Index on the curve of the first call, for results that stand before
            it; else -1.

        charged: Whether the chain has counted calls, so that its carry is known.
    """

    rows: Ints
    caller: Ints
    enters: Ints
    opening: Ints
    charged: Bools


@dataclass(frozen=True, slots=True)
class Sizes:
    """
    Tokens of each asked result and what is known to enter each prompt.

    Attributes:
        tokens: Size of each result; 0 where unknown.

        source: Index into `SOURCES` per result.

        answer: Tokens of the answer before that enter a prompt.

        entering: Tokens of tool results that enter it.

        measured: Those of them that were worked out from bytes.
    """

    tokens: Ints
    source: Ints
    answer: Ints
    entering: Ints
    measured: Ints

    @property
    def known(self) -> Ints:
        """Tokens known to be new in each prompt."""
        return self.answer + self.entering


def match_results(
    calls: pa.Table, tool_calls: pa.Table, keys: Keys, curve: Curve
) -> Asked:
    """
    Find the call that asked for each tool call.

    It is the last counted call of the chain that started no later than the tool,
    unless another one of the same step did: parallel steps overlap in time.
    """
    rows, caller = _last_caller(calls, tool_calls, keys, curve)
    caller = _same_step(calls, tool_calls, curve, keys.of_tools[rows], rows, caller)
    if np.any(np.diff(caller) < 0):
        order = np.argsort(caller, kind="stable")
        rows, caller = rows[order], caller[order]
    following = np.append(curve.segments.place, 0) > 0
    enters = np.where((caller >= 0) & following[caller + 1], caller + 1, -1)
    counted = np.zeros(keys.chains + 1, dtype=np.bool_)
    counted[curve.chain] = True
    charged = counted[keys.of_tools[rows]]
    return Asked(
        rows=rows,
        caller=caller,
        enters=enters,
        opening=_opening(curve, keys.of_tools[rows], early=charged & (caller < 0)),
        charged=charged,
    )


def _opening(curve: Curve, chain: Ints, *, early: Bools) -> Ints:
    """Return the first counted call of the chains of rows that are *early*, else -1."""
    opening = np.full(len(chain), -1, dtype=np.int64)
    first = np.searchsorted(curve.chain, chain[early])
    opening[early] = curve.segments.starts[first]
    return opening


def size_results(tool_calls: pa.Table, asked: Asked, curve: Curve) -> Sizes:
    """
    Give each result a size in tokens: as reported, from its bytes, or from growth.

    Bytes become tokens by the chain's own ratio. What has neither shares what the
    next prompt grew by beyond everything known; before that prompt it is unknown.
    """
    reported = validity(tool_calls, "result_tokens")[asked.rows]
    measured = validity(tool_calls, "result_bytes")[asked.rows] & ~reported
    tokens = _counts(tool_calls, "result_tokens", asked.rows)
    answer = curve.segments.previous(curve.output_tokens)
    answer[curve.segments.starts] = 0
    grown = curve.input_tokens - curve.segments.previous(curve.input_tokens) - answer
    source = np.where(reported, REPORTED, np.where(measured, SIZE, UNKNOWN))
    if measured.any():
        size = _counts(tool_calls, "result_bytes", asked.rows)
        ratio = _tokens_per_byte(asked, curve, grown, size, tokens, reported, measured)
        converted = np.minimum(np.rint(size * ratio), TOKEN_LIMIT).astype(np.int64)
        tokens = np.where(measured, converted, tokens)
    entering = _by_prompt(asked, curve, tokens)
    guess = (source == UNKNOWN) & (asked.enters >= 0)
    if guess.any():
        tokens[guess] = _equal_parts(
            asked.enters[guess], np.maximum(grown - entering, 0)
        )
        source[guess] = DIFFERENCE
        entering = _by_prompt(asked, curve, tokens)
    return Sizes(
        tokens=tokens,
        source=source,
        answer=answer,
        entering=entering,
        measured=_by_prompt(asked, curve, np.where(measured, tokens, 0)),
    )


def _counts(tool_calls: pa.Table, name: str, rows: Ints) -> Ints:
    counts: Ints = np.clip(integers(tool_calls, name, null=0), 0, TOKEN_LIMIT)[rows]
    return counts


def _by_prompt(asked: Asked, curve: Curve, tokens: Ints) -> Ints:
    inside = asked.enters >= 0
    return group_sums(tokens[inside], asked.enters[inside], curve.segments.size)


def _equal_parts(prompt: Ints, grown: Ints) -> Ints:
    """Split ``grown[prompt]`` over equal neighbours, earlier rows the remainder."""
    first = np.searchsorted(prompt, prompt, side="left")
    count = np.searchsorted(prompt, prompt, side="right") - first
    rank = np.arange(len(prompt)) - first
    return grown[prompt] // count + (rank < grown[prompt] % count)


def _tokens_per_byte(
    asked: Asked,
    curve: Curve,
    grown: Ints,
    size: Ints,
    tokens: Ints,
    reported: Bools,
    measured: Bools,
) -> Floats:
    """Return each row's ratio: of reported results, else of growth, else the usual."""
    chains = len(curve.segments.counts)
    inside = asked.caller >= 0
    both = inside & reported & (size > 0)
    owner = np.append(curve.segments.owner, chains)[asked.caller]
    told = group_sums(tokens[both], owner[both], chains)
    told_bytes = group_sums(size[both], owner[both], chains)
    entering = _by_prompt(asked, curve, np.where(measured, size, 0))
    others = _by_prompt(asked, curve, (~measured).astype(np.int64))
    before = curve.segments.previous(curve.input_tokens)
    cut = 10 * (before - curve.input_tokens) > CUT_TENTHS * before
    ratio = np.full(chains + 1, DEFAULT_TOKENS_PER_BYTE)
    ratio[:-1] = fitted_ratio(
        curve.segments, np.where((others == 0) & ~cut, entering, 0), grown
    )
    np.divide(told, told_bytes, out=ratio[:-1], where=told_bytes > 0)
    return np.clip(ratio, LEAST_TOKENS_PER_BYTE, MOST_TOKENS_PER_BYTE)[owner]


def _last_caller(
    calls: pa.Table, tool_calls: pa.Table, keys: Keys, curve: Curve
) -> tuple[Ints, Ints]:
    """Return tool rows by chain and start, and the last call before each, else -1."""
    longest = longest_chain(calls, keys)
    start = integers(tool_calls, "timestamp", null=0)
    tool_keys = np.full(len(start), -1, dtype=np.int64)
    chained = np.flatnonzero(keys.of_tools >= 0)
    tool_keys[chained] = time_keys(
        keys, keys.of_tools[chained], start[chained], longest
    )
    rows = _sorted_rows(tool_calls, tool_keys, start)
    chain = curve.chain[curve.segments.owner]
    call_start = integers(calls, "timestamp", null=0)[curve.rows]
    call_keys = time_keys(keys, chain, call_start, longest)
    places = np.argsort(call_keys, kind="stable")
    merged = np.argsort(
        np.concatenate([call_keys[places], tool_keys[rows]]), kind="stable"
    )
    is_call = merged < len(places)
    latest = np.append(places, -1)[(np.cumsum(is_call) - 1)[~is_call]]
    same = np.append(chain, -2)[latest] == keys.of_tools[rows]
    return rows, np.where(same, latest, -1)


def _sorted_rows(tool_calls: pa.Table, sortable: Ints, start: Ints) -> Ints:
    rows: Ints = np.argsort(sortable, kind="stable")
    if np.all(np.diff(sortable[rows]) > 0):
        return rows
    (span,) = text_codes(tool_calls.column("span_id"))
    return np.lexsort((span, start, sortable))


def _same_step(
    calls: pa.Table,
    tool_calls: pa.Table,
    curve: Curve,
    chain: Ints,
    rows: Ints,
    caller: Ints,
) -> Ints:
    """Move tools whose step is another call's to that call, the last one of it."""
    wanted = integers(tool_calls, "step", null=-1)[rows]
    step = integers(calls, "step", null=-1)[curve.rows]
    met = np.append(step, -1)[caller]
    strays = np.flatnonzero((wanted >= 0) & (chain >= 0) & (met != wanted))
    stepped = np.flatnonzero(step >= 0)
    if not len(strays) or not len(stepped):
        return caller
    width = max(int(step.max()), int(wanted.max())) + 1
    have = curve.chain[curve.segments.owner[stepped]] * width + step[stepped]
    order = np.argsort(have, kind="stable")
    have = have[order]
    want = chain[strays] * width + wanted[strays]
    at = np.searchsorted(have, want, side="right") - 1
    hit = (at >= 0) & (have[np.maximum(at, 0)] == want)
    moved = caller.copy()
    moved[strays[hit]] = stepped[order[at[hit]]]
    return moved
