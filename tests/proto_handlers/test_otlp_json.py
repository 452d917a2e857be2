"""OTLP/JSON means what the protobuf encoding means."""

import base64
import json

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from otlp_requests import request, requests, span

from proto_handlers.errors import DecodeError
from proto_handlers.otlp_json import parse_otlp_json

IDS = {"traceId", "spanId", "parentSpanId"}
NUMBERS = {"intValue", "startTimeUnixNano", "endTimeUnixNano", "timeUnixNano"}


def parse(value):
    text = json.dumps(value, ensure_ascii=False).encode()
    return parse_otlp_json(text, ExportTraceServiceRequest)


def as_otlp(value, *, numbers=str):
    """Return protobuf's own JSON with hex ids and 64-bit integers as *numbers*."""
    if isinstance(value, list):
        return [as_otlp(item, numbers=numbers) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64decode(item).hex()
        if key in IDS
        else numbers(item)
        if key in NUMBERS
        else as_otlp(item, numbers=numbers)
        for key, item in value.items()
    }


@settings(max_examples=60, deadline=None)
@given(requests, st.sampled_from([int, str]))
def test_a_request_reads_as_it_was_written(sent, numbers):
    written = MessageToDict(sent, use_integers_for_enums=True)

    # A NaN differs from itself, so compare the bytes.
    assert parse(as_otlp(written, numbers=numbers)).SerializeToString(
        deterministic=True
    ) == sent.SerializeToString(deterministic=True)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_what_is_no_request_is_a_decode_error_and_nothing_else(text):
    try:
        parsed = parse_otlp_json(text, ExportTraceServiceRequest)
    except DecodeError:
        return

    assert isinstance(parsed, ExportTraceServiceRequest)


@pytest.mark.parametrize(
    "value",
    [
        [],
        "text",
        {"resourceSpans": {}},
        {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 5}]}]}]},
        {"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "x"}]}]}]},
    ],
    ids=str,
)
def test_a_field_of_a_wrong_type_is_refused(value):
    with pytest.raises(DecodeError):
        parse(value)


def test_unknown_fields_are_ignored():
    written = MessageToDict(request(span(1)), use_integers_for_enums=True)
    known = parse(as_otlp(written))

    written["future"] = {"a": 1}
    written["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["future"] = [1]

    assert parse(as_otlp(written)) == known


def test_upper_case_ids_are_the_same_ids():
    spans = [{"traceId": "AB" * 16, "spanId": "cd" * 8}]

    parsed = parse({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})

    (only,) = parsed.resource_spans[0].scope_spans[0].spans
    assert (only.trace_id, only.span_id) == (b"\xab" * 16, b"\xcd" * 8)


def test_an_id_that_is_not_hex_makes_a_bad_span_not_a_bad_request():
    spans = [{"traceId": "zz", "spanId": "cd" * 8, "name": "work"}]

    parsed = parse({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})

    (only,) = parsed.resource_spans[0].scope_spans[0].spans
    assert (only.trace_id, only.name) == (b"", "work")
