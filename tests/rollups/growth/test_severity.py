"""Severities, and runs far longer than usual."""

import pyarrow as pa
import pytest
from growth_rows import one_chain

from rollups.growth import Limits, judge_chains


def judge(sizes, **options):
    return judge_chains(*one_chain(sizes), **options).chains.to_pylist()[0]


def baselines(p95_calls, *, agent=None, feature=None):
    columns = {
        "agent_name": pa.array([agent], pa.string()),
        "feature": pa.array([feature], pa.string()),
        "p95_calls": pa.array([p95_calls], pa.float64()),
    }
    return pa.table(columns)


@pytest.mark.parametrize(
    ("sizes", "severity"),
    [
        ([1000] * 6, "none"),
        ([1000 + 300 * call for call in range(6)], "info"),
        ([1000 + 900 * call for call in range(14)], "warning"),
        ([1000 + 9000 * call for call in range(14)], "critical"),
    ],
    ids=["flat", "grows a little", "sends 20,000 tokens again", "costs a dollar"],
)
def test_severity_follows_tokens_and_dollars(sizes, severity):
    assert judge(sizes)["severity"] == severity


def test_limits_may_be_set():
    sizes = [1000 + 900 * call for call in range(14)]

    lax = judge(sizes, limits=Limits(warning_resent_tokens=10**9))
    strict = judge(sizes, limits=Limits(critical_resent_pico_usd=1))

    assert (lax["severity"], strict["severity"]) == ("info", "critical")


@pytest.mark.parametrize(
    ("p95_calls", "too_long"), [(22, False), (21, True), (4, True), (12, True)]
)
def test_a_run_is_too_long_beyond_its_workflows_usual_length(p95_calls, too_long):
    row = judge([1000] * 32, baselines=baselines(p95_calls))

    assert row["too_long"] is too_long
    assert row["severity"] == ("warning" if too_long else "none")


def test_a_short_workflow_may_grow_by_eight_calls():
    assert judge([1000] * 10, baselines=baselines(2))["too_long"] is False
    assert judge([1000] * 11, baselines=baselines(2))["too_long"] is True


@pytest.mark.parametrize("known", [None, baselines(3, agent="other")])
def test_without_a_baseline_nothing_is_known_of_length(known):
    row = judge([1000] * 32, baselines=known)

    assert (row["too_long"], row["severity"]) == (None, "none")


def test_a_workflow_is_an_agent_and_a_feature():
    names = {"agent_name": "triage", "feature": "refund"}
    tables = one_chain([1000] * 32, changes={0: names})
    known = pa.concat_tables(
        [
            baselines(100, agent="triage"),
            baselines(5, agent="triage", feature="refund"),
            baselines(100, feature="refund"),
        ]
    )

    chains = judge_chains(*tables, baselines=known).chains

    assert chains["too_long"].to_pylist() == [True]
