"""The growth detector: one verdict per chain, and the carry of each tool result."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rollups.growth.carry import Carried, Resent, attribute, measure_resent
from rollups.growth.chains import Conversations, read_conversations
from rollups.growth.columns import integers, usd_column
from rollups.growth.loops import Loops, find_loops
from rollups.growth.money import Amounts, carried_usd, price_resent, resent_usd
from rollups.growth.results import (
    SOURCES,
    UNKNOWN,
    Asked,
    Sizes,
    match_results,
    size_results,
)
from rollups.growth.segments import Bools, Floats, Ints
from rollups.growth.severity import DEFAULT_LIMITS, Flags, Limits, grade, too_long
from rollups.growth.shape import Growth, Steps, find_steps, judge_growth, shape_names
from rollups.growth.waste import Waste, measure_waste
from rollups.schema import CHAIN_SCHEMA


class Verdicts(NamedTuple):
    """What `judge_chains` returns: chains by key, and all tool calls in input order."""

    chains: pa.Table
    tool_calls: pa.Table


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
    resent_usd: Amounts
    carried_usd: Amounts
    waste: Waste


def judge_chains(
    calls: pa.Table,
    tool_calls: pa.Table,
    *,
    baselines: pa.Table | None = None,
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

        baselines: Usual lengths of workflows, for ``too_long``: ``agent_name``,
            ``feature`` and ``p95_calls`` of workflows with at least 20 earlier runs.
            Without a row ``too_long`` is null.

        limits: Where severities begin.

    Returns:
        One row of `CHAIN_SCHEMA` per chain of *calls*, ordered by trace, run and
        chain id; and *tool_calls*, same rows and order, with ``result_tokens``,
        ``result_tokens_source`` and the ``carried_`` columns filled. Tokens and
        dollars are exact and add up; dollars are null where a price is missing.
        Data never makes this function raise.
    """
    conversations = read_conversations(calls, tool_calls)
    found = _investigate(calls, tool_calls, conversations)
    long = too_long(calls, conversations, baselines)
    return Verdicts(
        chains=_chain_table(calls, tool_calls, conversations, found, long, limits),
        tool_calls=_completed(tool_calls, found),
    )


def _investigate(
    calls: pa.Table, tool_calls: pa.Table, conversations: Conversations
) -> _Findings:
    curve = conversations.curve
    steps = find_steps(curve.segments, curve.input_tokens)
    asked = match_results(calls, tool_calls, conversations.keys, curve)
    sizes = size_results(tool_calls, asked, curve, steps)
    resent = measure_resent(curve, steps, sizes)
    carried = attribute(curve, resent, asked, sizes)
    loops = find_loops(tool_calls, asked, curve)
    by_call = price_resent(calls, curve, resent)
    by_chain = resent_usd(curve, by_call)
    by_result = carried_usd(curve, asked, carried, by_chain)
    waste = measure_waste(calls, conversations, steps, asked, carried, by_result, loops)
    return _Findings(
        steps=steps,
        asked=asked,
        sizes=sizes,
        growth=judge_growth(curve.segments, curve.input_tokens, steps),
        loops=loops,
        resent=resent,
        carried=carried,
        resent_usd=by_chain,
        carried_usd=by_result,
        waste=waste,
    )


def _chain_table(
    calls: pa.Table,
    tool_calls: pa.Table,
    conversations: Conversations,
    found: _Findings,
    long: pa.Array,
    limits: Limits,
) -> pa.Table:
    keys, curve = conversations.keys, conversations.curve
    segments = curve.segments
    resent = segments.sums(found.resent.resent)
    total = segments.sums(curve.input_tokens)
    share = np.zeros(len(resent))
    np.divide(resent, total, out=share, where=total > 0)
    spread = _Spread(keys.chains, curve.chain)
    shares = spread.floats(share)
    resent_dollars = spread.amounts(found.resent_usd)
    jumps = spread.ints(segments.sums(found.steps.jump.astype(np.int64)))
    quadratic = spread.bools(found.growth.quadratic)
    looping = spread.ints(found.loops.period)
    counted = spread.known
    severity = grade(
        Flags(
            quadratic=quadratic,
            jumped=jumps > 0,
            loop=looping > 0,
            too_long=long.fill_null(False).to_numpy(zero_copy_only=False),
            resent_tokens=spread.ints(resent),
            resent_share=shares,
            waste_tokens=found.waste.tokens,
            resent_usd=resent_dollars,
        ),
        limits,
    )
    shape = np.full(keys.chains, "insufficient", dtype=object)
    shape[curve.chain] = shape_names(segments, found.growth, share)
    first = calls.take(pa.array(keys.first_rows))
    columns = {
        "timestamp": _starts(calls, keys.of_calls, keys.chains),
        "trace_id": first.column("trace_id"),
        "run_id": first.column("run_id"),
        "chain_id": first.column("chain_id"),
        "calls": pa.array(conversations.calls),
        "quadratic": pa.array(quadratic),
        "growth_shape": pa.array(shape, pa.string()),
        "growth_exponent": spread.ratios(found.growth.exponent),
        "growth_r2": spread.ratios(found.growth.r2),
        "slope_tokens_per_step": spread.ratios(found.growth.slope),
        "jump_steps": _jump_lists(conversations, found.steps, jumps),
        "jump_tool": _jump_tools(tool_calls, conversations, found),
        "is_loop": pa.array(looping > 0),
        "loop_period": pa.array(looping, pa.int32(), mask=looping == 0),
        "too_long": long,
        "resent_tokens": pa.array(spread.ints(resent), mask=~counted),
        "resent_share": pa.array(shares, mask=~counted),
        "excess_tokens": pa.array(
            spread.ints(segments.sums(found.resent.excess)), mask=~counted
        ),
        "waste_tokens": pa.array(found.waste.tokens),
        "resent_usd": usd_column(resent_dollars.pico_usd, resent_dollars.known),
        "waste_usd": usd_column(found.waste.usd.pico_usd, found.waste.usd.known),
        "severity": pa.array(severity, pa.string()),
    }
    return pa.table([columns[name] for name in CHAIN_SCHEMA.names], CHAIN_SCHEMA)


