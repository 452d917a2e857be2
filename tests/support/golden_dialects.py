"""Spans of golden pairs, read as the drain reads them."""

from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from otlp_requests import key_values

from proto_handlers.normalise import normalise
from proto_handlers.otlp_traces import Payload, decode_traces


def normalised(given: dict[str, Any]) -> dict[str, Any]:
    """Return what a span means whose attributes are given as text."""
    request = ExportTraceServiceRequest()
    scope_spans = request.resource_spans.add().scope_spans.add()
    scope_spans.scope.name = given["scope_name"] or ""
    scope_spans.scope.version = given["scope_version"] or ""
    scope_spans.spans.add(
        trace_id=bytes(15) + b"\x01",
        span_id=bytes(7) + b"\x01",
        name=given["name"],
        kind=Span.SpanKind.Value(f"SPAN_KIND_{given.get('kind', 'INTERNAL')}"),
        start_time_unix_nano=1,
        end_time_unix_nano=2,
        status=Status(
            code=Status.StatusCode.Value(f"STATUS_CODE_{given['status_code']}")
        ),
        attributes=key_values(given["attributes"]),
    )
    decoded = decode_traces([Payload(request.SerializeToString(), 1)])
    return normalise(decoded.spans).to_pylist()[0]
