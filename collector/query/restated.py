"""The ledger as it would be if calls had cost what restatements say."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.query.texts import query_text
from collector.query.times import Period
from rollups.growth.lengths import with_lengths
from rollups.ledger import Ledger, reprice_ledger

RESTATED_TABLES: Final = ("calls", "tool_calls", "runs", "chains")
"""Tables that depend on what calls cost."""

AROUND: Final = timedelta(days=1)
"""Traces are whole if they lie within this of the time asked for."""

_CALLS_AT_ONCE: Final = 500_000
_OF_RUN: Final = "verdict_chain_id"


def widened(period: Period) -> Period:
    """Return *period* with what lies around it."""
    since, until = period
    return Period(since and since - AROUND, until and until + AROUND)


def restated_rows(
    connection: duckdb.DuckDBPyConnection, dimensions: tuple[str, ...]
) -> Mapping[str, pa.Table]:
    """
    Return the ledger rows of all traces with a restated call, made again.

    A share of the traces at a time, so that memory is bounded.

    Args:
        connection: Sees ``calls_restated``, ``runs``, ``tool_calls`` and ``chains``.

        dimensions: Names of configured dimensions.
    """
    traces = connection.sql(query_text("restated_traces")).to_arrow_table()
    before = np.cumsum(traces.column("calls").to_numpy()) // _CALLS_AT_ONCE
    parts: dict[str, list[pa.Table]] = {name: [] for name in RESTATED_TABLES}
    for share in np.unique(before):
        chosen = traces.filter(pa.array(before == share)).select(["trace_id"])
        connection.register("chosen_traces", chosen)
        calls, tool_calls, runs = (
            connection.sql(
                f"SELECT * FROM {name} SEMI JOIN chosen_traces USING (trace_id)"  # noqa: S608
            ).to_arrow_table()
            for name in ("calls_restated", "tool_calls", "runs")
        )
        ledger = reprice_ledger(calls, tool_calls, runs, dimensions=dimensions)
        ledger = _with_lengths(connection, ledger)
        for name, tables in parts.items():
            tables.append(getattr(ledger, name))
    return {name: pa.concat_tables(tables) for name, tables in parts.items() if tables}


def _with_lengths(connection: duckdb.DuckDBPyConnection, ledger: Ledger) -> Ledger:
    """Return *ledger* with ``too_long`` as recorded: costs do not change lengths."""
    recorded = connection.sql(
        "SELECT trace_id, chain_id, too_long FROM chains"
        " SEMI JOIN chosen_traces USING (trace_id)"
    ).to_arrow_table()
    known = _keys(recorded, "chain_id")
    of_rows = (
        recorded.column("too_long").take(pc.index_in(_keys(rows, name), known))
        for rows, name in ((ledger.chains, "chain_id"), (ledger.runs, _OF_RUN))
    )
    chains, runs = of_rows
    return ledger._replace(
        chains=with_lengths(ledger.chains, chains),
        runs=with_lengths(ledger.runs, runs),
    )


def _keys(rows: pa.Table, name: str) -> pa.Array:
    keys = pc.binary_join_element_wise(rows.column("trace_id"), rows.column(name), "/")
    whole: pa.Array = keys.combine_chunks()
    return whole
