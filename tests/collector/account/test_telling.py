import json
import random
from datetime import timedelta

import pyarrow as pa
from findings import NOON, budget, growth

from collector.account.telling import Teller
from rollups.schema import FINDING_SCHEMA

MINUTE = timedelta(minutes=1)


def told(findings, *, runs_told=3, now=NOON + timedelta(minutes=90), tell_all=False):
    rows = [{"timestamp": row["window_start"], **row} for row in findings]
    table = pa.Table.from_pylist(rows, schema=FINDING_SCHEMA)
    return Teller(runs_told=runs_told, tell_all=tell_all).told(table, now)


def runs(count, **also):
    return [
        growth(f"run{k:02}", trace_id=f"{k:032x}", start=NOON + k * MINUTE, **also)
        for k in range(count)
    ]


def about_all(rows):
    return [row for row in rows if row["run_id"] is None]


def one_by_one(rows):
    return sorted(row["run_id"] for row in rows if row["run_id"])


def test_a_few_runs_are_told_one_by_one():
    rows = told(runs(3))

    assert one_by_one(rows) == ["run00", "run01", "run02"]
    assert about_all(rows) == []


def test_many_runs_are_the_first_ones_and_one_alert_about_all():
    rows = told(runs(50))

    (together,) = about_all(rows)
    assert one_by_one(rows) == ["run00", "run01", "run02"]
    assert json.loads(together["scope"]) == {
        "agent_name": "triage-agent",
        "feature": "refund",
    }
    details = json.loads(together["details"])
    assert (details["runs"], details["runs_told"]) == (50, 3)
    assert details["wasted_usd"] == "9.210000000000"
    assert together["window_end"] == NOON + 49 * MINUTE + timedelta(hours=1)


def test_the_alert_about_all_names_the_costliest():
    cheap, dear = runs(9), growth("dear", trace_id="f" * 32, start=NOON + 9 * MINUTE)
    dear["details"] = json.dumps({"wasted_usd": "7.5"})

    (together,) = about_all(told([*cheap, dear]))

    costliest = json.loads(together["details"])["costliest"]
    assert len(costliest) == 5
    assert costliest[0]["run_id"] == "dear"
    assert costliest[0]["trace_id"] == "f" * 32


def test_features_and_rules_are_told_apart():
    other = [{**row, "rule": "context_jump"} for row in runs(4)]
    rows = told([*runs(4), *runs(4, feature="search"), *other])

    assert len(about_all(rows)) == 3
    assert len(one_by_one(rows)) == 9


def test_the_first_critical_runs_are_told_one_by_one_as_well():
    worst = [
        growth(f"worst{k}", severity="critical", start=NOON + (30 + k) * MINUTE)
        for k in range(5)
    ]

    rows = told([*runs(20), *worst])

    assert one_by_one(rows) == [
        *("run00", "run01", "run02"),
        *("worst0", "worst1", "worst2"),
    ]
    assert about_all(rows)[0]["severity"] == "critical"


def test_findings_for_the_record_take_no_place():
    harmless = [
        growth(f"info{k}", severity="info", start=NOON - MINUTE) for k in range(9)
    ]

    rows = told([*harmless, *runs(2)])

    assert {"run00", "run01"} <= set(one_by_one(rows))
    assert about_all(rows) == []


def test_each_day_begins_anew():
    tomorrow = [
        growth(f"next{k}", start=NOON + timedelta(days=1) + k * MINUTE)
        for k in range(4)
    ]

    rows = told([*runs(4), *tomorrow])

    assert len(about_all(rows)) == 2
    assert len(one_by_one(rows)) == 6


def test_the_order_of_findings_does_not_matter():
    findings = [*runs(30), *runs(5, severity="critical", feature="search")]
    expected = told(findings)
    random.Random(7).shuffle(findings)

    assert told(findings) == expected


def test_more_runs_take_nothing_back_that_was_told():
    before = one_by_one(told(runs(5)))

    assert one_by_one(told(runs(40))) == before


def test_what_is_not_about_a_run_is_told_as_it_is():
    rows = told([budget(50), budget(80)])

    assert [row["threshold"] for row in rows] == [50, 80]


def test_older_times_are_recorded_and_not_told_unless_asked():
    later = NOON + timedelta(hours=5)

    assert {row["quiet"] for row in told(runs(5), now=later)} == {True}
    assert {row["quiet"] for row in told(runs(5), now=later, tell_all=True)} == {False}
