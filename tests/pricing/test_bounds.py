"""Between the cheapest and the dearest model of a seller's list."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from priced_calls import NOON, calls_table

from pricing import bundled_book, price_calls
from pricing.bounds import price_bounds
from pricing.catalog import unix_micros
from pricing.money import pico_column

AT = unix_micros(NOON)
tokens = st.integers(0, 400_000)


def cost_of(rates, fresh, read, write, output):
    return (
        fresh * rates.input
        + read * rates.cache_read
        + write * rates.cache_write
        + output * rates.output
    )


@given(
    provider=st.sampled_from(["openai", "anthropic", "x_ai", "mistral_ai"]),
    fresh=tokens,
    read=tokens,
    output=st.integers(1, 100_000),
)
@settings(deadline=None)
def test_the_bounds_are_what_the_cheapest_and_dearest_model_cost(
    provider, fresh, read, output
):
    book = bundled_book()
    total = fresh + read
    row = {
        "provider": provider,
        "input_tokens": total,
        "cache_read_tokens": read,
        "output_tokens": output,
    }
    models = book.models_of(provider)
    priced = price_calls(
        calls_table([{**row, "request_model": model} for model in models]), book
    )
    whole = zip(
        models,
        pico_column(priced["cost_usd"].combine_chunks())[0],
        priced.to_pylist(),
        strict=True,
    )
    costs = [
        int(cost)
        for _, cost, row in whole
        if row["cost_status"] == "priced"
        and row["other_cost_usd"] == 0
        and row["output_cost_usd"] > 0
        and (row["input_cost_usd"] + row["cache_read_cost_usd"] > 0 or not total)
    ]

    (bounds,) = [
        one
        for one in price_bounds(book, provider, AT, AT)
        if one.kind == "answer" and one.above < total <= one.upto
    ]

    lowest = min(cost_of(rates, fresh, read, 0, output) for rates in bounds.lowest)
    highest = max(cost_of(rates, fresh, read, 0, output) for rates in bounds.highest)
    assert lowest <= min(costs)
    assert highest >= max(costs)
    assert highest == max(costs)
    if total:
        assert lowest == min(costs)


@pytest.mark.parametrize("provider", ["ollama", "nobody", None])
def test_who_has_no_list_has_no_bounds(provider):
    assert price_bounds(bundled_book(), provider, AT, AT) == []


def test_calls_that_put_out_nothing_have_bounds_of_their_own():
    kinds = {one.kind for one in price_bounds(bundled_book(), "openai", AT, AT)}

    assert kinds == {"answer", "countless"}


def test_a_price_that_ended_within_the_time_counts():
    book = bundled_book()
    old = unix_micros(NOON.replace(year=2023))

    (now, *_), (ever, *_) = (
        price_bounds(book, "openai", first, AT) for first in (AT, old)
    )

    assert max(ever.highest) >= max(now.highest)
    assert min(ever.lowest) <= min(now.lowest)
