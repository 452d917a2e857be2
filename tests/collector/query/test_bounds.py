"""What reports say of calls without a price: at least this, at most that."""

from decimal import Decimal
from pathlib import Path

import pytest
from lake_builder import build_lake
from ledger_rows import at, chains, runs, tool_calls
from priced_lake import HALF_PRICE, book_with, priced, priced_lake

from collector.query.formats import summary_notes
from collector.query.reports import RESTATED, find_report, run_report
from collector.query.times import ALWAYS
from collector.query.views import Lake
from collector.repricing.reprice import reprice
from pricing import bundled_book

OVERLAY = """
[[price]]
provider = "openai"
model = "dear"
kind = "replace"
usd_per_mtok = {input = 10000, output = 10000}
source = "test"
"""
UNKNOWN = {"request_model": "gpt-unheard-of", "response_model": "gpt-unheard-of"}


def report(stored, name, **options):
    return run_report(Lake.of(stored), find_report(name), **options)


@pytest.fixture
def stored(tmp_path):
    """Return three features: all priced, one call unknown, one without any list."""
    return priced_lake(
        tmp_path,
        [
            {"feature": "a", "run_id": "a"},
            {"feature": "b", "run_id": "b"},
            {**UNKNOWN, "feature": "b", "run_id": "b", "timestamp": at(hours=1)},
            {**UNKNOWN, "feature": "c", "run_id": "c", "provider": "nobody"},
            {"feature": "c", "run_id": "c"},
        ],
    )


@pytest.mark.parametrize("name", ["features", "traces", "models", "users", "steps"])
def test_every_report_has_coverage_and_both_bounds(stored, name):
    columns = report(stored, name).table.column_names

    assert {"coverage", "cost_lower_usd", "cost_upper_usd"} <= {*columns}


def test_what_has_a_price_has_it_as_both_bounds(stored):
    rows = {row["feature"]: row for row in report(stored, "features").table.to_pylist()}

    known = rows["a"]
    assert known["coverage"] == 1
    assert known["cost_lower_usd"] == known["cost_upper_usd"] == known["cost_usd"]


def test_the_rest_is_between_the_cheapest_and_the_dearest_model(stored):
    rows = {row["feature"]: row for row in report(stored, "features").table.to_pylist()}

    partly = rows["b"]
    assert partly["coverage"] == 0.5
    assert partly["cost_usd"] == Decimal("0.0035")
    assert Decimal("0.0035") < partly["cost_lower_usd"] < Decimal("0.0037")
    # o1-pro, $150 and $600 a million
    assert partly["cost_upper_usd"] == Decimal("0.0035") + Decimal("0.21")


def test_what_has_no_bound_is_unknown_and_not_zero(stored):
    found = report(stored, "features")
    rows = {row["feature"]: row for row in found.table.to_pylist()}

    assert rows["c"]["cost_upper_usd"] is None
    assert rows["c"]["cost_lower_usd"] == rows["c"]["cost_usd"] == Decimal("0.0035")
    assert found.summary["unbounded_calls"] == 1
    notes = "\n".join(summary_notes(found.summary))
    assert "between $" in notes
    assert "in no bound" in notes


def test_the_unpriced_are_shown_with_their_bounds(stored):
    bounds = {
        row["provider"]: (row["rest_lower_usd"], row["rest_upper_usd"])
        for row in report(stored, "unpriced").table.to_pylist()
    }

    assert bounds["nobody"] == (None, None)
    assert bounds["openai"][1] == Decimal("0.21")


@pytest.mark.parametrize(
    "counts",
    [
        {"input_tokens": None},
        {"output_tokens": None},
        {"input_tokens": 2 * 10**15},
        {"input_tokens": -5},
    ],
    ids=["no input", "no output", "absurd", "negative"],
)
def test_counts_that_say_nothing_make_no_bound_and_no_error(tmp_path, counts):
    stored = priced_lake(tmp_path, [{**UNKNOWN, **counts}])

    (row,) = report(stored, "features").table.to_pylist()

    assert (row["cost_lower_usd"], row["cost_upper_usd"]) == (None, None)


def test_cached_tokens_are_bounded_at_the_rates_of_caches(tmp_path):
    row = {**UNKNOWN, "provider": "anthropic", "output_tokens": 0, "feature": "a"}
    stored = priced_lake(
        tmp_path,
        [
            {**row, "input_tokens": 100_000},
            {**row, "input_tokens": 100_000, "cache_read_tokens": 100_000},
        ],
    )

    (row,) = report(stored, "features").table.to_pylist()

    # Claude Haiku 5.5, fresh at $0.10 a million and read at $0.01; Claude 2 has no rate
    # for reads, so it is the dearest for these: $8
    assert row["cost_lower_usd"] == Decimal("0.010") + Decimal("0.001")
    assert row["cost_upper_usd"] == Decimal("1.5") + Decimal("0.8")


