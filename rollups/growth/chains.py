"""Call rows in the order of their chains, repeats set apart from the curve."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rollups.growth.columns import (
    fold_codes,
    integers,
    text_codes,
    validity,
)
from rollups.growth.segments import Bools, Ints, Segments, from_counts

KEY_COLUMNS = ("trace_id", "run_id", "chain_id")
SIDE_OPERATIONS = pa.array(["embeddings", "rerank"])
"""Operations that carry no conversation."""

TOKEN_LIMIT = 2**31 - 1
"""No prompt is this long; larger counts are taken as this, so that sums fit."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Chain of each call row and tool row, chains numbered in key order."""

    chains: int
    of_calls: Ints
    of_tools: Ints
    first_rows: Ints


@dataclass(frozen=True, slots=True)
class Curve:
    """
    The counted calls of all chains, chain by chain in time.

    Attributes:
        rows: Row of each counted call in the calls table.

        segments: One segment per chain that has a counted call.

        chain: Number of each segment's chain.

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
    """All chains: their counted calls, and the rows that were wasted as repeats."""

    keys: Keys
    curve: Curve
    calls: Ints
    repeat_rows: Ints


def find_keys(calls: pa.Table, tool_calls: pa.Table) -> Keys:
    """Number the chains of *calls*; a tool row without a chain there gets -1."""
    codes = np.zeros(calls.num_rows + tool_calls.num_rows, dtype=np.int64)
    for name in KEY_COLUMNS:
        parts = text_codes(calls.column(name), tool_calls.column(name))
        codes = fold_codes(codes, np.concatenate(parts))
    of_calls = codes[: calls.num_rows]
    present, first_rows, dense = np.unique(
        of_calls, return_index=True, return_inverse=True
    )
    renumber = np.full(int(codes.max(initial=-1)) + 1, -1, dtype=np.int64)
    renumber[present] = np.arange(len(present))
    return Keys(
        chains=len(present),
        of_calls=dense.astype(np.int64),
        of_tools=renumber[codes[calls.num_rows :]],
        first_rows=first_rows.astype(np.int64),
    )


def read_conversations(calls: pa.Table, tool_calls: pa.Table) -> Conversations:
    """
    Order the calls of each chain and drop from the curve what repeats.

    Order: start, step, span id. Failed calls are never on the curve. A successful
    call repeats the one before it when both sent equally many tokens and share a
    declared step or an input hash, or have a failed call of that size between them.
    """
    keys = find_keys(calls, tool_calls)
    spoken = pc.is_in(calls.column("operation"), SIDE_OPERATIONS).to_numpy()
    order = _time_order(calls, keys.of_calls, np.flatnonzero(~spoken))
    chain = keys.of_calls[order]
    known_input = validity(calls, "input_tokens")[order]
    tokens = np.clip(integers(calls, "input_tokens", null=0)[order], 0, TOKEN_LIMIT)
    failed = validity(calls, "error_type")[order]
    repeated = _repeats(calls, order, chain, np.where(known_input, tokens, -1), failed)
    kept = ~failed & ~repeated
    curve_rows = kept & known_input
    counts = np.bincount(chain[curve_rows], minlength=keys.chains)
    present = np.flatnonzero(counts)
    successes = np.cumsum(kept)
    before_chain = np.zeros(keys.chains, dtype=np.int64)
    per_chain = np.bincount(chain[kept], minlength=keys.chains)
    before_chain[1:] = np.cumsum(per_chain)[:-1]
    output = integers(calls, "output_tokens", null=0)
    hidden = integers(calls, "reasoning_tokens", null=0)
    rows = order[curve_rows]
    curve = Curve(
        rows=rows,
        segments=from_counts(counts[present]),
        chain=present,
        ordinal=(successes - 1)[curve_rows] - before_chain[chain[curve_rows]],
        input_tokens=tokens[curve_rows],
        output_tokens=np.clip((output - hidden)[rows], 0, TOKEN_LIMIT),
    )
    return Conversations(
        keys=keys, curve=curve, calls=per_chain, repeat_rows=order[~kept]
    )


def _time_order(calls: pa.Table, chain: Ints, rows: Ints) -> Ints:
    start = integers(calls, "timestamp", null=0)[rows]
    step = integers(calls, "step", null=-1)[rows]
    order = rows[np.lexsort((step, start, chain[rows]))]
    same = (
        (np.diff(chain[order]) == 0)
        & (np.diff(integers(calls, "timestamp", null=0)[order]) == 0)
        & (np.diff(integers(calls, "step", null=-1)[order]) == 0)
    )
    if not same.any():
        return order
    (span,) = text_codes(calls.column("span_id"))
    return rows[np.lexsort((span[rows], step, start, chain[rows]))]


def _repeats(
    calls: pa.Table, order: Ints, chain: Ints, tokens: Ints, failed: Bools
) -> Bools:
    """Tell which successful calls repeat the successful call before them."""
    repeated = np.zeros(len(order), dtype=np.bool_)
    good = np.flatnonzero(~failed)
    if len(good) < 2:
        return repeated
    before, after = good[:-1], good[1:]
    alike = (chain[before] == chain[after]) & (tokens[before] == tokens[after])
    alike &= tokens[after] >= 0
    if not alike.any():
        return repeated
    before, after = before[alike], after[alike]
    step = integers(calls, "step", null=-1)
    declared = pc.is_in(
        calls.column("step_source"), pa.array(["own", "frame"])
    ).to_numpy()
    step = np.where(declared, step, -1)[order]
    (message,) = text_codes(calls.column("input_hash"))
    message = message[order]
    same_step = (step[before] == step[after]) & (step[after] >= 0)
    told_apart = (
        (step[before] != step[after]) & (step[before] >= 0) & (step[after] >= 0)
    )
    same_message = (message[before] == message[after]) & (message[after] >= 0)
    failure = (after - before > 1) & (
        (tokens[after - 1] == tokens[after]) | (tokens[before + 1] == tokens[after])
    )
    repeated[after[same_step | same_message | (failure & ~told_apart)]] = True
    return repeated
