"""Columns that a verdict fills in: what calls and results cost, and whose it was."""

from typing import Final

import numpy as np
import pyarrow as pa

from rollups.growth.carry import Carried, Resent
from rollups.growth.chains import Conversations
from rollups.growth.columns import usd_column, validity, word_column
from rollups.growth.entry import FirstSent
from rollups.growth.exact import MAX_COST_PICO_USD
from rollups.growth.gathered import Gathered
from rollups.growth.loops import Loops
from rollups.growth.money import Amounts
from rollups.growth.results import SOURCES, UNKNOWN, Asked, Sizes
from rollups.growth.segments import Bools, Ints

WASTE_REASONS: Final = ("failed", "repeat", "loop", None)
_FAILED, _REPEAT, _LOOP, _NO_WASTE = range(4)

Columns = dict[str, pa.Array]


def carried_columns(
    chains: Gathered, carried: Carried, shares_usd: Ints, known: Bools
) -> Columns:
    """
    Return what each chain carried of results, of its answers, and of the rest.

    Tokens add up to ``resent_tokens`` and dollars to ``resent_usd``, both to the last
    unit.
    """
    items = carried.items
    columns: Columns = {}
    for name, by_item in (("tokens", carried.shares), ("usd", shares_usd)):
        answers, rest = by_item[items.answers], by_item[items.rest]
        results = items.segments.sums(by_item) - answers - rest
        parts = {"result": results, "output": answers, "other": rest}
        for kind, part in parts.items():
            total = chains.sums(part)
            columns[f"carried_{kind}_{name}"] = (
                usd_column(total, known)
                if name == "usd"
                else pa.array(total, mask=~chains.present)
            )
    return columns


def tool_columns(
    asked: Asked, sizes: Sizes, carried: Carried, usd: Amounts, first: FirstSent
) -> Columns:
    """Return what is known of each tool call's result, rows in input order."""
    placed = np.empty_like(asked.rows)
    placed[asked.rows] = np.arange(len(placed))
    source = sizes.source[placed]
    free = ~asked.charged[placed]

    def dollars(amounts: Amounts) -> pa.Array:
        return usd_column(amounts.pico_usd[placed], amounts.known[placed] & ~free)

    return {
        "result_tokens": pa.array(sizes.tokens[placed], mask=source == UNKNOWN),
        "result_tokens_source": word_column(source, SOURCES),
        "first_sent_tokens": pa.array(
            first.tokens[placed], mask=free | ~first.known[placed]
        ),
        "first_sent_usd": dollars(first.usd),
        "carried_tokens": pa.array(carried.tokens[placed], mask=free),
        "carried_usd": dollars(usd),
        "carried_steps": pa.array(carried.calls[placed], pa.int32(), mask=free),
    }


def call_columns(
    calls: pa.Table,
    conversations: Conversations,
    resent: Resent,
    resent_usd: Amounts,
    loops: Loops,
) -> Columns:
    """Return what each call sent first and again, and why it is waste, in order."""
    rows = conversations.curve.rows
    new = np.zeros(calls.num_rows, dtype=np.int64)
    again, pico_usd = np.zeros_like(new), np.zeros_like(new)
    counted = np.zeros(calls.num_rows, dtype=np.bool_)
    known = counted.copy()
    new[rows], again[rows], counted[rows] = resent.new, resent.resent, True
    pico_usd[rows] = resent_usd.pico_usd
    known[rows] = resent_usd.known & (resent_usd.pico_usd < MAX_COST_PICO_USD)
    reason = np.full(calls.num_rows, _NO_WASTE)
    reason[rows[loops.wasted]] = _LOOP
    bought_nothing = conversations.repeat_rows
    failed = validity(calls, "error_type")[bought_nothing]
    reason[bought_nothing] = np.where(failed, _FAILED, _REPEAT)
    return {
        "new_tokens": pa.array(new, mask=~counted),
        "resent_tokens": pa.array(again, mask=~counted),
        "resent_usd": usd_column(pico_usd, known).cast(pa.decimal128(18, 12)),
        "waste_reason": word_column(reason, WASTE_REASONS),
    }
