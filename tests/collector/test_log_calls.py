"""Calls that apps tell in log events: counted where no span tells them."""

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from otlp_requests import START_UNIX_NANO, key_values, request, span
from workshop import Workshop

MS = 10**6
DETAILS = "gen_ai.client.inference.operation.details"
API_REQUEST = {
    "event.name": "api_request",
    "session.id": "sess-1",
    "model": "claude-sonnet-4-5-20250929",
    "input_tokens": 21,
    "output_tokens": 90,
    "cache_read_tokens": 0,
    "cache_creation_tokens": 3500,
    "cache_creation_5m_tokens": 3000,
    "cache_creation_1h_tokens": 500,
    "duration_ms": 100,
}
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 812,
    "gen_ai.usage.output_tokens": 64,
}


def log(
    attributes, *, scope, event_name="", span_id=None, trace=1, at_ms=100, body=None
):
    logs = ExportLogsServiceRequest()
    scope_logs = logs.resource_logs.add().scope_logs.add()
    scope_logs.scope.name = scope
    record = scope_logs.log_records.add(
        time_unix_nano=START_UNIX_NANO + at_ms * MS,
        event_name=event_name,
        attributes=key_values(attributes),
    )
    if span_id is not None:
        record.trace_id = trace.to_bytes(16, "big")
        record.span_id = span_id.to_bytes(8, "big")
    if body is not None:
        record.body.string_value = body
    return logs


def api_request(**changes):
    where = {key: changes.pop(key) for key in ("span_id", "at_ms") if key in changes}
    return log(API_REQUEST | changes, scope="com.anthropic.claude_code.events", **where)


def code_span(span_id, parent=None, *, attributes, ms=100, **fields):
    return span(
        span_id,
        parent,
        start_time_unix_nano=START_UNIX_NANO,
        end_time_unix_nano=START_UNIX_NANO + ms * MS,
        attributes=attributes,
        **fields,
    )


def code_request(*spans):
    return request(*spans, scope="com.anthropic.claude_code.tracing")


INTERACTION = code_span(1, attributes={"span.type": "interaction"}, ms=300)
LLM_REQUEST = code_span(
    2,
    1,
    attributes={"span.type": "llm_request"}
    | {
        key: value
        for key, value in API_REQUEST.items()
        if not key.startswith(("event", "cache_creation_5m", "cache_creation_1h"))
    },
)


@pytest.fixture
def published(tmp_path):
    def publish(*requests):
        with Workshop(tmp_path, rollups=False, rules=False) as workshop:
            workshop.run(*requests)
            tables = workshop.published()
        return tables["calls"], tables["excluded"]

    return publish


def test_an_event_without_spans_is_a_call_with_all_that_it_tells(published):
    (call,), excluded = published(api_request())

    assert excluded == []
    assert (call["input_tokens"], call["uncached_input_tokens"]) == (3521, 21)
    assert (call["cache_write_5m_tokens"], call["cache_write_1h_tokens"]) == (3000, 500)
    assert (call["output_tokens"], call["duration_ms"]) == (90, 100)
    assert (call["operation"], call["cost_status"]) == ("chat", "priced")


def test_events_of_one_session_are_one_trace(published):
    later = api_request(at_ms=900, input_tokens=22)
    other = api_request(at_ms=900, **{"session.id": "sess-2"})

    calls, _ = published(api_request(), later, other)

    assert len(calls) == 3
    assert len({call["trace_id"] for call in calls}) == 2


def test_an_event_sent_twice_is_one_call(published):
    calls, _ = published(api_request(), api_request())

    assert len(calls) == 1


@pytest.mark.parametrize("first", ["span", "event"])
def test_an_event_beside_its_span_lends_it_detail_and_is_not_billed(published, first):
    spans, event = code_request(INTERACTION, LLM_REQUEST), api_request(span_id=1)
    order = (spans, event) if first == "span" else (event, spans)

    (call,), (excluded,) = published(*order)

    assert call["span_id"] == LLM_REQUEST.span_id.hex()
    assert call["cache_write_1h_tokens"] == 500
    assert (excluded["name"], excluded["reason"]) == ("api_request", "twin")
    assert excluded["billed_span_id"] == call["span_id"]