def test_the_newest_book_of_the_lake_has_the_lists(tmp_path):
    stored = priced_lake(tmp_path, [UNKNOWN], book_with(tmp_path, HALF_PRICE))

    (row,) = report(stored, "features").table.to_pylist()

    assert row["cost_upper_usd"] == Decimal("0.105")


def test_a_restated_call_has_its_cost_as_both_bounds(stored, tmp_path):
    reprice(
        stored, ALWAYS, book_with(tmp_path, OVERLAY.replace("dear", "gpt-unheard*"))
    )

    rows = report(stored, "features", costs=RESTATED).table.to_pylist()

    (row,) = [row for row in rows if row["feature"] == "b"]
    assert row["cost_upper_usd"] == row["cost_lower_usd"] == row["cost_usd"]
    assert row["cost_usd"] == Decimal("11.0035")


def test_wasted_calls_without_a_price_have_their_bounds(tmp_path):
    failed = {"feature": "a", "error_type": "timeout"}
    stored = priced_lake(tmp_path, [failed, {**failed, **UNKNOWN}])

    (row,) = report(stored, "waste").table.to_pylist()
    (whole,) = report(stored, "features").table.to_pylist()

    assert (row["kind"], row["unpriced"]) == ("failed", 1)
    assert row["waste_lower_usd"] == whole["cost_lower_usd"]
    assert row["waste_upper_usd"] == whole["cost_upper_usd"]
    assert row["waste_usd"] < row["waste_lower_usd"] < row["waste_upper_usd"]


def carried_lake(folder, **tables):
    """Return a lake with an unpriced run, and what its history is made of."""
    settings = priced_lake(folder, [])
    of_calls = priced(
        [
            {**UNKNOWN, "run_id": "b", "trace_id": "t"},
            {"run_id": "a", "trace_id": "t", "timestamp": at(minutes=1)},
        ],
        bundled_book(),
    )
    build_lake(Path(settings.lake_url), calls=of_calls, **tables)
    return settings


SENT = {"trace_id": "t", "tool_name": "fetch", "result_tokens": 300}


@pytest.mark.parametrize(
    ("name", "tool_type"), [("tools", "tool"), ("retrieval", "retrieval")]
)
def test_results_in_runs_without_a_price_have_bounds(tmp_path, name, tool_type):
    unpriced = {"run_id": "b", "first_sent_tokens": 300, "carried_tokens": 700}
    known = {"run_id": "a", "first_sent_tokens": 300, "carried_tokens": 0}
    known |= {"first_sent_usd": Decimal("0.00075"), "carried_usd": Decimal(0)}
    rows = [{**SENT, "tool_type": tool_type, **row} for row in (unpriced, known)]
    stored = carried_lake(
        tmp_path,
        tool_calls=tool_calls(rows),
        runs=runs([{"trace_id": "t", "run_id": run} for run in "ab"]),
    )

    (row,) = report(stored, name).table.to_pylist()

    assert row["cost_usd"] == Decimal("0.00075")
    assert row["coverage"] == pytest.approx(300 / 1300)
    # the dearest input is o1-pro's, $150 a million
    assert row["cost_upper_usd"] == Decimal("0.00075") + Decimal("0.15")
    assert Decimal("0.00075") < row["cost_lower_usd"] < Decimal("0.0008")


def test_history_in_runs_without_a_price_has_bounds(tmp_path):
    rows = [
        {"trace_id": "t", "run_id": "b", "chain_id": "b", "resent_tokens": 1000},
        {"trace_id": "t", "run_id": "c", "chain_id": "c", "resent_tokens": 10},
    ]
    of_runs = [{"trace_id": "t", "run_id": run, "feature": run} for run in "bc"]
    stored = carried_lake(tmp_path, chains=chains(rows), runs=runs(of_runs))

    found = {row["feature"]: row for row in report(stored, "carried").table.to_pylist()}

    assert found["b"]["coverage"] == 0
    assert found["b"]["resent_upper_usd"] == Decimal("0.15")
    assert Decimal(0) < found["b"]["resent_lower_usd"] < Decimal("0.0001")
    assert (found["c"]["resent_lower_usd"], found["c"]["resent_upper_usd"]) == (
        None,
    ) * 2
