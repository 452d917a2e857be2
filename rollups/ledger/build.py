"""The two halves of the ledger: before pricing and after it."""

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rollups.growth import judge_chains
from rollups.ledger.billable import bill
from rollups.ledger.calls import Calls
from rollups.ledger.columns import NONE, Ints, Mask, known, take
from rollups.ledger.identity import identities, of_calls, one_each, said
from rollups.ledger.rows import (
    Columns,
    call_rows,
    excluded_rows,
    operations,
    run_rows,
    tool_rows,
)
from rollups.ledger.runs import Runs, agent_distance, nearest_agent, place_runs
from rollups.ledger.spans import Spans, identity_names, read_spans
from rollups.ledger.steps import is_in_loop, number_chains, number_steps
from rollups.ledger.tools import asking_calls, find_tools
from rollups.ledger.totals import call_sums, cost_sums, costliest_chains
from rollups.schema import (
    ARRIVAL_FIELD,
    CHAIN_SCHEMA,
    COST_COLUMNS,
    EXCLUDED_SCHEMA,
    GROWTH_FIELDS,
    call_schema,
    run_schema,
    tool_call_schema,
)

_COST_SUMS: Final = ("cost_usd", "subtree_cost_usd", "coverage")
_OF_CHAIN: Final = {
    "chain_id": "verdict_chain_id",
    "calls": "verdict_calls",
    **{field.name: field.name for field in GROWTH_FIELDS},
}
"""What a run has of its costliest chain, by the chain's names."""


class Draft(NamedTuple):
    """
    The ledger of whole traces before pricing.

    ``calls`` lacks `COST_COLUMNS` and has `ARRIVAL_FIELD`; ``runs`` lacks its sums of
    money and the verdict.
    ``call_runs`` is each call's row in ``runs``, ``run_parents`` each run's parent row,
    -1 without.
    """

    calls: pa.Table
    excluded: pa.Table
    tool_calls: pa.Table
    runs: pa.Table
    call_runs: Ints
    run_parents: Ints


class Ledger(NamedTuple):
    """The finished tables, each with its schema of `rollups.schema`."""

    calls: pa.Table
    excluded: pa.Table
    tool_calls: pa.Table
    runs: pa.Table
    chains: pa.Table


class _Read(NamedTuple):
    """What is known of the spans before rows are made of them."""

    spans: Spans
    failed: Mask
    calls: Calls
    tools: Ints
    runs: Runs

    @property
    def call_run(self) -> Ints:
        """Return each call's run."""
        return self.runs.of_span[self.calls.span]

    @property
    def tool_run(self) -> Ints:
        """Return each tool call's run."""
        return self.runs.of_span[self.tools]


def draft_ledger(spans: pa.Table, *, dimensions: tuple[str, ...] = ()) -> Draft:
    """
    Turn the spans of whole traces into ledger rows that wait for prices.

    Args:
        spans: Normalised spans with at least `required_fields`, in any order, repeats
            and several versions of a span included. Traces are whole, and traces that
            share a provider's response id come together.

        dimensions: Names of configured dimensions.

    Returns:
        Tables sorted by (trace_id, timestamp, span_id or run_id), equal for equal sets
        of spans. Every usage-bearing span is either a call's ``span_id`` or stands in
        ``excluded``, never both, except with the reason ``retransmitted``: then an
        older version of the billed span is meant.

    Raises:
        ValueError: A required column is missing.
    """
    table = read_spans(spans, dimensions=dimensions)
    failed = table.known("error_type")
    agent = nearest_agent(table)
    calls, excluded = bill(
        table, failed=failed, agent_distance=agent_distance(table, agent)
    )
    tools = find_tools(table)
    runs = place_runs(table, agent, np.r_[calls.span, tools])
    read = _Read(table, failed, calls, tools, runs)
    namesakes = _namesakes(read)
    of_call, of_tool, of_run = identities(
        table,
        (of_calls(calls), one_each(tools), one_each(namesakes)),
        dimensions=dimensions,
    )
    call_columns, asks = _call_columns(read, of_call)
    tool_columns = _tool_columns(read, of_tool, call_columns, asks)
    run_columns = run_rows(table, runs, failed=failed)
    run_columns |= call_sums(call_columns, read.call_run, runs=runs.size)
    run_columns["service_name"] = table.pick("service_name", namesakes)
    run_columns |= _with_calls(of_run, of_call, read.call_run, dimensions)
    kept = runs.is_agent | (np.bincount(read.call_run, minlength=runs.size) > 0)
    place = np.append(np.where(kept, np.cumsum(kept) - 1, NONE), NONE)
    run_table = _table(run_columns, _without(run_schema(dimensions), _UNPRICED_RUN))
    return Draft(
        calls=_table(call_columns, _draft_call_schema(dimensions)),
        excluded=_table(excluded_rows(table, excluded), EXCLUDED_SCHEMA),
        tool_calls=_table(tool_columns, tool_call_schema(dimensions)),
        runs=run_table if kept.all() else run_table.filter(pa.array(kept)),
        call_runs=place[read.call_run],
        run_parents=place[runs.parent[kept]],
    )


