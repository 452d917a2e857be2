"""Ledger rows of whole traces with other costs than they were made with."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rollups.ledger.build import Draft, Ledger, finish_ledger
from rollups.ledger.columns import NONE, Ints, integers
from rollups.schema import COST_COLUMNS, EXCLUDED_SCHEMA

_TOLD: Final = "reported"
"""Source of a result's size that is no finding of ours."""


def reprice_ledger(
    calls: pa.Table,
    tool_calls: pa.Table,
    runs: pa.Table,
    *,
    dimensions: tuple[str, ...] = (),
) -> Ledger:
    """
    Make again what depends on what calls cost: sums of runs, verdicts, carried dollars.

    Args:
        calls: All calls of some traces, with other values in `COST_COLUMNS`.

        tool_calls: All tool calls of the same traces.

        runs: All runs of the same traces. Calls of a run that is not there are left
            out.

        dimensions: Names of configured dimensions.

    Returns:
        The ledger as `finish_ledger` gives it, without ``excluded``.
    """
    names = _keys(runs, "run_id")
    run = _places(_keys(calls, "run_id"), names)
    if (run == NONE).any():
        calls = calls.filter(pa.array(run != NONE))
        run = run[run != NONE]
    draft = Draft(
        calls=calls,
        excluded=EXCLUDED_SCHEMA.empty_table(),
        tool_calls=_untold(tool_calls),
        runs=runs,
        call_runs=run,
        run_parents=_places(_keys(runs, "parent_run_id"), names),
    )
    return finish_ledger(draft, calls.select(COST_COLUMNS), dimensions=dimensions)


def _untold(tool_calls: pa.Table) -> pa.Table:
    """Return tool calls without the sizes of results that were found out."""
    told = pc.equal(tool_calls.column("result_tokens_source"), _TOLD)
    place = tool_calls.schema.get_field_index("result_tokens")
    sizes = pc.if_else(pc.fill_null(told, False), tool_calls.column(place), None)
    return tool_calls.set_column(place, tool_calls.schema.field(place), sizes)


def _keys(rows: pa.Table, name: str) -> pa.Array:
    """Return trace and run as one text, null without a run."""
    joined = pc.binary_join_element_wise(
        rows.column("trace_id"), rows.column(name), "/"
    )
    whole: pa.Array = joined.combine_chunks()
    return whole


def _places(keys: pa.Array, among: pa.Array) -> Ints:
    if not len(among):
        return np.full(len(keys), NONE)
    return integers(pc.index_in(keys, value_set=among, skip_nulls=True), null=NONE)
