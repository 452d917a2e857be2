"""The vectorised path against one call at a time in plain integers."""

import datetime as dt
import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from price_reference import COUNTS, PARTS, reference
from priced_calls import calls_table

from pricing import PriceBook, bundled_book, price_calls

OVERLAY = """
[[price]]
kind = "free"
tenant = "inner"
[[price]]
kind = "fixed_per_request"
feature = "fixed"
usd = "0.05"
[[price]]
kind = "subscription"
feature = "seat"
[[price]]
kind = "gpu_hour"
provider = "vllm"
usd_per_hour = 2
tokens_per_hour = 3_000_000
[[price]]
kind = "reported"
dialect = "gateway"
zero = true
[[price]]
kind = "multiply"
tenant = "acme"
factor = "933/1000"
[[price]]
kind = "multiply"
tenant = "thirds"
factor = "1/3"
"""

COSTS = ("cost_usd", *PARTS)
PROVIDERS = [
    *("openai", "anthropic", "gcp.gemini", "gcp.vertex_ai", "aws.bedrock", "x_ai"),
    *("azure.ai.openai", "deepseek", "mistral_ai", "openrouter", "vllm", "langchain"),
    None,
]
MODELS = [
    *("gpt-4o", "gpt-5.4", "gpt-6-sol", "o3", "gpt-realtime", "gpt-image-1"),
    *("text-embedding-3-small", "claude-sonnet-4-5-20250929", "claude-opus-5"),
    *("gemini-2.5-pro", "gemini-2.5-flash", "gemini-3.6-flash", "grok-4.6"),
    *("us.anthropic.claude-opus-4-6-v1", "amazon.nova-lite-v1:0", "deepseek-v4-pro"),
    *("anthropic/claude-sonnet-4.5", "deepseek-v4-flash", "mistral-medium-latest"),
    *("ft:gpt-4o-2024-08-06:a::b", "llama-3", "gemma-3-27b-it", "o1-pro", "", None),
]


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> PriceBook:
    path = tmp_path_factory.mktemp("overlay") / "mine.toml"
    path.write_text(OVERLAY, "utf-8")
    return bundled_book().with_overlay(path)


def assert_same(calls: list[dict], book: PriceBook) -> None:
    costs = price_calls(calls_table(calls), book).to_pylist()
    for call, cost in zip(calls, costs, strict=True):
        expected = reference(call, book)
        got = {"status": cost["cost_status"], "reason": cost["cost_reason"]}
        assert got == {name: expected[name] for name in got}, call
        got = {name: cost[name] and int(cost[name].scaleb(12)) for name in COSTS}
        assert got == {name: expected.get(name) for name in COSTS}, call


WORDS = {
    "service_tier": ["flex", "priority", "default", "scale"],
    "processing": ["batch", "realtime"],
    "speed": ["fast"],
    "region": ["global", "us-east5", "eu", "us-gov-west-1"],
    "deployment": ["data-zone", "provisioned"],
    "tenant": ["acme", "inner", "thirds", "other"],
    "feature": ["fixed", "seat", "refund"],
    "dialect": ["gateway", "otel_genai"],
    "operation": ["chat", "embeddings"],
    "cache_unknown": [True, False],
    "usage_incomplete": [True, False],
    "usage_convention": ["inclusive", "exclusive"],
    "error_type": ["timeout"],
    "reported_cost_usd": [Decimal("0.0123"), Decimal(0)],
}
TOTALS = [0, 5, 1_000, 40_000, 199_999, 200_000, 200_001, 272_001]
ODD = [None, 0, 1, -1, 7, 10**9, 10**15, 10**15 + 1, 2**62]


def random_kind(source: random.Random) -> dict:
    kind = {
        "provider": source.choice(PROVIDERS),
        "request_model": source.choice(MODELS),
        "response_model": source.choice([None, None, *MODELS]),
    }
    for name, choices in WORDS.items():
        if source.random() < 0.1:
            kind[name] = source.choice(choices)
    return kind


def random_counts(source: random.Random) -> dict:
    total, output = source.choice(TOTALS), source.randrange(20_000)
    read = source.randrange(total + 1) if source.random() < 0.5 else None
    write = source.randrange(total + 1 - (read or 0)) if source.random() < 0.3 else None
    counts = {
        "input_tokens": total,
        "output_tokens": output,
        "cache_read_tokens": read,
        "cache_write_tokens": write,
    }
    if write and source.random() < 0.3:
        counts["cache_write_1h_tokens"] = source.randrange(write + 1)
    if source.random() < 0.3:
        counts["reasoning_tokens"] = source.randrange(output + 1)
    for name in source.sample(COUNTS, 2) if source.random() < 0.15 else ():
        counts[name] = source.choice(ODD)
    return counts if source.random() < 0.98 else {}


def random_time(source: random.Random) -> dt.datetime:
    seconds = dt.timedelta(seconds=source.randrange(3 * 366 * 86_400))
    return dt.datetime(2024, 6, 1, tzinfo=dt.UTC) + seconds


@pytest.mark.timeout(240)
def test_a_hundred_thousand_random_calls_cost_the_same(book):
    source = random.Random(20_261_122)
    kinds = [random_kind(source) for _ in range(1_000)]
    calls = [
        {
            "timestamp": random_time(source),
            **source.choice(kinds),
            **random_counts(source),
        }
        for _ in range(100_000)
    ]

    assert_same(calls, book)


numbers = st.one_of(
    st.none(),
    st.integers(0, 300_000),
    st.sampled_from([-1, 10**12, 10**15, 10**15 + 1, 2**63 - 1, -(2**63)]),
)
kinds = st.fixed_dictionaries(
    {
        "timestamp": st.datetimes(
            dt.datetime(1970, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
            dt.datetime(2260, 1, 1),  # noqa: DTZ001
            timezones=st.just(dt.UTC),
        ),
        "provider": st.sampled_from(PROVIDERS),
        "request_model": st.sampled_from(MODELS),
    },
    optional={name: st.sampled_from(words) for name, words in WORDS.items()}
    | dict.fromkeys(COUNTS, numbers),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(kinds, min_size=1, max_size=5))
def test_any_calls_cost_the_same(book, calls):
    assert_same(calls, book)
