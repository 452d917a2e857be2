"""Normalising: one meaning for all dialects, from what the lake keeps."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attribute_texts import content, marker, raw_table, tables
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_requests import payloads

from proto_handlers.normalise import identity_keys, normalise
from proto_handlers.otlp_traces import decode_traces
from proto_handlers.schema import IDENTITY, WIRE_FIELDS, normalised_schema

DIMENSIONS = {"feature": ("my.feature",), "team": ("team", "app.team")}


def read(attributes, *, dimensions=None, **wire):
    table = raw_table([{"attributes": attributes} | wire])
    return normalise(table, dimensions).to_pylist()[0]


def stored(table):
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=3)
    return pq.read_table(io.BytesIO(sink.getvalue()))


@settings(max_examples=60, deadline=None)
@given(tables)
def test_arbitrary_texts_under_known_keys_give_a_row_each(table):
    normalised = normalise(table, DIMENSIONS)

    assert normalised.schema == normalised_schema(tuple(DIMENSIONS))
    wire = [field.name for field in WIRE_FIELDS]
    assert normalised.select(wire).to_pylist() == table.select(wire).to_pylist()
    for field in normalised.schema:
        assert field.nullable or not normalised.column(field.name).null_count


@settings(max_examples=40, deadline=None)
@given(tables)
def test_a_span_means_the_same_alone_and_among_others(table):
    together = normalise(table, DIMENSIONS).to_pylist()

    alone = [
        normalise(table.slice(place, 1), DIMENSIONS).to_pylist()[0]
        for place in range(table.num_rows)
    ]

    assert together == alone


@settings(max_examples=40, deadline=None)
@given(tables, st.integers(0, 6))
def test_what_comes_back_from_the_lake_means_what_was_decoded(table, cut):
    chunked = pa.concat_tables([table.slice(0, cut), table.slice(cut)])

    assert normalise(stored(chunked)).equals(normalise(table))


@settings(max_examples=30, deadline=None)
@given(st.lists(payloads, max_size=3))
def test_any_request_that_decodes_normalises(sent):
    spans = decode_traces(sent).spans

    assert normalise(stored(spans)).equals(normalise(spans))


@settings(max_examples=60, deadline=None)
@given(tables)
def test_counts_agree_with_each_other(table):
    for row in normalise(table).to_pylist():
        parts = (row["cache_read_tokens"] or 0) + (row["cache_write_tokens"] or 0)
        if row["input_tokens"] is not None:
            assert parts <= row["input_tokens"]
        if row["is_call"]:
            assert row["operation"]
            assert row["span_role"] == "call"
        assert row["is_total"] == (row["has_usage"] and not row["is_call"])
        assert row["sampling_weight"] >= 1


def test_a_users_own_key_feeds_a_dimension_before_ours():
    row = read(
        {"app.feature": "ours", "my.feature": "theirs", "app.team": "blue"},
        dimensions=DIMENSIONS,
    )

    assert (row["own_feature"], row["own_team"]) == ("theirs", "blue")


def test_an_empty_attribute_does_not_hide_the_next_best():
    row = read({"spanledger.feature": "", "app.feature": "refund"})

    assert row["own_feature"] == "refund"


def test_dimensions_come_after_identities_in_order():
    assert tuple(identity_keys(DIMENSIONS)) == (*IDENTITY, "team")


def test_resources_are_read_beside_the_span():
    row = read({}, resource_attributes={"app.feature": "search"})

    assert (row["own_feature"], row["resource_feature"]) == (None, "search")


def test_no_spans_give_no_rows_with_the_schema():
    assert normalise(raw_table([])).equals(normalised_schema().empty_table())


@pytest.mark.parametrize(
    ("said", "operation", "is_call"),
    [
        ({"gen_ai.operation.name": "chat"}, "chat", True),
        ({"gen_ai.operation.name": "invoke_agent"}, "invoke_agent", False),
        ({"gen_ai.operation.name": "shout"}, None, False),
        ({"gen_ai.request.model": "gpt-5"}, None, False),
        (
            {"gen_ai.request.model": "gpt-5", "gen_ai.usage.input_tokens": "3"},
            "chat",
            True,
        ),
        ({"gen_ai.usage.input_tokens": "3"}, None, False),
    ],
    ids=["chat", "agent", "unknown word", "model only", "model and counts", "counts"],
)
def test_a_span_is_a_call_by_its_word_or_by_model_and_counts(said, operation, is_call):
    row = read(said)

    assert (row["operation"], row["is_call"]) == (operation, is_call)


@pytest.mark.parametrize(
    ("counts", "provider", "input_tokens", "convention"),
    [
        ({"input_tokens": 100, "cache_read.input_tokens": 40}, "openai", 100, None),
        ({"input_tokens": 100, "cache_read_input_tokens": 40}, "openai", 100, None),
        (
            {"input_tokens": 100, "cache_read_input_tokens": 40},
            "anthropic",
            140,
            "exclusive",
        ),
        (
            {"input_tokens": 30, "cache_read.input_tokens": 40},
            "anthropic",
            70,
            "inferred_exclusive",
        ),
    ],
    ids=["dotted", "underscored, other provider", "wire-shaped", "contradiction"],
)
def test_an_unknown_scope_counts_as_keys_provider_and_counts_say(
    counts, provider, input_tokens, convention
):
    row = read(
        {f"gen_ai.usage.{key}": str(value) for key, value in counts.items()}
        | {"gen_ai.operation.name": "chat", "gen_ai.provider.name": provider},
        scope_name="my.app",
    )

    assert row["input_tokens"] == input_tokens
    assert row["usage_convention"] == (convention or "inclusive")


def test_counts_that_are_no_whole_numbers_are_unknown():
    row = read(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": "many",
            "gen_ai.usage.output_tokens": "12.0",
            "gen_ai.usage.cache_read.input_tokens": "-4",
        }
    )

    assert row["input_tokens"] is None
    assert row["output_tokens"] == 12
    assert row["cache_read_tokens"] is None


@pytest.mark.parametrize(
    ("trace_state", "weight"),
    [
        ("ot=th:8", 2.0),
        ("ot=th:c;rv:f0000000000000", 4.0),
        ("vendor=1, ot=rv:f0000000000000;th:e ", 8.0),
        ("ot=th:0", 1.0),
        ("ot=p:3;r:5,vendor=1", 8.0),
        ("ot=p:8;th:8", 2.0),
        ("ot=p:63", 0.0),
        ("ot=xth:8", 1.0),
        ("other=th:8", 1.0),
        ("vendor=1", 1.0),
        (None, 1.0),
    ],
)
def test_a_sampled_span_weighs_what_its_trace_state_says(trace_state, weight):
    assert read({}, trace_state=trace_state)["sampling_weight"] == weight


def test_a_tool_span_keeps_hashes_of_arguments_and_result():
    row = read(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "get_weather",
            "gen_ai.tool.call.id": "call_1",
            content("gen_ai.tool.call.arguments"): marker(12, "aa" * 16),
            content("gen_ai.tool.call.result"): marker(34, "bb" * 16),
        }
    )

    assert row["span_role"] == "tool"
    assert (row["tool_name"], row["tool_call_id"]) == ("get_weather", "call_1")
    assert (row["arguments_hash"], row["result_hash"]) == ("aa" * 16, "bb" * 16)
    assert row["result_bytes"] == 34


def test_a_failed_span_without_a_type_is_an_error():
    row = read({"gen_ai.operation.name": "chat"}, status_code="ERROR")

    assert row["error_type"] == "_OTHER"


@pytest.mark.parametrize(
    ("description", "error_type"),
    [
        ("Error code: 429 - rate limited", "429"),
        ("HTTP 503: overloaded", "503"),
        ("Request failed with status code 500", "500"),
        ("max_tokens must be below 500", "_OTHER"),
        ("Error code: 4290", "_OTHER"),
    ],
)
def test_a_status_that_only_the_description_says_is_read_there(description, error_type):
    failed = {"status_code": "ERROR", "status_message": description}
    own = {"error.type": "RateLimitError"}

    assert read({}, **failed)["error_type"] == error_type
    assert read(own, **failed)["error_type"] == "RateLimitError"


@pytest.mark.parametrize(
    ("kind", "route"), [("SERVER", "/v1"), ("INTERNAL", "/v1"), ("CLIENT", None)]
)
def test_a_route_that_a_client_calls_is_none_that_was_served(kind, route):
    assert read({"http.route": "/v1"}, kind=kind)["http_route"] == route


@pytest.mark.parametrize(
    ("attributes", "streaming", "first_token_ms"),
    [
        ({"gen_ai.response.time_to_first_chunk": "0.25"}, True, 250.0),
        (
            {
                "gen_ai.server.time_to_first_token": "0.25",
                "gen_ai.request.stream": "false",
            },
            False,
            None,
        ),
        ({"gen_ai.request.stream": "true"}, True, None),
        ({"gen_ai.server.time_to_first_token": "0.25"}, None, 250.0),
        ({}, None, None),
    ],
)
def test_a_call_with_a_first_token_was_streamed(attributes, streaming, first_token_ms):
    row = read({"gen_ai.operation.name": "chat"} | attributes)

    assert row["streaming"] is streaming
    assert row["time_to_first_token_ms"] == first_token_ms


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("bedrock-runtime.eu-west-1.amazonaws.com", "eu-west-1"),
        ("us-central1-aiplatform.googleapis.com", "us-central1"),
        ("eu.api.openai.com", "eu"),
        ("api.openai.com", None),
    ],
)
def test_a_region_is_read_from_the_server_address(address, region):
    assert read({"server.address": address})["region"] == region
