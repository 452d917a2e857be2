from importlib.resources import files

import pytest
from ledger_rows import at, calls, connect

from rollups.engine import budget_table, run_rollup, run_rule
from rollups.registry import ROLLUPS, RULES
from rollups.schema import FINDING_SCHEMA

rollups = pytest.mark.parametrize("rollup", ROLLUPS, ids=lambda rollup: rollup.name)
rules = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def names(folder):
    return {
        file.name.removesuffix(".sql")
        for file in (files("rollups") / folder).iterdir()
        if file.name.endswith(".sql")
    }


@rollups
def test_a_rollup_of_an_empty_store_has_its_columns_and_no_rows(rollup):
    found = run_rollup(connect(), rollup, at(), at(hours=24))

    assert found.num_rows == 0
    assert found.schema.equals(rollup.schema, check_metadata=True)


@rollups
def test_a_rollup_of_calls_that_say_nothing_has_its_columns(rollup):
    connection = connect(calls=calls([{}, {"trace_id": "b"}]))

    found = run_rollup(connection, rollup, at(), at(hours=24))

    assert found.schema.equals(rollup.schema, check_metadata=True)
    assert found.num_rows == (
        0 if rollup.reads == "tool_calls" else rollup_rows(rollup)
    )


def rollup_rows(rollup):
    return 2 if rollup.grain == "trace" else 1


@rollups
def test_a_rollup_of_absurd_numbers_is_still_made(rollup):
    absurd = {
        "input_tokens": 2**63 - 1,
        "uncached_input_tokens": 1,
        "cache_read_tokens": 2**63 - 1,
        "output_tokens": 2**63 - 1,
        "input_cost_usd": "999999.999999999999",
        "cache_read_cost_usd": "999999.999999999999",
        "cost_usd": "999999.999999999999",
        "duration_ms": float("inf"),
        "time_to_first_token_ms": float("nan"),
        "sampling_weight": 1e300,
    }

    found = run_rollup(connect(calls=calls([absurd] * 3)), rollup, at(), at(hours=24))

    assert found.num_rows == (0 if rollup.reads == "tool_calls" else 1)


@rules
def test_a_rule_on_an_empty_store_finds_nothing(rule):
    connection = connect()
    connection.register("budgets", budget_table([]))

    found = run_rule(connection, rule, {"since": at(), "until": at(hours=24)})

    assert found.num_rows == 0
    assert found.schema.equals(FINDING_SCHEMA, check_metadata=True)


def test_every_rollup_file_is_registered_and_the_other_way_round():
    assert names("sql") == {rollup.name for rollup in ROLLUPS} | {"measured_calls"}


def test_every_rule_file_is_registered_and_the_other_way_round():
    assert names("rules") == {rule.name for rule in RULES}
