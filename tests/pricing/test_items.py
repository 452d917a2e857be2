"""The items of a call are what its cost is made of."""

import datetime as dt
import json
from fractions import Fraction
from pathlib import Path

import pytest
from priced_calls import NOON, calls_table, usd

from pricing import bundled_book, price_calls
from pricing.items import itemise

FIXTURES = Path(__file__).parent.parent / "fixtures" / "prices"
CASES = [
    json.loads(line)["call"]
    for line in (FIXTURES / "priced_cases.jsonl").read_text("utf-8").splitlines()
]


@pytest.fixture(scope="module")
def thirds(tmp_path_factory):
    """Return the bundled book with a discount that leaves fractions."""
    path = tmp_path_factory.mktemp("overlay") / "thirds.toml"
    path.write_text('[[price]]\nkind = "multiply"\nfactor = "1/3"\n', "utf-8")
    return bundled_book().with_overlay(path)


@pytest.mark.parametrize("is_cut", [False, True])
def test_items_add_up_to_the_cost_of_every_known_case(thirds, is_cut):
    book = thirds if is_cut else bundled_book()
    calls = [
        {**call, "timestamp": dt.datetime.fromisoformat(call["timestamp"])}
        for call in CASES
    ]
    costs = price_calls(calls_table(calls), book).to_pylist()

    differing = [
        call
        for call, cost in zip(calls, costs, strict=True)
        if cost["cost_usd"] is not None
        and itemise(calls_table([call]), book).total_pico_usd()
        != cost["cost_usd"].scaleb(12)
    ]

    assert differing == []


def test_each_class_has_its_own_item_and_the_tier_is_told():
    call = {
        "timestamp": NOON,
        "provider": "anthropic",
        "request_model": "claude-sonnet-4-5",
        "input_tokens": 300_000,
        "cache_read_tokens": 100_000,
        "cache_write_tokens": 50_000,
        "cache_write_1h_tokens": 20_000,
        "output_tokens": 10,
        "web_search_requests": 2,
    }

    bill = itemise(calls_table([call]), bundled_book())

    assert [(item.usage_class, item.number) for item in bill.items] == [
        ("input", 150_000),
        ("cache_read", 100_000),
        ("cache_write_5m", 30_000),
        ("cache_write_1h", 20_000),
        ("output", 10),
        ("web_search", 2),
    ]
    assert bill.input_tokens_above == 200_000
    assert bill.items[-1].pico_usd == Fraction(usd("0.01").scaleb(12))


def test_what_has_no_rate_is_an_item_without_one():
    call = {
        "timestamp": NOON,
        "provider": "openai",
        "request_model": "text-embedding-3-small",
        "input_tokens": 5,
        "output_tokens": 7,
    }

    bill = itemise(calls_table([call]), bundled_book())

    assert bill.items[1] == ("output", 7, None)
