"""What reports say of calls without a price: at least this, at most that."""

from decimal import Decimal

import pytest
from ledger_rows import at
from priced_lake import HALF_PRICE, book_with, priced_lake

from collector.query.formats import summary_notes
from collector.query.reports import RESTATED, find_report, run_report
from collector.query.times import ALWAYS
from collector.query.views import Lake
from collector.repricing.reprice import reprice

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
