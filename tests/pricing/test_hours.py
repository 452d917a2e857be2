"""What machines cost an hour, shared over the tokens they served."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from priced_calls import calls_table

from pricing import bundled_book, price_calls, share_hour
from pricing.hours import divide
from pricing.money import MAX_PICO

OWN = """
[[price]]
kind = "gpu_hour"
provider = "vllm"
usd_per_hour = "2.50"
machines = 4
[[price]]
kind = "gpu_hour"
provider = "ollama"
usd_per_hour = "0.10"
"""
GPT = {"provider": "openai", "request_model": "gpt-4o"}

tokens = st.lists(
    st.one_of(st.integers(0, 9_000), st.integers(0, 10**15)), min_size=1, max_size=30
).filter(any)


@given(st.integers(0, MAX_PICO), tokens)
def test_shares_add_up_to_the_hour_and_are_as_exact_as_picos_are(pico, numbers):
    shares = divide(pico, np.array(numbers, np.int64)).tolist()

    assert sum(shares) == pico
    for share, number in zip(shares, numbers, strict=True):
        assert abs(share - Fraction(pico * number, sum(numbers))) < 1


def own_book(tmp_path, text=OWN):
    path = tmp_path / "own.toml"
    path.write_text(text, "utf-8")
    return bundled_book().with_overlay(path)


@pytest.fixture(scope="module")
def own_prices(tmp_path_factory):
    return own_book(tmp_path_factory.mktemp("overlay"))


def shared(calls, book):
    table = calls_table(calls)
    return share_hour(table, price_calls(table, book), book)


def test_until_the_hour_is_over_the_price_is_unknown(tmp_path):
    call = {"provider": "vllm", "request_model": "qwen3", "input_tokens": 7}

    (cost,) = price_calls(calls_table([call]), own_book(tmp_path)).to_pylist()

    assert cost["cost_usd"] is None
    assert (cost["cost_status"], cost["cost_reason"]) == ("unpriced", "gpu_hour_open")


def test_each_row_of_the_overlay_shares_its_own_hour(tmp_path):
    calls = [
        {"provider": "vllm", "request_model": "a", "input_tokens": 2},
        {"provider": "vllm", "request_model": "b", "output_tokens": 1},
        {"provider": "ollama", "request_model": "a", "input_tokens": 5},
        {**GPT, "input_tokens": 1_000_000, "output_tokens": 0},
    ]

    costs = shared(calls, own_book(tmp_path))

    assert costs["cost_usd"].to_pylist() == [
        Decimal("6.666666666666"),
        Decimal("3.333333333334"),
        Decimal("0.1"),
        Decimal("2.5"),
    ]
    estimated = ["estimated"] * 3
    assert costs["cost_status"].to_pylist() == [*estimated, "priced"]
    assert costs["cost_reason"].null_count == 4
    assert costs["output_cost_usd"].to_pylist()[1] == Decimal("3.333333333334")


def test_calls_without_tokens_have_no_share(tmp_path):
    calls = [
        {"provider": "vllm", "request_model": "a", "input_tokens": 2},
        {"provider": "vllm", "request_model": "a"},
        {"provider": "vllm", "request_model": "a", "input_tokens": -2},
        {"provider": "vllm", "request_model": "a", "input_tokens": 0},
    ]

    costs = shared(calls, own_book(tmp_path))

    assert costs["cost_usd"].to_pylist() == [Decimal(10), None, None, None]
    assert costs["cost_reason"].to_pylist()[1:3] == ["no_usage", "usage_invalid"]


calls_of_an_hour = st.lists(
    st.fixed_dictionaries(
        {
            "provider": st.sampled_from(["vllm", "ollama", "openai", None]),
            "request_model": st.sampled_from(["qwen3", "gpt-4o"]),
            "input_tokens": st.none() | st.integers(-1, 10**7),
            "output_tokens": st.none() | st.integers(0, 10**5),
            "reported_cost_usd": st.sampled_from([None, Decimal("0.25")]),
        }
    ),
    min_size=1,
    max_size=20,
)


@given(calls_of_an_hour)
@settings(max_examples=40, deadline=None)
def test_the_hour_is_shared_whole_and_nothing_else_changes(own_prices, calls):
    table = calls_table(calls)
    before = price_calls(table, own_prices)

    after = share_hour(table, before, own_prices)

    for provider, usd in {"vllm": Decimal(10), "ollama": Decimal("0.1")}.items():
        is_theirs = pc.and_(
            pc.equal(table["provider"], provider),
            pc.equal(after["cost_status"], "estimated"),
        )
        theirs = after.filter(is_theirs)["cost_usd"]
        assert pc.sum(theirs).as_py() in (None, usd)
    others = pc.invert(pc.equal(after["cost_status"], "estimated"))
    assert after.filter(others).to_pylist() == before.filter(others).to_pylist()
    for cost in after.to_pylist():
        parts = [cost[name] for name in cost if name.endswith("_cost_usd")]
        assert cost["cost_usd"] is None or sum(parts) == cost["cost_usd"]
