from datetime import UTC, datetime
from decimal import Decimal

import pytest

from collector.query.price_list import price_list
from pricing import bundled_book
from pricing.book import CallKey

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def book():
    return bundled_book()


def prices(book, **key):
    rows = price_list(book, CallKey(**key), NOW).to_pylist()
    return {(row["input_tokens_above"], row["item"]): row["usd"] for row in rows}


def test_prices_are_dollars_per_million_tokens(book):
    found = prices(book, provider="anthropic", request_model="claude-sonnet-4-5")

    assert found[None, "input"] == Decimal(3)
    assert found[None, "cache_read"] == Decimal("0.3")
    assert found[None, "output"] == Decimal(15)


def test_a_model_without_a_price_has_one_row_that_says_why(book):
    (row,) = price_list(book, CallKey(request_model="no-such-model"), NOW).to_pylist()

    assert row["usd"] is None
    assert (row["status"], row["reason"]) == ("unpriced", "unknown_model")
