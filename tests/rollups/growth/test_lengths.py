"""Chains far longer than those of their workflow in the hours before."""

from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollups.engine import run_rule
from rollups.growth.lengths import (
    EARLIER_HOURS,
    count_lengths,
    tell_lengths,
    usual_lengths,
)
from rollups.registry import find_rules
from rollups.schema import CHAIN_SCHEMA, run_schema

START = datetime(2026, 3, 1, tzinfo=UTC)
NOTHING = {"quadratic": False, "is_loop": False, "severity": "none"}


def chains(*rows):
    known = {"timestamp": START, "trace_id": "t", "run_id": "r", "chain_id": "r"}
    return pa.Table.from_pylist(
        [{**known, **NOTHING, **row} for row in rows], schema=CHAIN_SCHEMA
    )


def told(row, *earlier):
    """Return a chain after it was compared with chains of so many calls."""
    before = chains(*({"calls": calls} for calls in earlier))
    usual = usual_lengths(count_lengths(before))
    return tell_lengths(chains(row), usual).to_pylist()[0]


@pytest.mark.parametrize(
    ("usual", "too_long"), [(22, False), (21, True), (4, True), (12, True)]
)
def test_a_chain_is_too_long_beyond_its_workflows_usual_length(usual, too_long):
    row = told({"calls": 32}, *[usual] * 20)

    assert row["too_long"] is too_long
    assert row["severity"] == ("warning" if too_long else "none")


def test_a_short_workflow_may_grow_by_eight_calls():
    assert told({"calls": 10}, *[2] * 20)["too_long"] is False
    assert told({"calls": 11}, *[2] * 20)["too_long"] is True


def test_one_long_chain_of_twenty_is_not_usual():
    assert told({"calls": 40}, *[2] * 19, 100)["too_long"] is True
    assert told({"calls": 40}, *[2] * 18, 100, 100)["too_long"] is False


def test_chains_without_a_call_are_not_usual():
    row = told({"calls": 10}, *[0] * 60, *[9] * 20)

    assert row["too_long"] is False


def test_with_few_earlier_chains_nothing_is_known_of_length():
    row = told({"calls": 32}, *[3] * 19)

    assert (row["too_long"], row["severity"]) == (None, "none")


def test_a_workflow_is_a_tenant_a_feature_and_an_agent():
    names = {"tenant": "acme", "feature": "refund", "agent_name": "triage"}
    others = [{**names, column: None} for column in names]
    before = chains(
        *(row for other in others for row in [{**other, "calls": 100}] * 20),
        *[{**names, "calls": 3}] * 20,
    )

    usual = usual_lengths(count_lengths(before))
    rows = tell_lengths(chains({**names, "calls": 20}, {"calls": 20}), usual)

    assert rows["too_long"].to_pylist() == [True, None]


def test_a_grade_counts_length_only_while_it_is_known():
    grown = {"calls": 32, "quadratic": True, "resent_tokens": 30_000}
    row = told({**grown, "resent_share": 0.1, "severity": "warning"}, *[30] * 20)

    assert (row["too_long"], row["severity"]) == (False, "info")


def test_a_run_without_a_verdict_stays_without():
    runs = pa.Table.from_pylist([{"trace_id": "t"}], schema=run_schema())

    row = tell_lengths(
        runs, usual_lengths(count_lengths(chains())), calls="verdict_calls"
    ).to_pylist()[0]

    assert (row["too_long"], row["severity"]) == (None, None)


MADE = st.lists(
    st.tuples(
        st.integers(0, 60 * 30),
        st.sampled_from([None, "refund"]),
        st.integers(0, 3) | st.integers(0, 30),
    ),
    min_size=20,
    max_size=80,
)


@given(made=MADE)
@settings(max_examples=20, deadline=None)
def test_the_column_says_what_the_rule_finds(made):
    rows = chains(
        *(
            {
                "timestamp": START + timedelta(minutes=minutes),
                "run_id": f"r{place}",
                "chain_id": f"r{place}",
                "feature": feature,
                "calls": calls,
            }
            for place, (minutes, feature, calls) in enumerate(made)
        )
    )
    by_hour = {}
    for row, (minutes, *_) in zip(rows.to_pylist(), made, strict=True):
        by_hour.setdefault(minutes // 60, []).append(row)
    column = set()
    for hour, mine in by_hour.items():
        first = hour - EARLIER_HOURS
        before = [row for at in range(first, hour) for row in by_hour.get(at, ())]
        usual = usual_lengths(count_lengths(chains(*before)))
        filled = tell_lengths(chains(*mine), usual).to_pylist()
        column |= {row["run_id"] for row in filled if row["too_long"]}

    (rule,) = [rule for rule in find_rules() if rule.name == "run_too_long"]
    with duckdb.connect() as connection:
        connection.register("chains", rows)
        runs = [{**row, "duration_ms": 0.0} for row in rows.to_pylist()]
        schema = run_schema()
        known = [{k: v for k, v in run.items() if k in schema.names} for run in runs]
        connection.register("runs", pa.Table.from_pylist(known, schema=schema))
        window = {"since": START, "until": START + timedelta(days=3)}
        found = run_rule(connection, rule, window)

    assert set(found["run_id"].to_pylist()) == column
