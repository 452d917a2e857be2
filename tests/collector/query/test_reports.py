from decimal import Decimal
from importlib.resources import files

import pytest
from agent_lake import build_agent_lake
from lake_builder import build_lake
from ledger_rows import at, calls, chains, runs, tool_calls

from collector import cli
from collector.errors import QueryError
from collector.query.reports import REPORTS, find_report, run_report
from collector.query.times import Period, parse_time
from collector.query.views import Lake

reports = pytest.mark.parametrize("kind", REPORTS, ids=lambda kind: kind.name)


def report(root, name, **options):
    return run_report(Lake(str(root)), find_report(name), **options)


def rows(root, name, **options):
    return report(root, name, **options).table.to_pylist()


@reports
def test_a_report_on_an_empty_lake_has_no_rows_and_says_so(tmp_path, kind):
    found = report(build_lake(tmp_path), kind.name)

    assert found.table.num_rows == 0
    assert found.table.num_columns > 4
    assert (found.summary["calls"], found.summary["coverage"]) == (0, None)


@reports
def test_a_report_has_a_file_of_its_name(kind):
    text = (files("collector.query") / "sql" / f"{kind.name}.sql").read_text()

    assert text.startswith("-- report: ")


def test_the_command_offers_every_report():
    assert tuple(kind.name for kind in REPORTS) == cli.REPORTS


def test_an_unknown_report_is_refused_with_those_that_there_are():
    with pytest.raises(QueryError, match="no report 'bill'") as caught:
        find_report("bill")

    assert "features" in caught.value.line()


def test_features_adds_up_and_puts_the_dearest_first(tmp_path):
    spent = calls(
        [
            {"feature": "a", "cost_usd": "1", "run_id": "r"},
            {"feature": "b", "cost_usd": "1", "run_id": "s"},
            {"feature": "b", "cost_usd": "0.5", "run_id": "t"},
            {"feature": None, "cost_status": "unpriced", "input_tokens": 5},
        ]
    )

    found = rows(build_lake(tmp_path, calls=spent), "features")

    assert [(row["feature"], row["cost_usd"], row["runs"]) for row in found] == [
        ("b", Decimal("1.5"), 2),
        ("a", Decimal(1), 1),
        (None, None, 1),
    ]
    assert found[0]["cost_per_run_usd"] == Decimal("0.75")
    assert (found[2]["unpriced_calls"], found[2]["coverage"]) == (1, 0)


def test_a_limit_leaves_out_the_cheapest(tmp_path):
    spent = calls([{"feature": str(usd), "cost_usd": str(usd)} for usd in range(5)])

    found = rows(build_lake(tmp_path, calls=spent), "features", limit=2)

    assert [row["feature"] for row in found] == ["4", "3"]


@reports
def test_a_report_of_another_time_has_no_rows(tmp_path, kind):
    root = build_agent_lake(tmp_path, at())

    found = report(root, kind.name, period=Period(at(hours=1), at(hours=2)))

    assert found.table.num_rows == 0
    assert found.summary["calls"] == 0


@reports
def test_a_report_of_absurd_numbers_is_still_made(tmp_path, kind):
    most = {"input_tokens": 2**63 - 1, "output_tokens": 2**63 - 1}
    call = {
        **most,
        "cache_read_tokens": 2**63 - 1,
        "uncached_input_tokens": 1,
        "new_tokens": 0,
        "resent_tokens": 2**31 - 1,
        "input_cost_usd": "999999.999999999999",
        "cache_read_cost_usd": "999999.999999999999",
        "cache_write_cost_usd": "0",
        "output_cost_usd": "999999.999999999999",
        "cost_usd": "999999.999999999999",
        "duration_ms": float("inf"),
        "input_hash": "h",
        "waste_reason": "loop",
        "cache_unknown": False,
    }
    tool = {
        "tool_name": "t",
        "tool_type": "retrieval",
        "result_tokens": 2**31 - 1,
        "first_sent_tokens": 2**31 - 1,
        "first_sent_usd": Decimal(10**6),
        "carried_tokens": 2**62,
        "carried_usd": Decimal(10**9),
        "arguments_hash": "a",
        "result_hash": "r",
        "duration_ms": float("inf"),
    }
    root = build_lake(
        tmp_path,
        calls=calls([{**call, "timestamp": at(seconds=n)} for n in range(30)]),
        tool_calls=tool_calls([tool, tool]),
        runs=runs([{**most, "parent_run_id": "run", "severity": "info"}] * 2),
        chains=chains([{"waste_tokens": 2**63 - 1, "is_loop": True}] * 2),
    )

    report(root, kind.name)