def test_an_event_that_fits_no_span_is_not_billed_where_spans_come(published):
    elsewhere = api_request(span_id=1, input_tokens=99, at_ms=280)

    calls, excluded = published(code_request(INTERACTION, LLM_REQUEST), elsewhere)

    assert [call["uncached_input_tokens"] for call in calls] == [21]
    assert [(row["reason"], row["billed_span_id"]) for row in excluded] == [
        ("twin", None)
    ]


@pytest.mark.parametrize("identity", [{}, {"gen_ai.response.id": "chatcmpl-12345678"}])
def test_a_details_event_is_the_call_of_the_span_it_was_logged_in(published, identity):
    scope = "opentelemetry.instrumentation.google_genai"
    chat = code_span(2, attributes=CHAT | identity)
    event = log(CHAT | identity, scope=scope, event_name=DETAILS, span_id=2)

    (call,), (excluded,) = published(request(chat, scope=scope), event)

    assert call["span_id"] == chat.span_id.hex()
    assert (excluded["reason"], excluded["billed_span_id"]) == ("twin", call["span_id"])


def test_a_details_event_alone_is_a_call(published):
    event = log(CHAT, scope="openlit", event_name=DETAILS, span_id=2)

    (call,), _ = published(event)

    assert (call["input_tokens"], call["output_tokens"]) == (812, 64)


def test_other_log_records_leave_nothing(tmp_path):
    with Workshop(tmp_path, rollups=False, rules=False) as workshop:
        workshop.run(
            log({"input_tokens": 5}, scope="app", body="hello"),
            log(API_REQUEST | {"event.name": "user_prompt"}, scope="app"),
        )

        assert workshop.stored_spans() == []


def test_content_of_an_event_does_not_reach_the_lake(tmp_path):
    said = {"gen_ai.input.messages": "ΨΨΨΨ", "gen_ai.output.messages": ["ΨΨΨΨ"]}
    with Workshop(tmp_path, rollups=False, rules=False) as workshop:
        workshop.run(log(CHAT | said, scope="app", event_name=DETAILS, body="ΨΨΨΨ"))

        (row,) = workshop.stored_spans()

    assert "Ψ" not in repr(row)
    assert row["kind"] == "LOG"


API_ERROR = {
    "event.name": "api_error",
    "session.id": "sess-1",
    "model": "claude-sonnet-4-5-20250929",
    "error": "529 Overloaded",
    "status_code": "529",
    "attempt": 11,
    "duration_ms": 50,
}


def api_error(**changes):
    where = {key: changes.pop(key) for key in ("span_id", "at_ms") if key in changes}
    return log(API_ERROR | changes, scope="com.anthropic.claude_code.events", **where)


def test_a_failure_event_is_a_failed_attempt_that_nobody_bills(published):
    calls, excluded = published(api_error(), api_request(at_ms=300))

    assert excluded == []
    assert [(call["error_type"], call["attempt"]) for call in calls] == [
        ("529", 11),
        (None, 12),
    ]
    assert calls[0]["cost_status"] == "not_billed"
    assert [call["step"] for call in calls] == [None, 0]


@pytest.mark.parametrize(
    ("message", "error_type"),
    [
        ("Request timed out.", "timeout"),
        ("API Error: 429 rate limited", "429"),
        ("Connection error.", "_OTHER"),
    ],
)
def test_a_failure_without_a_status_is_told_by_its_message(
    message, error_type, published
):
    (call,), _ = published(api_error(error=message, status_code="undefined"))

    assert call["error_type"] == error_type


def test_a_failure_event_is_no_attempt_of_its_own_where_spans_come(published):
    failed = code_span(
        2,
        1,
        attributes={
            "span.type": "llm_request",
            "model": "claude-sonnet-4-5",
            "status_code": "529",
            "attempt": 11,
        },
    )

    (call,), excluded = published(
        api_error(span_id=1), code_request(INTERACTION, failed)
    )

    assert (call["span_id"], call["attempt"]) == (failed.span_id.hex(), 11)
    assert excluded == []
