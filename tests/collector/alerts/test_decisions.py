"""What a gateway is told about going on."""

from datetime import timedelta

import pytest
from findings import NOON, budget, growth, spike

from collector.alerts.decisions import Decisions

MINUTE = timedelta(minutes=1)
RUN = "b7ad6b7169203331"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def decide(*findings, at=NOON, **asked):
    decisions = Decisions()
    rows = [{"timestamp": NOON, "run_id": None} | finding for finding in findings]
    decisions.learn(rows, now=NOON)
    return decisions.decide(asked, now=at).answer


@pytest.mark.parametrize(
    ("percent", "answer"), [(80, "warn"), (100, "deny"), (150, "deny")]
)
def test_a_budget_warns_until_its_limit_and_then_denies(percent, answer):
    assert decide(budget(percent), feature="refund") == answer


def test_a_budget_of_others_or_of_another_day_does_not_count():
    yesterday = budget(100, day=NOON - timedelta(days=1))

    assert decide(budget(100), feature="search") == "allow"
    assert decide(yesterday, feature="refund") == "allow"
    assert decide(budget(100), feature="refund", at=NOON + 12 * 60 * MINUTE) == "allow"


def test_a_budget_for_everything_counts_for_everyone():
    total = budget(100) | {
        "scope": '{"budget":"all","total":"all","threshold_percent":"100"}'
    }

    assert decide(total, feature="search") == "deny"
    assert decide(total, user_id="u1") == "deny"


@pytest.mark.parametrize(
    ("severity", "answer"),
    [("info", "allow"), ("warning", "warn"), ("critical", "deny")],
)
@pytest.mark.parametrize("asked", [{"run_id": RUN}, {"trace_id": TRACE}])
def test_a_runaway_run_is_stopped_when_it_is_critical(severity, answer, asked):
    assert decide(growth(severity=severity), **asked) == answer


def test_other_runs_of_a_feature_go_on_while_one_runs_away():
    runaway = growth(severity="critical")

    assert decide(runaway, feature="refund", run_id="another") == "allow"
    assert decide(runaway, feature="refund") == "warn"
    assert decide(runaway, feature="refund", agent_name="other") == "allow"
    assert decide(runaway, feature="refund", at=NOON + 16 * MINUTE) == "allow"


def test_conditions_such_as_a_spike_decide_nothing():
    assert decide(spike(), feature="search") == "allow"


def test_a_decision_names_its_reasons_the_worst_first():
    decisions = Decisions()
    decisions.learn([budget(80), budget(100)], now=NOON)

    document = decisions.decide({"feature": "refund"}, now=NOON).document()

    assert [it["threshold"] for it in document["reasons"]] == [100.0, 80.0]
    assert document["reasons"][0]["until"] == "2026-11-23T00:00:00Z"
    assert document["as_of"] == "2026-11-22T12:00:00Z"


def test_before_the_first_look_nothing_is_decided():
    assert Decisions().decide({"feature": "refund"}, now=NOON) is None