def test_the_summary_says_how_much_is_known(tmp_path):
    spent = calls(
        [
            {"input_tokens": 30, "cost_usd": "1", "sampling_weight": 2.0},
            {"input_tokens": 10, "cost_status": "unpriced"},
        ]
    )

    found = report(build_lake(tmp_path, calls=spent), "features").document()

    published_at = found["summary"].pop("published_at")
    assert parse_time("1h") < parse_time(published_at) < parse_time("0s")
    assert found["summary"] == {
        "calls": 2,
        "unpriced_calls": 1,
        "coverage": 0.75,
        "partial_calls": 0,
        "rest_lower_usd": None,
        "rest_upper_usd": None,
        "unbounded_calls": 1,
        "cost_usd": "1.000000000000",
        "weighted_cost_usd": "2.000000000000",
        "subscription_usd": None,
        "first_call": "2026-11-20T00:00:00Z",
        "last_call": "2026-11-20T00:00:00Z",
        "costs": "recorded",
        "restatements": 0,
    }


def test_steps_shows_how_the_context_grows(tmp_path):
    growing = calls(
        [
            {"agent_name": "a", "step": step, "input_tokens": 100 * step}
            for step in (1, 2)
        ]
    )

    found = rows(build_lake(tmp_path, calls=growing), "steps")

    assert [(row["step"], row["avg_input_tokens"]) for row in found] == [
        (1, 100.0),
        (2, 200.0),
    ]


def test_runs_are_ordered_by_their_cost_with_sub_runs(tmp_path):
    table = runs(
        [
            {"run_id": "cheap", "subtree_cost_usd": Decimal(1)},
            {"run_id": "dear", "subtree_cost_usd": Decimal(2)},
            {"run_id": "unknown"},
        ]
    )

    found = rows(build_lake(tmp_path, runs=table), "runs")

    assert [row["run_id"] for row in found] == ["dear", "cheap", "unknown"]


def test_growth_leaves_out_runs_without_a_verdict(tmp_path):
    table = runs(
        [
            {"run_id": "fine", "severity": "none"},
            {"run_id": "not judged"},
            {"run_id": "bad", "severity": "critical", "resent_usd": Decimal(2)},
        ]
    )

    found = rows(build_lake(tmp_path, runs=table), "growth")

    assert [row["run_id"] for row in found] == ["bad"]


def test_tools_are_ordered_by_what_carrying_their_results_costs(tmp_path):
    table = tool_calls(
        [
            {"tool_name": "small", "carried_usd": Decimal("0.1")},
            {"tool_name": "fetch", "carried_usd": Decimal("0.2"), "carried_tokens": 7},
        ]
    )

    found = rows(build_lake(tmp_path, tool_calls=table), "tools")

    assert [row["tool_name"] for row in found] == ["fetch", "small"]


def test_unpriced_says_why_and_names_an_example(tmp_path):
    spent = calls(
        [
            {"cost_usd": "1"},
            {
                "provider": "p",
                "request_model": "m",
                "cost_status": "unpriced",
                "cost_reason": "unknown_model",
                "trace_id": "t",
            },
        ]
    )

    (row,) = rows(build_lake(tmp_path, calls=spent), "unpriced")

    assert (row["model"], row["cost_reason"]) == ("m", "unknown_model")
    assert row["example_trace_id"] == "t"


def test_reported_costs_stand_beside_computed_ones(tmp_path):
    spent = calls(
        [
            {"dialect": "a", "cost_usd": "1", "reported_cost_usd": "1.5"},
            {"dialect": "a", "cost_usd": "2", "reported_cost_usd": "2"},
            {
                "dialect": "b",
                "cost_usd": "3",
                "reported_cost_usd": "3",
                "cost_status": "reported",
            },
            {"dialect": "a", "cost_usd": "7"},
        ]
    )

    first, second = rows(build_lake(tmp_path, calls=spent), "reported")

    assert (first["counted"], first["calls"], first["differing_calls"]) == (
        "computed",
        2,
        1,
    )
    assert first["difference_usd"] == Decimal("0.5")
    assert (first["reported_usd"], first["computed_usd"]) == (Decimal("3.5"), 3)
    assert (second["counted"], second["computed_usd"]) == ("reported", None)
    assert second["unpriced_calls"] == 1
