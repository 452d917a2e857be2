"""Calls whose exact cost is known from outside."""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pytest
from priced_calls import calls_table

from pricing import bundled_book, price_calls

FIXTURES = Path(__file__).parent.parent / "fixtures" / "prices"


def read_cases(name: str) -> list[dict]:
    lines = (FIXTURES / name).read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


CASES = [
    *read_cases("priced_cases.jsonl"),
    *read_cases("usage_cases.jsonl"),
    *read_cases("disputed_cases.jsonl"),
]


def as_call(case: dict) -> dict:
    moment = dt.datetime.fromisoformat(case["call"]["timestamp"])
    return {**case["call"], "timestamp": moment}


def outcome(cost: dict) -> tuple[Decimal | None, str]:
    return cost["cost_usd"], cost["cost_status"]


def expected(case: dict) -> tuple[Decimal | None, str]:
    usd = case["cost_usd"]
    return None if usd is None else Decimal(usd), case["cost_status"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_case_costs_exactly_what_the_vendor_bills(case):
    costs = price_calls(calls_table([as_call(case)]), bundled_book()).to_pylist()

    assert outcome(costs[0]) == expected(case)


def test_all_cases_in_one_table_cost_the_same_as_one_by_one():
    table = calls_table([as_call(case) for case in CASES])

    costs = price_calls(table, bundled_book()).to_pylist()

    assert [outcome(cost) for cost in costs] == [expected(case) for case in CASES]


def test_every_priced_case_names_its_price_row_and_version():
    table = calls_table([as_call(case) for case in CASES])
    book = bundled_book()

    costs = price_calls(table, book).to_pylist()

    priced = [cost for cost in costs if cost["cost_status"] == "priced"]
    assert all(cost["price_provider"] and cost["price_model"] for cost in priced)
    assert {cost["price_match"] for cost in priced} == {
        "exact",
        "alias",
        "prefix",
        "fallback",
    }
    assert {cost["price_version"] for cost in costs} == {book.version}
