"""The growth detector: one verdict per chain, and the carry of each tool result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from rollups.growth.carry import Carried, Resent, attribute, measure_resent
from rollups.growth.chains import (
    CHAIN_COLUMNS,
    Conversations,
    Curve,
    read_conversations,
)
from rollups.growth.columns import usd_column, word_column
from rollups.growth.entry import FirstSent, first_sent
from rollups.growth.filled import call_columns, carried_columns, tool_columns
from rollups.growth.gathered import Gathered
from rollups.growth.loops import Loops, find_loops
from rollups.growth.money import (
    Amounts,
    carried_usd,
    of_results,
    price_new,
    price_resent,
    read_prompts,
    resent_usd,
)
from rollups.growth.results import Asked, Sizes, match_results, size_results
from rollups.growth.segments import Ints, prefix_sums
from rollups.growth.severity import (
    DEFAULT_LIMITS,
    SEVERITIES,
    Flags,
    Limits,
    grade,
)
from rollups.growth.shape import SHAPES, Growth, Steps, find_steps, judge_growth
from rollups.growth.shed import find_shedding
from rollups.growth.steady import steady_prompts
from rollups.growth.waste import Waste, measure_waste
from rollups.schema import CHAIN_SCHEMA


class Verdicts(NamedTuple):
    """What `judge_chains` returns: chains by key, the others in input order."""

    chains: pa.Table
    tool_calls: pa.Table
    calls: pa.Table


@dataclass(frozen=True, slots=True)
class _Findings:
    """Everything known per segment of the curve, and per tool row in asked order."""

    steps: Steps
    asked: Asked
    sizes: Sizes
    growth: Growth
    loops: Loops
    resent: Resent
    carried: Carried
    resent_by_call: Amounts
    resent_usd: Amounts
    shares_usd: Ints
    carried_usd: Amounts
    first_sent: FirstSent
    waste: Waste


def judge_chains(
    calls: pa.Table,
    tool_calls: pa.Table,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Verdicts:
    """
    Judge every chain on the calls it has made so far.

    A verdict depends on the rows of its own chain alone, in any order, so that
    judging again after each new span gives what one pass at the end gives.

    Args:
        calls: Finished, priced rows of whole traces (`rollups.schema.call_schema`).
            Embeddings and rerank calls are left out, failed calls and repeats are
            charged as waste.

        tool_calls: Rows of the same traces (`tool_call_schema`); more columns pass
            through.

        limits: Where severities begin.

    Returns:
        One row of `CHAIN_SCHEMA` per chain of *calls*, ordered by trace, run and
        chain id, without ``too_long``, which is a matter of other chains
        (`rollups.growth.lengths`); *tool_calls*, same rows and order, with
        ``result_tokens``, ``result_tokens_source``, the ``first_sent_`` and the
        ``carried_`` columns filled; and *calls*, same rows and order, with
        `rollups.schema.CARRY_FIELDS` filled. Tokens and dollars are exact and add up;
        dollars are null where a price is missing.
        Data never makes this function raise.
    """
    conversations = read_conversations(calls, tool_calls)
    found = _investigate(calls, tool_calls, conversations)
    return Verdicts(
        chains=_chain_table(calls, tool_calls, conversations, found, limits),
        tool_calls=_filled(
            tool_calls,
            tool_columns(
                found.asked,
                found.sizes,
                found.carried,
                found.carried_usd,
                found.first_sent,
            ),
        ),
        calls=_filled(
            calls,
            call_columns(
                calls, conversations, found.resent, found.resent_by_call, found.loops
            ),
        ),
    )


def _investigate(
    calls: pa.Table, tool_calls: pa.Table, conversations: Conversations
) -> _Findings:
    curve = conversations.curve
    asked = match_results(calls, tool_calls, conversations.keys, curve)
    sizes = size_results(tool_calls, asked, curve)
    steps = find_steps(curve.segments, curve.input_tokens, sizes.known)
    steady = steady_prompts(
        curve.segments, curve.input_tokens, sizes.known, sizes.entering
    )
    resent = measure_resent(curve, steady, sizes)
    carried = attribute(curve, resent, asked, sizes)
    loops = find_loops(tool_calls, asked, curve)
    prompts = read_prompts(calls, curve)
    by_call = price_resent(prompts, curve, resent)
    by_segment = resent_usd(curve, by_call)
    shares_usd = carried_usd(carried, by_segment)
    by_result = of_results(shares_usd, by_segment, curve, asked, carried)
    return _Findings(
        steps=steps,
        asked=asked,
        sizes=sizes,
        growth=judge_growth(
            curve.segments,
            curve.input_tokens,
            resent.resent,
            steps,
            find_shedding(curve.segments, steady, sizes),
        ),
        loops=loops,
        resent=resent,
        carried=carried,
        resent_by_call=by_call,
        resent_usd=by_segment,
        shares_usd=shares_usd,
        carried_usd=by_result,
        first_sent=first_sent(resent, asked, sizes, price_new(prompts, curve, resent)),
        waste=measure_waste(
            calls, conversations, steps, resent, asked, carried, by_result, loops
        ),
    )


def _chain_table(
    calls: pa.Table,
    tool_calls: pa.Table,
    conversations: Conversations,
    found: _Findings,
    limits: Limits,
) -> pa.Table:
    keys, curve = conversations.keys, conversations.curve
    segments, growth = curve.segments, found.growth
    chains = Gathered(keys.chains, curve, growth.quadratic)
    resent = chains.sums(segments.sums(found.resent.resent))
    total = chains.sums(segments.sums(curve.input_tokens))
    share = resent / np.maximum(total, 1)
    usd = Amounts(
        chains.sums(found.resent_usd.pico_usd), chains.every(found.resent_usd.known)
    )
    jumps = chains.sums(segments.sums(found.steps.jump.astype(np.int64)))
    quadratic = chains.of_lead(growth.quadratic, False)
    period = chains.of_lead(found.loops.period, 0)
    flags = Flags(
        quadratic=quadratic,
        jumped=jumps > 0,
        loop=period > 0,
        too_long=np.zeros(keys.chains, np.bool_),
        resent_tokens=resent,
        resent_share=share,
        waste_tokens=found.waste.tokens,
        resent_usd=usd,
    )
    first = calls.select(CHAIN_COLUMNS).take(pa.array(keys.first_rows))
    empty = ~chains.present
    columns = {
        "timestamp": pa.array(keys.starts).cast(pa.timestamp("us", tz="UTC")),
        **{name: first.column(name) for name in CHAIN_COLUMNS},
        "calls": pa.array(conversations.successes),
        "first_input_tokens": pa.array(
            chains.of_lead(curve.input_tokens[segments.starts], 0), mask=empty
        ),
        "quadratic": pa.array(quadratic),
        "growth_shape": word_column(chains.of_lead(growth.shape, 0), SHAPES),
        "growth_exponent": chains.ratios(growth.exponent),
        "growth_r2": chains.ratios(growth.r2),
        "slope_tokens_per_step": chains.ratios(growth.slope),
        "jump_steps": _jump_lists(curve, found.steps, jumps),
        "jump_tool": _jump_tools(tool_calls, keys.chains, curve, found),
        "jump_tokens": pa.array(
            _jump_tokens(found.steps, keys.chains, curve), mask=jumps == 0
        ),
        "is_loop": pa.array(period > 0),
        "loop_period": pa.array(period, pa.int32(), mask=period == 0),
        "loop_start": pa.array(
            chains.of_lead(_loop_starts(curve, found.loops), 0),
            pa.int32(),
            mask=period == 0,
        ),
        "loop_rounds": pa.array(
            chains.of_lead(found.loops.rounds, 0), pa.int32(), mask=period == 0
        ),
        "too_long": pa.nulls(keys.chains, pa.bool_()),
        "resent_tokens": pa.array(resent, mask=empty),
        "resent_share": pa.array(share, mask=empty),
        "excess_tokens": pa.array(
            chains.sums(segments.sums(_excess(curve))), mask=empty
        ),
        "waste_tokens": pa.array(found.waste.tokens),
        "resent_usd": usd_column(usd.pico_usd, usd.known),
        "waste_usd": usd_column(found.waste.usd.pico_usd, found.waste.usd.known),
        **carried_columns(chains, found.carried, found.shares_usd, usd.known),
        "severity": word_column(grade(flags, limits), SEVERITIES),
    }
    return pa.table([columns[name] for name in CHAIN_SCHEMA.names], CHAIN_SCHEMA)


def _excess(curve: Curve) -> Ints:
    """Return how much each prompt is larger than the chain's first one."""
    first = curve.input_tokens[curve.segments.starts][curve.segments.owner]
    return np.maximum(curve.input_tokens - first, 0)