def finish_ledger(
    draft: Draft, costs: pa.Table, *, dimensions: tuple[str, ...] = ()
) -> Ledger:
    """
    Put prices on a draft: costs of calls, runs and trees of runs, and verdicts.

    Args:
        draft: What `draft_ledger` returned.

        costs: `COST_COLUMNS` of ``draft.calls``, the same rows in the same order.

        dimensions: As given to `draft_ledger`.

    Returns:
        The five tables with exactly the schemas of `rollups.schema`, in the draft's
        order. Sums are exact; a sum of nothing priced is null.

    Raises:
        ValueError: *costs* has other rows than the draft.
    """
    if costs.num_rows != draft.calls.num_rows:
        message = f"costs: {costs.num_rows} rows for {draft.calls.num_rows} calls"
        raise ValueError(message)
    prices = {name: costs.column(name) for name in COST_COLUMNS}
    columns = _columns(draft.calls) | prices
    calls = _table(columns, call_schema(dimensions))
    verdicts = judge_chains(calls, draft.tool_calls)
    chains = _table(_columns(verdicts.chains), CHAIN_SCHEMA)
    tool_calls = _table(_columns(verdicts.tool_calls), tool_call_schema(dimensions))
    runs = _columns(draft.runs) | cost_sums(calls, draft.call_runs, draft.run_parents)
    row = costliest_chains(calls, draft.call_runs, chains, runs=draft.runs.num_rows)
    runs |= {
        to: take(chains.column(name).combine_chunks(), row)
        for name, to in _OF_CHAIN.items()
    }
    return Ledger(
        calls=_table(_columns(verdicts.calls), call_schema(dimensions)),
        excluded=draft.excluded,
        tool_calls=tool_calls,
        runs=_table(runs, run_schema(dimensions)),
        chains=chains,
    )


_UNPRICED_RUN: Final = (*_COST_SUMS, *_OF_CHAIN.values())


def _call_columns(read: _Read, identity: Columns) -> tuple[Columns, Mask]:
    """Return the columns of calls and which of them may ask for tools."""
    spans, calls, run = read.spans, read.calls, read.call_run
    failed = calls.all(read.failed)
    operation = operations(spans, calls)
    in_loop = is_in_loop(calls, operation)
    steps = number_steps(spans, calls, run, in_loop=in_loop, failed=failed)
    columns = call_rows(spans, calls, steps=steps, failed=failed, operation=operation)
    chains = number_chains(
        run,
        in_loop=in_loop,
        by=(
            identity["conversation_id"],
            identity["agent_name"],
            columns["system_prompt_hash"],
        ),
    )
    run_id = take(read.runs.run_id, run)
    columns |= identity | {"run_id": run_id, "chain_id": chains.ids(run_id)}
    return columns, in_loop & ~failed


def _tool_columns(
    read: _Read, identity: Columns, calls: Columns, asks: Mask
) -> Columns:
    asking = asking_calls(
        read.spans,
        read.calls,
        read.tools,
        run=read.call_run,
        tool_run=read.tool_run,
        able=asks,
    )
    columns = tool_rows(read.spans, read.tools, failed=read.failed)
    run_id = take(read.runs.run_id, read.tool_run)
    chain_id = pc.coalesce(take(calls["chain_id"], asking), run_id)
    step = pc.coalesce(columns["step"], take(calls["step"], asking))
    return columns | identity | {"run_id": run_id, "chain_id": chain_id, "step": step}


def _namesakes(read: _Read) -> Ints:
    """Return the span whose identity is the run's: its own, else its first call."""
    runs, places = read.runs, np.r_[read.tools, read.calls.span[::-1]]
    first = np.full(runs.size, NONE)
    first[runs.of_span[places]] = places
    return np.where(runs.span == NONE, first, runs.span)


def _with_calls(
    of_run: Columns, of_call: Columns, run: Ints, dimensions: tuple[str, ...]
) -> Columns:
    """Fill what a run does not say of itself with what its first call says."""
    columns = {}
    for name in identity_names(dimensions):
        column, source = of_run[name], of_call[name]
        if name == "feature":
            # What a call was told goes before what a run's workflow or route suggest.
            guess, column = column, said(of_run)
            column = _from_first_call(column, said(of_call), run)
            column = pc.coalesce(column, guess)
        columns[name] = _from_first_call(column, source, run)
    return columns


def _from_first_call(column: pa.Array, source: pa.Array, run: Ints) -> pa.Array:
    if not column.null_count or source.null_count == len(source):
        return column
    rows = np.flatnonzero(known(source))[::-1]
    first = np.full(len(column), NONE)
    first[run[rows]] = rows
    return pc.coalesce(column, take(source, first))


def _draft_call_schema(dimensions: tuple[str, ...]) -> pa.Schema:
    return _without(call_schema(dimensions), COST_COLUMNS).append(ARRIVAL_FIELD)


def _without(schema: pa.Schema, names: tuple[str, ...]) -> pa.Schema:
    return pa.schema([field for field in schema if field.name not in names])


def _columns(table: pa.Table) -> Columns:
    return dict(zip(table.column_names, table.columns, strict=True))


def _table(columns: Columns, schema: pa.Schema) -> pa.Table:
    """Return the columns of *schema*; one that is not there is null."""
    size = len(next(iter(columns.values())))
    arrays = [
        _of_type(columns[field.name], field.type)
        if field.name in columns
        else pa.nulls(size, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _of_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return column if column.type.equals(kind) else column.cast(kind)
