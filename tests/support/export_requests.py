"""OTLP export requests as an instrumented app sends them."""

from collections.abc import Iterator

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

START_UNIX_NANO = 1_732_000_000_000_000_000

_TEXTS = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "chatcmpl-9J3uIL87gldCFtiIbyaOvTeYBRA3l",
    "gen_ai.agent.name": "triage-agent",
}


def add_span(request: ExportTraceServiceRequest, number: int) -> Span:
    """Add a lean GenAI span, about 420 bytes; its ids are made from *number*."""
    if not request.resource_spans:
        resource_spans = request.resource_spans.add()
        service = resource_spans.resource.attributes.add(key="service.name")
        service.value.string_value = "support-desk"
        resource_spans.scope_spans.add().scope.name = "opentelemetry.genai"
    start = START_UNIX_NANO + number * 1_000_000
    span = (
        request.resource_spans[0]
        .scope_spans[0]
        .spans.add(
            trace_id=(number + 1).to_bytes(16, "big"),
            span_id=(number + 1).to_bytes(8, "big"),
            parent_span_id=(number + 2).to_bytes(8, "big"),
            name="chat gpt-4o",
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=start,
            end_time_unix_nano=start + 900_000_000,
        )
    )
    for key, text in _TEXTS.items():
        span.attributes.add(key=key).value.string_value = text
    span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = 1200
    span.attributes.add(key="gen_ai.usage.output_tokens").value.int_value = 250
    span.attributes.add(key="gen_ai.agent.step").value.int_value = number % 20
    return span


def trace_request(spans: int = 1, *, first: int = 0) -> ExportTraceServiceRequest:
    """Return a request with *spans* spans, numbered from *first*."""
    request = ExportTraceServiceRequest()
    for number in range(first, first + spans):
        add_span(request, number)
    return request


def different_requests(spans: int) -> Iterator[bytes]:
    """Yield requests of *spans* spans without end, no two of the same bytes."""
    content = trace_request(spans).SerializeToString()
    marker = (1).to_bytes(16, "big")
    before, _, after = content.partition(marker)
    number = 1 << 64
    while True:
        number += 1
        yield b"".join((before, number.to_bytes(16, "big"), after))


def log_request(records: int = 1) -> ExportLogsServiceRequest:
    """Return a request with *records* log records."""
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for number in range(records):
        scope.log_records.add(
            time_unix_nano=START_UNIX_NANO + number,
            event_name="gen_ai.client.inference.operation.details",
        )
    return request


def metric_request(points: int = 1) -> ExportMetricsServiceRequest:
    """Return a request with one metric of *points* data points."""
    request = ExportMetricsServiceRequest()
    metric = (
        request.resource_metrics.add()
        .scope_metrics.add()
        .metrics.add(name="gen_ai.client.token.usage")
    )
    for number in range(points):
        metric.sum.data_points.add(as_int=number, time_unix_nano=START_UNIX_NANO)
    return request
