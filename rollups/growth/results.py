"""Tool results: which call asked for them, which prompt they enter, their size."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from rollups.growth.chains import TOKEN_LIMIT, Curve, Keys
from rollups.growth.columns import integers, text_codes, validity
from rollups.growth.segments import Bools, Floats, Ints, group_sums, prefix_sums
from rollups.growth.shape import Steps

DEFAULT_TOKENS_PER_BYTE: Final = 0.25
LEAST_TOKENS_PER_BYTE: Final = 1 / 16
MOST_TOKENS_PER_BYTE: Final = 1.0

SOURCES: Final = ("reported", "size", "difference")
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

        charged: Whether the chain has counted calls, so that its carry is known.
    """

    rows: Ints
    caller: Ints
    enters: Ints
    charged: Bools


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens of each asked result, where they come from, and sums per prompt."""

    tokens: Ints
    source: Ints
    entering: Ints


def match_results(
    calls: pa.Table, tool_calls: pa.Table, keys: Keys, curve: Curve
) -> Asked:
    """
    Find the call that asked for each tool call.

    It is the last counted call of the chain that started no later than the tool,
    unless another one of the same step did: parallel steps overlap in time.
    """
    start = integers(tool_calls, "timestamp", null=0)
    call_start = integers(calls, "timestamp", null=0)[curve.rows]
    chain = curve.chain[curve.segments.owner]
    caller = _last_before(chain, call_start, keys.of_tools, start)
    caller = _same_step(calls, tool_calls, curve, keys.of_tools, caller)
    following = np.minimum(caller + 1, max(curve.segments.size - 1, 0))
    follows = caller >= 0
    if curve.segments.size:
        follows &= (caller + 1 < curve.segments.size) & (
            curve.segments.place[following] > 0
        )
    enters = np.where(follows, following, -1)
    (span,) = text_codes(tool_calls.column("span_id"))
    rows = np.lexsort((span, start, keys.of_tools, caller))
    counted = np.zeros(keys.chains + 1, dtype=np.bool_)
    counted[curve.chain] = True
    return Asked(
        rows=rows,
        caller=caller[rows],
        enters=enters[rows],
        charged=counted[keys.of_tools[rows]],
    )


def size_results(
    tool_calls: pa.Table, asked: Asked, curve: Curve, steps: Steps
) -> Sizes:
    """
    Give each result a size in tokens: as reported, from its bytes, or from growth.

    Bytes become tokens by the chain's own ratio. What has neither shares what the
    next prompt grew by beyond everything known; before that prompt it is unknown.
    """
    reported = validity(tool_calls, "result_tokens")[asked.rows]
    measured = validity(tool_calls, "result_bytes")[asked.rows] & ~reported
    tokens = np.clip(integers(tool_calls, "result_tokens", null=0), 0, TOKEN_LIMIT)
    tokens = tokens[asked.rows]
    size = np.clip(integers(tool_calls, "result_bytes", null=0), 0, TOKEN_LIMIT)
    size = size[asked.rows]
    source = np.where(reported, REPORTED, np.where(measured, SIZE, UNKNOWN))
    if measured.any():
        ratio = _tokens_per_byte(asked, curve, steps, size, tokens, reported, measured)
        converted = np.rint(size * ratio).astype(np.int64)
        tokens = np.where(measured, np.minimum(converted, TOKEN_LIMIT), tokens)
    entering = _by_prompt(asked, curve, tokens)
    guess = (source == UNKNOWN) & (asked.enters >= 0)
    if guess.any():
        grown = np.maximum(steps.change - _answers(curve) - entering, 0)
        tokens[guess] = _equal_parts(asked.enters[guess], grown)
        source[guess] = DIFFERENCE
        entering = _by_prompt(asked, curve, tokens)
    return Sizes(tokens=tokens, source=source, entering=entering)


def _answers(curve: Curve) -> Ints:
    answers = curve.segments.previous(curve.output_tokens)
    answers[curve.segments.starts] = 0
    return answers


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
    steps: Steps,
    size: Ints,
    tokens: Ints,
    reported: Bools,
    measured: Bools,
) -> Floats:
    """Return each row's ratio: of reported results, else of growth, else default."""
    chains = len(curve.segments.counts)
    inside = asked.caller >= 0
    chain = np.where(inside, curve.segments.owner[np.maximum(asked.caller, 0)], 0)
    both = inside & reported & (size > 0)
    told = group_sums(tokens[both], chain[both], chains)
    told_bytes = group_sums(size[both], chain[both], chains)
    entering = _by_prompt(asked, curve, np.where(measured, size, 0))
    others = _by_prompt(asked, curve, (~measured).astype(np.int64))
    grown = steps.change - _answers(curve)
    clean = (entering > 0) & (others == 0) & (grown > 0)
    seen = curve.segments.sums(np.where(clean, grown, 0))
    seen_bytes = curve.segments.sums(np.where(clean, entering, 0))
    use_told = told_bytes > 0
    top = np.where(use_told, told, seen).astype(np.float64)
    bottom = np.where(use_told, told_bytes, seen_bytes).astype(np.float64)
    ratio = np.full(chains, DEFAULT_TOKENS_PER_BYTE)
    np.divide(top, bottom, out=ratio, where=bottom > 0)
    ratio = np.clip(ratio, LEAST_TOKENS_PER_BYTE, MOST_TOKENS_PER_BYTE)
    if not chains:
        return np.full(len(chain), DEFAULT_TOKENS_PER_BYTE)
    return np.where(inside, ratio[chain], DEFAULT_TOKENS_PER_BYTE)


def _last_before(chain: Ints, start: Ints, of_tools: Ints, tool_start: Ints) -> Ints:
    """Return the last row with the tool's chain that started no later, else -1."""
    if not len(chain) or not len(of_tools):
        return np.full(len(of_tools), -1, dtype=np.int64)
    everyone = np.concatenate([chain, of_tools])
    times = np.concatenate([start, tool_start])
    is_tool = np.zeros(len(everyone), dtype=np.int8)
    is_tool[len(chain) :] = 1
    order = np.lexsort((is_tool, times, everyone))
    seen = prefix_sums((order < len(chain)).astype(np.int64))[1:] - 1
    last = np.empty(len(everyone), dtype=np.int64)
    last[order] = seen
    last = last[len(chain) :]
    found = (last >= 0) & (chain[np.maximum(last, 0)] == of_tools)
    return np.where(found, last, -1)


def _same_step(
    calls: pa.Table, tool_calls: pa.Table, curve: Curve, of_tools: Ints, caller: Ints
) -> Ints:
    """Move rows whose step is another call's to that call, the last one of it."""
    tool_step = integers(tool_calls, "step", null=-1)
    step = integers(calls, "step", null=-1)[curve.rows]
    if not len(step):
        return caller
    met = np.where(caller >= 0, step[np.maximum(caller, 0)], -1)
    strays = np.flatnonzero((tool_step >= 0) & (of_tools >= 0) & (met != tool_step))
    if not len(strays):
        return caller
    chain = curve.chain[curve.segments.owner]
    width = max(int(step.max()), int(tool_step.max())) + 2
    stepped = np.flatnonzero(step >= 0)
    have = chain[stepped] * width + step[stepped]
    order = np.argsort(have, kind="stable")
    want = of_tools[strays] * width + tool_step[strays]
    at = np.searchsorted(have[order], want, side="right") - 1
    hit = (at >= 0) & (have[order][np.maximum(at, 0)] == want)
    caller = caller.copy()
    caller[strays[hit]] = stepped[order[at[hit]]]
    return caller
