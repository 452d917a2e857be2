"""Trace requests for tests: built by hand, or any valid one from hypothesis."""

import math
from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import (
    ResourceSpans,
    ScopeSpans,
    Span,
    Status,
)

from proto_handlers.otlp_traces import Payload

START_UNIX_NANO = 1_764_000_000_000_000_000
"""Some time in November 2025."""

KNOWN_KEYS = (
    "service.name",
    "deployment.environment",
    "gen_ai.operation.name",
    "gen_ai.request.model",
    "gen_ai.provider.name",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.response.finish_reasons",
    "gen_ai.input.messages",
    "llm.input_messages.0.message.content",
    "openinference.span.kind",
    "traceloop.span.kind",
    "app.feature",
    "spanledger.time_mended",
    "spanledger.content.gen_ai.input.messages",
    "",
)
"""Keys that mean something to us, so that arbitrary requests have them often."""


def any_value(value: Any) -> AnyValue:
    """Return a Python value as OTLP sends it; None is an absent value."""
    if isinstance(value, list | tuple):
        return AnyValue(array_value=ArrayValue(values=map(any_value, value)))
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
    field = {
        bool: "bool_value",
        int: "int_value",
        float: "double_value",
        bytes: "bytes_value",
        str: "string_value",
    }
    return AnyValue() if value is None else AnyValue(**{field[type(value)]: value})


def key_values(attributes: dict[str, Any]) -> list[KeyValue]:
    """Return attributes as OTLP sends them."""
    return [KeyValue(key=k, value=any_value(v)) for k, v in attributes.items()]


def span(
    span_id: int, parent: int | None = None, *, trace: int = 1, **fields: Any
) -> Span:
    """Return a span with the ids given as small numbers; *fields* are the message's."""
    attributes = fields.pop("attributes", {})
    return Span(
        **{
            "trace_id": trace.to_bytes(16, "big"),
            "span_id": span_id.to_bytes(8, "big"),
            "parent_span_id": b"" if parent is None else parent.to_bytes(8, "big"),
            "name": "work",
            "start_time_unix_nano": START_UNIX_NANO + span_id,
            "end_time_unix_nano": START_UNIX_NANO + span_id + 10**9,
            "attributes": key_values(attributes),
        }
        | fields
    )


def request(
    *spans: Span,
    scope: str = "app",
    version: str = "1.0",
    resource: dict[str, Any] | None = None,
) -> ExportTraceServiceRequest:
    """Return a request with one resource and one scope."""
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=key_values(resource or {})),
                scope_spans=[
                    ScopeSpans(
                        scope=InstrumentationScope(name=scope, version=version),
                        spans=spans,
                    )
                ],
            )
        ]
    )


def payload(*spans: Span, received_unix_nano: int = START_UNIX_NANO, **of_request: Any):
    """Return a request as the journal holds it."""
    body = request(*spans, **of_request).SerializeToString()
    return Payload(body, received_unix_nano)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
keys = st.sampled_from(KNOWN_KEYS) | texts
scalars = (
    texts
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.just(math.nan)
    | st.binary(max_size=6)
    | st.sampled_from(
        ["chat", "execute_tool", "LLM", "gpt-5", "12", "1.0", '["stop"]', "", " "]
    )
)
values = st.recursive(
    st.none() | scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=5,
)
# Repeated keys are the point, so pairs and no dictionary.
attribute_lists = st.lists(
    st.builds(
        lambda key, value: KeyValue(key=key, value=any_value(value)), keys, values
    )
    | st.builds(lambda key: KeyValue(key=key), keys),
    max_size=6,
)
trace_ids = st.sampled_from([b"\1" * 16, b"\xfe" * 16, b"", b"\1" * 15, bytes(16)])
span_ids = st.integers(1, 2**64 - 1).map(
    lambda n: n.to_bytes(8, "big")
) | st.sampled_from([b"", bytes(8), b"\2" * 9])
times = st.integers(0, 3) | st.sampled_from(
    [START_UNIX_NANO, START_UNIX_NANO + 1_001, 2**63 - 1, 2**63, 2**64 - 1]
)
event_attributes = st.lists(
    st.builds(
        lambda key, value: KeyValue(key=key, value=any_value(value)),
        st.sampled_from(
            ["content", "message", "finish_reason", "exception.type", "other", ""]
        ),
        values,
    ),
    max_size=4,
)
events = st.builds(
    Span.Event,
    time_unix_nano=st.sampled_from([START_UNIX_NANO, START_UNIX_NANO + 10**8]) | times,
    name=st.sampled_from(
        [
            "exception",
            "gen_ai.choice",
            "gen_ai.tool.message",
            "First Token Stream Event",
        ]
    )
    | texts,
    attributes=attribute_lists | event_attributes,
    dropped_attributes_count=st.integers(0, 3),
)
links = st.builds(
    Span.Link,
    trace_id=trace_ids,
    span_id=span_ids,
    trace_state=texts,
    attributes=attribute_lists,
)
any_spans = st.builds(
    Span,
    # Mostly good ones, so that the rest is looked at.
    trace_id=st.just(b"\1" * 16) | trace_ids,
    span_id=st.just(b"\2" * 8) | span_ids,
    parent_span_id=span_ids,
    trace_state=st.sampled_from(["", "ot=th:8", "vendor=1"]) | texts,
    flags=st.integers(0, 2**32 - 1),
    name=texts,
    kind=st.integers(0, 9),
    start_time_unix_nano=st.just(START_UNIX_NANO) | times,
    end_time_unix_nano=st.just(START_UNIX_NANO + 1) | times,
    attributes=attribute_lists,
    events=st.lists(events, max_size=2),
    links=st.lists(links, max_size=2),
    status=st.none() | st.builds(Status, message=texts, code=st.integers(0, 5)),
)
requests = st.builds(
    ExportTraceServiceRequest,
    resource_spans=st.lists(
        st.builds(
            ResourceSpans,
            resource=st.none() | st.builds(Resource, attributes=attribute_lists),
            schema_url=texts,
            scope_spans=st.lists(
                st.builds(
                    ScopeSpans,
                    scope=st.none()
                    | st.builds(
                        InstrumentationScope,
                        name=st.sampled_from(["", "openinference.instrumentation.x"])
                        | texts,
                        version=texts,
                    ),
                    spans=st.lists(any_spans, max_size=3),
                ),
                max_size=2,
            ),
        ),
        max_size=2,
    ),
)
"""Requests that protobuf takes, with spans good and bad."""

payloads = st.builds(
    lambda request, received, tenant: Payload(
        request.SerializeToString(), received, tenant
    ),
    requests,
    st.integers(1, 2**62),
    st.none() | texts,
)
