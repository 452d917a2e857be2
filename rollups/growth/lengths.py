"""Chains far longer than those of their workflow before them."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rollups.growth.columns import fold_codes, integers, pico_usd, text_codes
from rollups.growth.money import Amounts
from rollups.growth.segments import Bools, Ints
from rollups.growth.severity import DEFAULT_LIMITS, SEVERITIES, Flags, grade

WORKFLOW: Final = ("tenant", "feature", "agent_name")
"""Columns that tell whose usual length counts."""
EARLIER_HOURS: Final = 24
"""How many whole hours before the one in which a chain began it is compared with."""
EARLIER_CHAINS: Final = 20
"""Least number of earlier chains of a workflow; with fewer nothing is known."""
LONG_FACTOR: Final = 1.5
LONG_CALLS: Final = 8
"""A chain is too long beyond 1.5 times its workflow's p95, and by 8 calls at least."""

LENGTH_SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name in WORKFLOW),
        ("calls", pa.int64()),
        ("chains", pa.int64()),
    ]
)
_MOST_USD: Final = pa.scalar(999_999, pa.decimal128(38, 12))


def count_lengths(chains: pa.Table) -> pa.Table:
    """
    Return how many chains of each workflow made how many calls.

    Chains without a successful call, such as those of embeddings only, do not count.

    Args:
        chains: Has `WORKFLOW` and ``calls``, and maybe ``chains``, how many chains a
            row stands for; else it is one.

    Returns:
        Rows of `LENGTH_SCHEMA`, any order; equal for equal chains. Concatenated counts
        may be counted again.
    """
    keys = [*WORKFLOW, "calls"]
    chains = chains.filter(pc.field("calls") > 0)
    if "chains" not in chains.column_names:
        chains = chains.append_column("chains", pa.repeat(1, chains.num_rows))
    counted = chains.group_by(keys).aggregate([("chains", "sum")])
    counted = counted.select([*keys, "chains_sum"]).rename_columns([*keys, "chains"])
    return counted.cast(LENGTH_SCHEMA)


def usual_lengths(counts: pa.Table) -> pa.Table:
    """
    Return the 95th percentile of calls of each workflow that has enough chains.

    Args:
        counts: Rows of `LENGTH_SCHEMA`; several for one length add up.

    Returns:
        `WORKFLOW` and ``p95_calls``, ordered by these: the least number of calls that
        95 % of the chains do not exceed.
    """
    workflow = _codes(counts)[0]
    calls = integers(counts, "calls", null=0)
    chains = integers(counts, "chains", null=0)
    order = np.lexsort((calls, workflow))
    size = int(workflow.max(initial=-1)) + 1
    total = np.zeros(size, np.int64)
    np.add.at(total, workflow, chains)
    before = np.cumsum(total) - total
    among = workflow[order]
    reached = np.cumsum(chains[order]) - before[among]
    enough = total[among] >= EARLIER_CHAINS
    rows = np.flatnonzero(enough & (100 * reached >= 95 * total[among]))
    _, first = np.unique(among[rows], return_index=True)
    found = counts.take(pa.array(order[rows[first]])).select([*WORKFLOW, "calls"])
    return found.rename_columns([*WORKFLOW, "p95_calls"]).combine_chunks()


def tell_lengths(rows: pa.Table, usual: pa.Table, *, calls: str = "calls") -> pa.Table:
    """
    Fill ``too_long`` of chains or runs, and grade them anew.

    Args:
        rows: Have `WORKFLOW`, ``too_long`` and `rollups.schema.GROWTH_FIELDS`.

        usual: From `usual_lengths`, of the time before these rows began.

        calls: The column with the calls of the chain that is judged.

    Returns:
        The same rows; ``too_long`` is null where *usual* does not know the workflow,
        and ``severity`` counts it.
    """
    made = integers(rows, calls, null=-1)
    mine, known = _codes(rows, usual)
    p95 = np.full(max(mine.max(initial=-1), known.max(initial=-1)) + 1, np.nan)
    p95[known] = usual.column("p95_calls").cast(pa.float64()).to_numpy()
    threshold = np.maximum(LONG_FACTOR * p95[mine], p95[mine] + LONG_CALLS)
    unknown = np.isnan(threshold) | (made < 0)
    return with_lengths(rows, pa.array(made > threshold, mask=unknown))


def with_lengths(rows: pa.Table, too_long: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Return chains or runs with another ``too_long``, and ``severity`` by it."""
    judged = rows.column("severity").is_valid()
    grades = grade(_flags(rows, too_long), DEFAULT_LIMITS)
    words = pa.array(SEVERITIES).take(pa.array(grades))
    severity = pc.if_else(judged, words, None)
    return _set(_set(rows, "too_long", too_long), "severity", severity)


def _set(rows: pa.Table, name: str, column: pa.Array | pa.ChunkedArray) -> pa.Table:
    place = rows.schema.get_field_index(name)
    return rows.set_column(place, rows.schema.field(place), column)


def _codes(*tables: pa.Table) -> list[Ints]:
    """Number the workflows of several tables, equal ones alike, in their order."""
    sizes = [table.num_rows for table in tables]
    codes = np.zeros(sum(sizes), np.int64)
    for name in WORKFLOW:
        parts = text_codes(*(table.column(name) for table in tables))
        codes = fold_codes(codes, np.concatenate(parts))
    return np.split(codes, np.cumsum(sizes)[:-1])


def _flags(rows: pa.Table, too_long: pa.Array | pa.ChunkedArray) -> Flags:
    usd = rows.column("resent_usd")
    capped = pc.min_element_wise(usd, _MOST_USD, skip_nulls=False)
    share = rows.column("resent_share").fill_null(0.0)
    jumps = pc.fill_null(pc.list_value_length(rows.column("jump_steps")), 0)
    return Flags(
        quadratic=_mask(rows.column("quadratic")),
        jumped=_mask(pc.greater(jumps, 0)),
        loop=_mask(rows.column("is_loop")),
        too_long=_mask(too_long),
        resent_tokens=integers(rows, "resent_tokens", null=0),
        resent_share=share.to_numpy(),
        waste_tokens=integers(rows, "waste_tokens", null=0),
        resent_usd=Amounts(
            pico_usd(pa.table({"resent_usd": capped}), "resent_usd"),
            _mask(usd.is_valid()),
        ),
    )


def _mask(column: pa.Array | pa.ChunkedArray) -> Bools:
    return np.asarray(column.fill_null(False)).astype(np.bool_)