def _jump_lists(curve: Curve, steps: Steps, counts: Ints) -> pa.Array:
    rows = np.flatnonzero(steps.jump)
    chain = curve.chain[curve.segments.owner[rows]]
    ordinals = curve.ordinal[rows][np.lexsort((curve.ordinal[rows], chain))]
    offsets = prefix_sums(counts).astype(np.int32)
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.array((ordinals + 1).astype(np.int32))
    )


def _jump_tokens(steps: Steps, chains: int, curve: Curve) -> Ints:
    """Return what the largest jump of each chain added, 0 without one."""
    tallest = np.zeros(chains, dtype=np.int64)
    rows = np.flatnonzero(steps.jump)
    chain = curve.chain[curve.segments.owner[rows]]
    np.maximum.at(tallest, chain, steps.change[rows])
    return tallest


def _loop_starts(curve: Curve, loops: Loops) -> Ints:
    """Return the place of each segment's loop among the chain's calls, from 1."""
    return np.append(curve.ordinal, -1)[loops.first] + 1


def _jump_tools(
    tool_calls: pa.Table, chains: int, curve: Curve, found: _Findings
) -> pa.Array:
    """Name the tool with the largest result in the prompt of the largest jump."""
    jumps = np.flatnonzero(found.steps.jump)
    chain = curve.chain[curve.segments.owner[jumps]]
    order = np.lexsort((-jumps, found.steps.change[jumps], chain))
    last = np.append(np.diff(chain[order]) != 0, True)[: len(order)]
    highest = np.zeros(curve.segments.size + 1, dtype=np.bool_)
    highest[jumps[order[last]]] = True
    rows = np.flatnonzero(highest[found.asked.enters])
    chain = curve.chain[curve.segments.owner[found.asked.enters[rows]]]
    best = np.lexsort((-rows, found.sizes.tokens[rows], chain))
    tool = np.full(chains, -1, dtype=np.int64)
    tool[chain[best]] = found.asked.rows[rows[best]]
    return tool_calls.column("tool_name").take(pa.array(tool, mask=tool < 0))


def _filled(table: pa.Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    for name, column in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(at), column)
    return table
