"""Reported costs that count, and what the book says beside them."""

from decimal import Decimal

import pytest
from priced_lake import HALF_PRICE, book_with, priced_lake

from collector.query.explain import explain_span
from collector.query.receipt_text import draw_receipt
from collector.query.reports import RESTATED, find_report, run_report
from collector.query.times import ALWAYS
from collector.query.views import Lake
from collector.repricing.reprice import reprice

PREFERRED = """
[[price]]
kind = "reported"
source = "test"
"""
LISTED = Decimal("0.0035")
CHARGED = Decimal("0.005")
REPORTED = {"dialect": "a", "reported_cost_usd": CHARGED}
UNHEARD = {"request_model": "unheard-of", "response_model": "unheard-of"}


@pytest.fixture
def preferring(tmp_path):
    return book_with(tmp_path, PREFERRED)


def reported(stored, **options):
    report = run_report(Lake.of(stored), find_report("reported"), **options)
    return report.table.to_pylist()


def test_a_reported_cost_that_counts_has_the_computed_one_beside_it(
    tmp_path, preferring
):
    stored = priced_lake(
        tmp_path, [{**REPORTED, "price_version": preferring.version}], preferring
    )

    (row,) = reported(stored)

    assert (row["counted"], row["reported_usd"]) == ("reported", CHARGED)
    assert (row["computed_usd"], row["unpriced_calls"]) == (LISTED, 0)
    assert (row["difference_usd"], row["differing_calls"]) == (CHARGED - LISTED, 1)


def test_a_reported_cost_that_the_list_confirms_does_not_differ(tmp_path, preferring):
    same = {**REPORTED, "reported_cost_usd": LISTED}
    stored = priced_lake(
        tmp_path, [{**same, "price_version": preferring.version}], preferring
    )

    (row,) = reported(stored)

    assert (row["difference_usd"], row["differing_calls"]) == (0, 0)


def test_a_model_without_a_price_has_no_computed_cost(tmp_path, preferring):
    rows = [{**REPORTED, **UNHEARD, "price_version": preferring.version}]

    (row,) = reported(priced_lake(tmp_path, rows, preferring))

    assert (row["computed_usd"], row["difference_usd"]) == (None, None)
    assert (row["reported_usd"], row["unpriced_calls"]) == (CHARGED, 1)


def test_preferred_and_computed_costs_of_one_book_do_not_mix(tmp_path, preferring):
    version = {"price_version": preferring.version}
    rows = [
        {**REPORTED, **version},
        {**REPORTED, **version, "reported_cost_usd": None},
        {**REPORTED, **version, "output_tokens": 200},
    ]

    (row,) = reported(priced_lake(tmp_path, rows, preferring))

    assert (row["calls"], row["computed_usd"]) == (
        2,
        LISTED + LISTED + Decimal("0.001"),
    )


def test_an_explanation_has_both_costs(tmp_path, preferring):
    called = {
        **REPORTED,
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "price_version": preferring.version,
    }
    stored = priced_lake(tmp_path, [called], preferring)

    receipt = explain_span(Lake.of(stored), "a" * 32, "b" * 16)

    assert receipt.computed_cost_usd == LISTED
    assert receipt.document()["computed_cost_usd"] == "0.003500000000"
    assert "computed cost 0.003500000000" in draw_receipt(receipt)
    assert "total 0.005000000000 USD" in draw_receipt(receipt)


def test_a_restated_report_computes_by_the_book_of_the_restatement(
    tmp_path, preferring
):
    stored = priced_lake(
        tmp_path, [{**REPORTED, "price_version": preferring.version}], preferring
    )
    reprice(stored, ALWAYS, book_with(tmp_path, HALF_PRICE))

    (recorded,) = reported(stored)
    (restated,) = reported(stored, costs=RESTATED)

    assert (recorded["counted"], recorded["computed_usd"]) == ("reported", LISTED)
    assert (restated["counted"], restated["computed_usd"]) == ("computed", LISTED / 2)


def test_a_restated_call_shows_both_sums(tmp_path):
    stored = priced_lake(tmp_path, [{"trace_id": "t", "span_id": "s"}])
    reprice(stored, ALWAYS, book_with(tmp_path, HALF_PRICE))

    receipt = explain_span(Lake.of(stored), "t", "s")

    assert receipt.restated is not None
    assert receipt.restated.cost_usd == Decimal("0.00175")
    costs = receipt.restated.lines.column("cost_usd").to_pylist()
    assert sum(costs) == receipt.restated.cost_usd
    assert sum(receipt.lines.column("cost_usd").to_pylist()) == Decimal("0.0035")
    assert receipt.document()["restated"]["cost_usd"] == "0.001750000000"
    text = draw_receipt(receipt)
    assert f"restated by {receipt.restated.restatement_id}" in text
    assert text.index("total 0.003500000000 USD") < text.index("total 0.00175")


def test_a_call_that_was_not_priced_again_has_no_restated_cost(tmp_path):
    stored = priced_lake(tmp_path, [{"trace_id": "t", "span_id": "s"}])

    assert explain_span(Lake.of(stored), "t", "s").restated is None
