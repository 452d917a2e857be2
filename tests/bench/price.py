"""
Price calls on one core: ``python -P tests/bench/price.py [ROWS]``.

Prints one JSON line per input. The result is checked by adding up before it is timed;
the first run is not counted. The mix has 24 kinds of calls, with caches, reasoning,
dates and time of day; columns as account hands them over. Seconds are the process's
own on one core, so that a busy machine disturbs them less.
"""

import datetime as dt
import json
import statistics
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pricing import bundled_book, price_calls

MODELS = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini-2024-07-18"),
    ("openai", "gpt-5-2025-08-07"),
    ("openai", "gpt-5.4"),
    ("openai", "gpt-6-sol"),
    ("openai", "o3"),
    ("openai", "text-embedding-3-small"),
    ("anthropic", "claude-sonnet-4-5-20250929"),
    ("anthropic", "claude-opus-5-5"),
    ("anthropic", "claude-haiku-4-5-20251001"),
    ("anthropic", "claude-opus-4-6"),
    ("gcp.gemini", "gemini-2.5-flash"),
    ("gcp.gemini", "gemini-2.5-pro"),
    ("gcp.vertex_ai", "claude-haiku-4-5@20251001"),
    ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("aws.bedrock", "amazon.nova-lite-v1:0"),
    ("azure.ai.openai", "gpt-4.1"),
    ("x_ai", "grok-4.6"),
    ("deepseek", "deepseek-v4-pro"),
    ("mistral_ai", "mistral-medium-latest"),
    ("groq", "openai/gpt-oss-120b"),
    ("openrouter", "anthropic/claude-sonnet-4.5"),
    ("ollama", "qwen3:30b"),
    (None, "gpt-4o"),
]


def mixed_calls(rows: int, *, days: float) -> pa.Table:
    random = np.random.default_rng(7)
    kinds = random.integers(0, len(MODELS), rows)
    start = int(dt.datetime(2026, 10, 1, tzinfo=dt.UTC).timestamp())
    micros = start * 10**6 + random.integers(0, int(days * 86_400e6), rows)
    fresh = random.integers(1, 20_000, rows)
    read = random.integers(0, 50_000, rows) * random.integers(0, 2, rows)
    write = random.integers(0, 5_000, rows) * random.integers(0, 2, rows)
    output = random.integers(1, 4_000, rows)
    providers, models = zip(*MODELS, strict=True)
    return pa.table(
        {
            "timestamp": pa.array(micros, pa.timestamp("us", "UTC")),
            "operation": pa.repeat("chat", rows),
            "provider": pa.array(providers).take(pa.array(kinds)),
            "request_model": pa.array(models).take(pa.array(kinds)),
            "response_model": pa.array(models).take(pa.array(kinds)),
            "input_tokens": fresh + read + write,
            "cache_read_tokens": read,
            "cache_write_tokens": pa.array(write, mask=write == 0),
            "output_tokens": output,
            "reasoning_tokens": pa.array(output // 2, mask=output % 2 == 0),
            "error_type": pa.nulls(rows, pa.string()),
            "dialect": pa.repeat("otel_genai", rows),
            "tenant": pa.repeat("acme", rows),
            "feature": pa.array(["refund", "search", None]).take(pa.array(kinds % 3)),
        }
    )


def encoded(calls: pa.Table) -> pa.Table:
    """Return the calls with their texts as dictionaries."""
    for place, field in enumerate(calls.schema):
        if pa.types.is_string(field.type):
            words = calls[field.name].dictionary_encode()
            calls = calls.set_column(place, field.name, words)
    return calls


def main(rows: int) -> None:
    before = time.perf_counter()
    book = bundled_book()
    line = {"stage": "load", "seconds": round(time.perf_counter() - before, 3)}
    print(json.dumps({**line, "version": book.version}))
    inputs = {
        "one hour": mixed_calls(rows, days=1 / 24),
        "sixty days": mixed_calls(rows, days=60),
        "one hour, texts as dictionaries": encoded(mixed_calls(rows, days=1 / 24)),
    }
    for name, calls in inputs.items():
        costs = price_calls(calls, book)
        assert costs.num_rows == rows
        parts = [pc.sum(costs[column]).as_py() for column in costs.column_names[1:6]]
        assert pc.sum(costs["cost_usd"]).as_py() == sum(parts)
        seconds = []
        for _ in range(7):
            before = time.process_time()
            price_calls(calls, book)
            seconds.append(time.process_time() - before)
        result = {
            "stage": "price",
            "input": name,
            "rows": rows,
            "median_rows_per_second": round(rows / statistics.median(seconds)),
            "best_rows_per_second": round(rows / min(seconds)),
            "pyarrow": pa.__version__,
            "numpy": np.__version__,
        }
        print(json.dumps(result))


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
