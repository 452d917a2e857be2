"""The compiled list against the package it was made from, call by call."""

import datetime as dt
import importlib.metadata
import json
import random
from decimal import Decimal
from importlib.resources import files

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from priced_calls import calls_table

from pricing import PriceBook, price_calls

LIST = (files("pricing") / "data" / "genai_prices.json").read_text("utf-8")
CONTEXTS = [
    *({}, {}, {}, {"service_tier": "flex"}, {"service_tier": "priority"}),
    *({"processing": "batch"}, {"speed": "fast"}),
]
SELLERS = (
    *("anthropic", "aws", "azure", "cohere", "deepseek", "google", "groq", "mistral"),
    *("moonshotai", "openai", "openrouter", "perplexity", "together", "x-ai", "zai"),
)


def random_call(source: random.Random, names: list[tuple[str, str]]) -> dict:
    provider, model = source.choice(names)
    fresh, read = (
        source.choice([5, 199_999, 200_000, 272_000]),
        source.choice([0, 3_000]),
    )
    write, hour = source.choice([(0, 0), (7, 0), (18, 11)])
    output, reasoning = source.randrange(5_000), source.choice([0, 40])
    seconds = dt.timedelta(seconds=source.randrange(2 * 366 * 86_400))
    return {
        "timestamp": dt.datetime(2025, 1, 1, tzinfo=dt.UTC) + seconds,
        "provider": provider,
        "request_model": model,
        "input_tokens": fresh + read + write,
        "cache_read_tokens": read,
        "cache_write_tokens": write,
        "cache_write_1h_tokens": hour,
        "output_tokens": output + reasoning,
        "reasoning_tokens": reasoning,
        **source.choice(CONTEXTS),
    }


def package_price(call: dict) -> Decimal:
    usage = genai_prices.Usage(
        input_tokens=call["input_tokens"],
        cache_read_tokens=call["cache_read_tokens"],
        cache_write_tokens=call["cache_write_tokens"],
        cache_write_1h_tokens=call["cache_write_1h_tokens"],
        output_tokens=call["output_tokens"],
        output_reasoning_tokens=call["reasoning_tokens"],
    )
    words = ("service_tier", "processing", "speed")
    context = {word: call[word] for word in words if word in call}
    found = get_snapshot().calc(
        usage,
        call["request_model"],
        call["provider"],
        None,
        call["timestamp"],
        context,
    )
    return found.total_price


def test_five_thousand_random_calls_cost_what_the_package_says():
    if importlib.metadata.version("genai-prices") != json.loads(LIST)["version"]:
        pytest.skip("another version of genai-prices is installed")
    snapshot = get_snapshot()
    names = [
        (provider.id, model.id)
        for provider in snapshot.providers
        if provider.id in SELLERS
        for model in provider.models
        if provider.find_model(model.id) and model.prices
    ]
    source = random.Random(7)
    calls = [random_call(source, names) for _ in range(5_000)]

    costs = price_calls(calls_table(calls), PriceBook({"list.json": LIST})).to_pylist()

    compared = 0
    for call, cost in zip(calls, costs, strict=True):
        if "rate_missing" in (cost["cost_reason"] or "") or cost["cost_usd"] is None:
            continue
        compared += 1
        # A rate that is no whole pico-USD was rounded: half of one per token.
        tokens = call["input_tokens"] + call["output_tokens"]
        slack = Decimal(tokens) * Decimal("0.5e-12")
        assert abs(cost["cost_usd"] - package_price(call)) <= slack, call
    assert compared > 4_000
