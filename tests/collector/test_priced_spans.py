"""Calls whose exact cost is known, told by the attributes of spans."""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pytest
from attribute_texts import raw_table
from priced_calls import price_one

from pricing import bundled_book, price_calls
from proto_handlers.normalise import normalise
from proto_handlers.usage_shapes import find_usage

FIXTURES = Path(__file__).parents[1] / "fixtures" / "prices"
KEYS = {
    "provider": "gen_ai.provider.name",
    "request_model": "gen_ai.request.model",
    "response_model": "gen_ai.response.model",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    "cache_write_5m_tokens": "anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
    "cache_write_1h_tokens": "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "input_audio_tokens": "gen_ai.usage.audio.input_tokens",
    "cache_read_audio_tokens": "gen_ai.usage.audio.cache_read.input_tokens",
    "output_audio_tokens": "gen_ai.usage.audio.output_tokens",
    "input_image_tokens": "gen_ai.usage.image.input_tokens",
    "output_image_tokens": "gen_ai.usage.image.output_tokens",
    "region": "cloud.region",
    "service_tier": "openai.response.service_tier",
    "processing": "spanledger.processing",
    "speed": "spanledger.speed",
    "deployment": "spanledger.deployment",
    "operation": "gen_ai.operation.name",
}


def read_lines(name):
    lines = (FIXTURES / name).read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


DOCUMENTS = read_lines("usage_documents.jsonl")


def as_span(call):
    micros = int(dt.datetime.fromisoformat(call["timestamp"]).timestamp()) * 1_000_000
    told = {"operation": "chat", **call}
    return {
        "timestamp": micros,
        "attributes": {KEYS[name]: str(told[name]) for name in told if name in KEYS},
    }


def test_every_priced_case_costs_the_same_told_by_a_span():
    cases = read_lines("priced_cases.jsonl")
    spans = raw_table([as_span(case["call"]) for case in cases])

    costs = price_calls(normalise(spans), bundled_book()).to_pylist()

    expected = {
        case["id"]: None if case["cost_usd"] is None else Decimal(case["cost_usd"])
        for case in cases
    }
    found = {
        case["id"]: cost["cost_usd"] for case, cost in zip(cases, costs, strict=True)
    }
    assert found == expected


@pytest.mark.parametrize("case", DOCUMENTS, ids=[case["id"] for case in DOCUMENTS])
def test_a_providers_own_answer_costs_what_it_bills(case):
    found = find_usage(case["response"])

    assert found is not None
    cost = price_one(
        bundled_book(),
        provider=case["provider"],
        request_model=case["model"],
        timestamp=dt.datetime.fromisoformat(case["timestamp"]),
        **found.counts,
    )
    assert (cost["cost_usd"], cost["cost_status"]) == (
        Decimal(case["expected_usd"]),
        "priced",
    )


def test_reasoning_inside_the_answer_is_not_added_again():
    usage = {"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19}
    details = {"completion_tokens_details": {"reasoning_tokens": 4}}

    found = find_usage({"usage": {**usage, **details}})

    assert found is not None
    assert found.counts["output_tokens"] == 9
