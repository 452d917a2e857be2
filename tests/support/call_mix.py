"""A mix of calls as account hands them to pricing, for benchmarks."""

import datetime as dt

import numpy as np
import pyarrow as pa

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
