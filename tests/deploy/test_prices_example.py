"""The example of own prices: it can be read, and does what its comments say."""

from pathlib import Path

import pyarrow as pa

from pricing import bundled_book, price_calls

EXAMPLE = Path(__file__).parents[2] / "deploy" / "prices.example.toml"
AFTER_US = 1_796_256_000_000_000
"""3 December 2026."""


def price(**columns):
    calls = pa.table(
        {"timestamp": pa.array([AFTER_US], pa.timestamp("us", "UTC"))}
        | {"operation": ["chat"], "input_tokens": [1_000_000], "output_tokens": [0]}
        | {name: [value] for name, value in columns.items()}
    )
    costs = price_calls(calls, bundled_book().with_overlay(EXAMPLE)).to_pylist()[0]
    return str(costs["cost_usd"].normalize()), costs["cost_status"]


def test_a_negotiated_discount_is_taken_off_the_list_price():
    found = price(provider="anthropic", request_model="claude-haiku-4-5")

    assert found == ("0.93", "priced")


def test_a_model_of_ones_own_has_the_rates_given():
    found = price(provider="acme", request_model="acme-small-2")

    assert found == ("0.2", "priced")


def test_a_subscription_is_at_list_price_and_told_apart():
    found = price(
        provider="openai", request_model="gpt-4o-mini", feature="internal-chat"
    )

    assert found == ("0.15", "subscription")


def test_a_model_that_costs_nothing_is_free():
    found = price(provider="local", request_model="llama-local-8b")

    assert found == ("0", "free")
