"""Ledger rows made again with other costs."""

from decimal import Decimal

import pyarrow as pa
import pytest
from ledger_spans import agent, call, costs_of, table_of, tool

from rollups.ledger import draft_ledger, finish_ledger, reprice_ledger
from rollups.schema import COST_COLUMNS

SPANS = [
    agent(1, own_feature="f"),
    call(2, 1, at=1, tokens=(1000, 10)),
    tool(3, 1, at=20),
    agent(4, 3, at=21, ms=5),
    call(5, 4, at=22, tokens=(500, 50), ms=2),
    call(6, 1, at=40, tokens=(2000, 20)),
]
TABLES = ("calls", "tool_calls", "runs", "chains")


@pytest.fixture
def ledger():
    draft = draft_ledger(table_of(SPANS))
    return finish_ledger(draft, costs_of(draft.calls))


def test_the_same_costs_make_the_same_ledger(ledger):
    again = reprice_ledger(ledger.calls, ledger.tool_calls, ledger.runs)

    for name in TABLES:
        assert getattr(again, name).equals(getattr(ledger, name)), name
    assert "difference" in ledger.tool_calls["result_tokens_source"].to_pylist()


def test_other_costs_go_up_to_runs_and_the_runs_above_them(ledger):
    calls = ledger.calls
    for name in ("cost_usd", "input_cost_usd"):
        place = calls.schema.get_field_index(name)
        field = calls.schema.field(place)
        twice = pa.array([2 * usd for usd in calls[name].to_pylist()], field.type)
        calls = calls.set_column(place, field, twice)

    again = reprice_ledger(calls, ledger.tool_calls, ledger.runs)

    for name in ("cost_usd", "subtree_cost_usd"):
        before = [Decimal(2) * usd for usd in ledger.runs[name].to_pylist()]
        assert again.runs[name].to_pylist() == before
    assert set(COST_COLUMNS) <= {*again.calls.column_names}


def test_calls_of_a_run_that_is_not_there_are_left_out(ledger):
    again = reprice_ledger(ledger.calls, ledger.tool_calls, ledger.runs.slice(0, 0))

    assert again.calls.num_rows == 0