class _Spread:
    """Puts values per segment to their chains; chains without counts get nothing."""

    def __init__(self, chains: int, chain: Ints) -> None:
        self._chains = chains
        self._chain = chain
        self.known: Bools = np.zeros(chains, dtype=np.bool_)
        self.known[chain] = True

    def ints(self, values: Ints) -> Ints:
        wide = np.zeros(self._chains, dtype=np.int64)
        wide[self._chain] = values
        return wide

    def bools(self, values: Bools) -> Bools:
        wide = np.zeros(self._chains, dtype=np.bool_)
        wide[self._chain] = values
        return wide

    def floats(self, values: Floats) -> Floats:
        wide = np.zeros(self._chains)
        wide[self._chain] = values
        return wide

    def ratios(self, values: Floats) -> pa.Array:
        wide = np.full(self._chains, np.nan)
        wide[self._chain] = values
        return pa.array(wide, mask=np.isnan(wide))

    def amounts(self, values: Amounts) -> Amounts:
        return Amounts(self.ints(values.pico_usd), self.bools(values.known))


def _starts(calls: pa.Table, chain: Ints, chains: int) -> pa.Array:
    starts = np.full(chains, np.iinfo(np.int64).max)
    np.minimum.at(starts, chain, integers(calls, "timestamp", null=0))
    return pa.array(starts).cast(pa.timestamp("us", tz="UTC"))


def _jump_lists(conversations: Conversations, steps: Steps, counts: Ints) -> pa.Array:
    ordinals = (conversations.curve.ordinal[steps.jump] + 1).astype(np.int32)
    offsets = np.zeros(len(counts) + 1, dtype=np.int32)
    np.cumsum(counts, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(ordinals))


def _jump_tools(
    tool_calls: pa.Table, conversations: Conversations, found: _Findings
) -> pa.Array:
    """Name the tool with the largest result in the prompt of the largest jump."""
    curve, asked = conversations.curve, found.asked
    height = np.where(found.steps.jump, found.steps.change, 0)
    order = np.lexsort((-np.arange(len(height)), height, curve.segments.owner))
    highest = order[curve.segments.lasts]
    made = np.zeros(curve.segments.size, dtype=np.bool_)
    made[highest] = found.steps.jump[highest]
    rows = np.flatnonzero((asked.enters >= 0) & made[np.maximum(asked.enters, 0)])
    owner = curve.segments.owner[asked.enters[rows]]
    best = rows[np.lexsort((-rows, found.sizes.tokens[rows], owner))]
    owner = curve.segments.owner[asked.enters[best]]
    tool = np.full(conversations.keys.chains, -1, dtype=np.int64)
    tool[curve.chain[owner]] = asked.rows[best]
    return tool_calls.column("tool_name").take(pa.array(tool, mask=tool < 0))


def _completed(tool_calls: pa.Table, found: _Findings) -> pa.Table:
    rows = found.asked.rows
    source = _unsorted(found.sizes.source, rows)
    unknown = source == UNKNOWN
    charged = _unsorted(found.asked.charged, rows)
    dollars = _unsorted(found.carried_usd.known, rows) & charged
    names = pa.array([*SOURCES, None], pa.string())
    filled = {
        "result_tokens": pa.array(_unsorted(found.sizes.tokens, rows), mask=unknown),
        "result_tokens_source": names.take(pa.array(source)),
        "carried_tokens": pa.array(
            _unsorted(found.carried.tokens, rows), mask=~charged
        ),
        "carried_usd": usd_column(_unsorted(found.carried_usd.pico_usd, rows), dollars),
        "carried_steps": pa.array(
            _unsorted(found.carried.calls, rows), pa.int32(), mask=~charged
        ),
    }
    for name, column in filled.items():
        at = tool_calls.schema.get_field_index(name)
        tool_calls = tool_calls.set_column(at, tool_calls.schema.field(at), column)
    return tool_calls


def _unsorted(values: NDArray[Any], rows: Ints) -> NDArray[Any]:
    placed = np.empty_like(values)
    placed[rows] = values
    return placed
