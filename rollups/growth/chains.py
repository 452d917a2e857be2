"""Call rows in the order of their chains, repeats set apart from the curve."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rollups.growth.columns import equality_codes, integers, row_codes, text_codes
from rollups.growth.columns import validity as has_value
from rollups.growth.lanes import find_lanes
from rollups.growth.segments import Bools, Ints, Segments, from_counts

KEY_COLUMNS: Final = ("trace_id", "run_id", "chain_id")
CHAIN_COLUMNS: Final = (
    *KEY_COLUMNS,
    "tenant",
    "project",
    "environment",
    "feature",
    "agent_name",
    "agent_version",
)
"""What a chain has of its first call."""

SIDE_OPERATIONS: Final = (
    "embeddings",
    "rerank",
    "image_generation",
    "speech",
    "transcription",
    "aggregate",
)
"""Operations that carry no conversation; the ledger gives their calls no step."""

TOTAL_OPERATION: Final = "aggregate"
"""A run total that was booked for want of calls: no call, so on no curve."""

DECLARED_STEPS: Final = ("own", "frame")
"""Sources of a step number that tell two calls of the same step from two steps."""

TOKEN_LIMIT: Final = 2**31 - 1
"""No prompt is this long; larger counts are taken as this, so that sums fit."""


@dataclass(frozen=True, slots=True)
class Keys:
    """
    Chain of each call row and tool row, chains numbered in key order.

    Attributes:
        of_tools: -1 where no call has the tool's chain.

        first_rows: Row of each chain's first call.

        starts: Earliest start of a call of each chain, microseconds.
    """

    of_calls: Ints
    of_tools: Ints
    first_rows: Ints
    starts: Ints

    @property
    def chains(self) -> int:
        """Number of chains."""
        return len(self.first_rows)


@dataclass(frozen=True, slots=True)
class Curve:
    """
    The counted calls of all chains, chain by chain in time.

    Attributes:
        rows: Row of each counted call in the calls table.

        segments: One per chain with a counted call, two per tangled chain.

        chain: Number of each segment's chain, ascending.

        ordinal: Place of the call among the chain's successful calls, from 0.

        input_tokens: Size of the prompt, cached tokens included.

        output_tokens: Tokens answered that come back in the next prompt.
    """

    rows: Ints
    segments: Segments
    chain: Ints
    ordinal: Ints
    input_tokens: Ints
    output_tokens: Ints


@dataclass(frozen=True, slots=True)
class Conversations:
    """All chains: their counted calls, and the rows that bought nothing."""

    keys: Keys
    curve: Curve
    successes: Ints
    repeat_rows: Ints


def read_conversations(calls: pa.Table, tool_calls: pa.Table) -> Conversations:
    """
    Order the calls of each chain and drop from the curve what repeats.

    Order: start, step, span id. Failed calls are never on the curve. A successful
    call repeats the one before it when both sent equally many tokens and share a
    declared step or an input hash, or have a failed call of that size between them.
    """
    keys = _find_keys(calls, tool_calls)
    order = _time_order(calls, keys)
    chain = keys.of_calls[order]
    counted = has_value(calls, "input_tokens")[order]
    tokens = np.clip(integers(calls, "input_tokens", null=0)[order], 0, TOKEN_LIMIT)
    failed = has_value(calls, "error_type")[order]
    repeated = _repeats(calls, order, chain, np.where(counted, tokens, -1), failed)
    kept = ~failed & ~repeated
    successes = np.bincount(chain[kept], minlength=keys.chains)
    ordinal = np.cumsum(kept) - 1 - (np.cumsum(successes) - successes)[chain]
    on_curve = np.flatnonzero(kept & counted)
    curve = _curve(
        calls, order[on_curve], chain[on_curve], ordinal[on_curve], tokens[on_curve]
    )
    return Conversations(
        keys=keys, curve=curve, successes=successes, repeat_rows=order[~kept]
    )


def time_keys(keys: Keys, chain: Ints, start: Ints, longest: int) -> Ints:
    """Return integers that sort by chain and start; starts outside are clipped."""
    width = longest + 3
    since = np.clip(start - keys.starts[chain], -1, longest + 1)
    return chain * width + since + 1


def longest_chain(calls: pa.Table, keys: Keys) -> int:
    """Return the microseconds from a chain's first start to its last, at most."""
    start = integers(calls, "timestamp", null=0)
    longest = int((start - keys.starts[keys.of_calls]).max(initial=0))
    return min(longest, 2**62 // max(keys.chains, 1) - 3)


def _find_keys(calls: pa.Table, tool_calls: pa.Table) -> Keys:
    calls_codes, tool_codes = row_codes([calls, tool_calls], KEY_COLUMNS)
    codes = max(int(calls_codes.max(initial=-1)), int(tool_codes.max(initial=-1))) + 1
    present = np.zeros(codes, dtype=np.bool_)
    present[calls_codes] = True
    renumber = np.where(present, np.cumsum(present) - 1, -1)
    of_calls = renumber[calls_codes]
    chains = int(present.sum())
    starts = np.full(chains, np.iinfo(np.int64).max)
    start = integers(calls, "timestamp", null=0)
    np.minimum.at(starts, of_calls, start)
    return Keys(
        of_calls=of_calls,
        of_tools=renumber[tool_codes],
        first_rows=_first_rows(
            calls, of_calls, np.flatnonzero(start == starts[of_calls])
        ),
        starts=starts,
    )


def _first_rows(calls: pa.Table, of_calls: Ints, earliest: Ints) -> Ints:
    """Return of each chain its row among *earliest*; of several by span id."""
    chain = of_calls[earliest]
    first = np.zeros(int(chain.max(initial=-1)) + 1, dtype=np.int64)
    if len(first) < len(earliest):
        (span,) = text_codes(calls.column("span_id").take(pa.array(earliest)))
        earliest = earliest[np.lexsort((span, chain))[::-1]]
        chain = of_calls[earliest]
    first[chain] = earliest
    return first


def _curve(
    calls: pa.Table, rows: Ints, chain: Ints, ordinal: Ints, tokens: Ints
) -> Curve:
    counts = np.bincount(chain)
    present = np.flatnonzero(counts)
    segments = from_counts(counts[present])
    lane = find_lanes(segments, tokens)
    if lane.any():
        order = np.lexsort((lane, chain))
        rows, chain, ordinal, tokens = (
            values[order] for values in (rows, chain, ordinal, tokens)
        )
        heads = np.flatnonzero(
            (np.diff(chain, prepend=-1) != 0) | (np.diff(lane[order], prepend=0) != 0)
        )
        present = chain[heads]
        segments = from_counts(np.diff(heads, append=len(rows)))
    output = integers(calls, "output_tokens", null=0)[rows]
    hidden = integers(calls, "reasoning_tokens", null=0)[rows]
    return Curve(
        rows=rows,
        segments=segments,
        chain=present,
        ordinal=ordinal,
        input_tokens=tokens,
        output_tokens=np.clip(output - hidden, 0, TOKEN_LIMIT),
    )


def _time_order(calls: pa.Table, keys: Keys) -> Ints:
    aside = pa.array((*SIDE_OPERATIONS, TOTAL_OPERATION))
    side = pc.is_in(calls.column("operation"), aside).to_numpy()
    rows = np.flatnonzero(~side)
    chain = keys.of_calls[rows]
    start = integers(calls, "timestamp", null=0)[rows]
    sortable = time_keys(keys, chain, start, longest_chain(calls, keys))
    order = np.argsort(sortable, kind="stable")
    if np.all(np.diff(sortable[order]) > 0):
        return rows[order]
    step = integers(calls, "step", null=-1)[rows]
    (span,) = text_codes(calls.column("span_id"))
    return rows[np.lexsort((span[rows], step, start, chain))]


def _repeats(
    calls: pa.Table, order: Ints, chain: Ints, tokens: Ints, failed: Bools
) -> Bools:
    """Tell which successful calls repeat the successful call before them."""
    repeated = np.zeros(len(order), dtype=np.bool_)
    good = np.flatnonzero(~failed)
    before, after = good[:-1], good[1:]
    alike = (chain[before] == chain[after]) & (tokens[before] == tokens[after])
    alike &= tokens[after] >= 0
    if not alike.any():
        return repeated
    before, after = before[alike], after[alike]
    both = calls.select(("step", "step_source", "input_hash")).take(
        pa.array(np.concatenate([order[before], order[after]]))
    )
    declared = pc.is_in(both.column("step_source"), pa.array(DECLARED_STEPS))
    step = np.where(declared.to_numpy(), integers(both, "step", null=-1), -1)
    first, second = np.split(step, 2)
    message, repetition = np.split(equality_codes(both.column("input_hash")), 2)
    same_step = (first == second) & (first >= 0)
    other_step = (first != second) & (first >= 0) & (second >= 0)
    same_message = (message == repetition) & (message >= 0)
    failure = (after - before > 1) & (
        (tokens[after - 1] == tokens[after]) | (tokens[before + 1] == tokens[after])
    )
    repeated[after[same_step | same_message | (failure & ~other_step)]] = True
    return repeated
