"""
Which requests and spans are valid: the parser decides.

A request is valid if protobuf's parser takes it, UTF-8 included. A span in it is bad if
an id has a wrong length or is all zeros, or a time is beyond the year 2262 (int64
nanoseconds). A start or end of 0 and an end before the start are fine.

A Python object per span costs as much as the parsing. Protobuf merges the occurrences
of a message field that is not repeated, and concatenates repeated fields inside: so the
request is parsed as a variant of its own type in which all messages are singular, and
the ids and times of a span repeated. The parser checks every byte as always, but keeps
one span with one attribute. Serialised again, that span begins with the ids and times
of all spans as columns at known places, which a few slices check. Only if these show
something odd is the request parsed as what it is, and every span looked at.
"""

from collections import Counter
from typing import Any, Final, NamedTuple

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.message import DecodeError, Message
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

from collector.errors import MalformedRequestError

_TRACE_ID_BYTES: Final = 16
_SPAN_ID_BYTES: Final = 8
_NO_TRACE_ID: Final = bytes(_TRACE_ID_BYTES)
_NO_SPAN_ID: Final = bytes(_SPAN_ID_BYTES)
_MAX_UNIX_NANO: Final = 2**63 - 1
_COLUMNS: Final = frozenset(
    {"trace_id", "span_id", "start_time_unix_nano", "end_time_unix_nano"}
)


_BETWEEN_COLUMNS: Final = ("trace_state", "parent_span_id", "name", "kind")


class Verdict(NamedTuple):
    """What the parser found in a request."""

    items: int
    """Spans, log records or metric data points."""
    rejected: int = 0
    """Those of them that are bad."""
    reason: str = ""
    """What is wrong with the first bad one, for the sender."""
    reasons: tuple[tuple[str, int], ...] = ()
    """Kinds of badness with their counts."""


def check_traces(payload: bytes) -> Verdict:
    """
    Count the spans of an ``ExportTraceServiceRequest`` and the bad ones among them.

    Raises:
        MalformedRequestError: It is not one.
    """
    return _check_columns(payload) or _check_each(payload)


def check_logs(payload: bytes) -> Verdict:
    """
    Count the records of an ``ExportLogsServiceRequest``; none of them is bad.

    Raises:
        MalformedRequestError: It is not one.
    """
    request = ExportLogsServiceRequest()
    _parse(request, payload)
    return Verdict(
        sum(
            len(scope.log_records)
            for resource in request.resource_logs
            for scope in resource.scope_logs
        )
    )


def check_metrics(payload: bytes) -> Verdict:
    """
    Count the data points of an ``ExportMetricsServiceRequest``; none of them is bad.

    Raises:
        MalformedRequestError: It is not one.
    """
    request = ExportMetricsServiceRequest()
    _parse(request, payload)
    return Verdict(
        sum(
            len(getattr(metric, kind).data_points)
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if (kind := metric.WhichOneof("data")) is not None
        )
    )


def _parse(request: Message, payload: bytes) -> None:
    try:
        request.ParseFromString(payload)
    except DecodeError as error:
        message = f"{request.DESCRIPTOR.name}: {error}"
        raise MalformedRequestError(message) from None


def _check_columns(payload: bytes) -> Verdict | None:
    """Return the verdict on a request without bad spans, else None."""
    try:
        spans = _Merged.FromString(payload).resource_spans.scope_spans.spans
        count = len(_Counted.FromString(payload).resource_spans.scope_spans.spans)
    except DecodeError:
        return None
    if count == 0:
        return Verdict(0)
    for name in _BETWEEN_COLUMNS:
        spans.ClearField(name)
    return Verdict(count) if _are_good(spans.SerializeToString(), count) else None


def _are_good(columns: bytes, count: int) -> bool:
    """
    Return whether ids and times of *count* spans are all there and good.

    Args:
        columns: The merged span, serialised: trace ids, each after a tag and its
            length; span ids likewise; starts and ends, each packed after a tag and the
            length of all. What follows, unknown fields included, does not matter.

        count: How many of each there should be.
    """
    trace_ids = columns[: 18 * count]
    span_ids = columns[18 * count : 28 * count]
    times_bytes = _varint(8 * count)
    start_head, end_head = b"\x3a" + times_bytes, b"\x42" + times_bytes
    starts_at = 28 * count + len(start_head)
    starts_end = starts_at + 8 * count
    ends_at = starts_end + len(end_head)
    return (
        trace_ids[::18] == b"\x0a" * count
        and trace_ids[1::18] == b"\x10" * count
        and _NO_TRACE_ID not in trace_ids
        and span_ids[::10] == b"\x12" * count
        and span_ids[1::10] == b"\x08" * count
        and _NO_SPAN_ID not in span_ids
        and columns[28 * count : starts_at] == start_head
        and columns[starts_end:ends_at] == end_head
        # The highest byte of each time, with the sign of an int64.
        and max(columns[starts_at + 7 : starts_end : 8]) < 0x80
        and max(columns[ends_at + 7 : ends_at + 8 * count : 8]) < 0x80
    )


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _check_each(payload: bytes) -> Verdict:
    request = ExportTraceServiceRequest()
    _parse(request, payload)
    spans = [
        span
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    problems = [problem for span in spans if (problem := _problem(span))]
    if not problems:
        return Verdict(len(spans))
    counts = Counter(kind for kind, _ in problems)
    return Verdict(
        items=len(spans),
        rejected=len(problems),
        reason=problems[0][1],
        reasons=tuple(counts.items()),
    )


def _problem(span: Span) -> tuple[str, str] | None:
    """Return the kind of what is wrong with *span*, and a sentence about it."""
    for name, value, length in (
        ("trace_id", span.trace_id, _TRACE_ID_BYTES),
        ("span_id", span.span_id, _SPAN_ID_BYTES),
    ):
        if len(value) != length:
            return f"{name}_length", f"{name} has {len(value)} bytes, not {length}"
        if not any(value):
            return f"{name}_zero", f"{name} is all zeros"
    for name, unix_nano in (
        ("start_time_unix_nano", span.start_time_unix_nano),
        ("end_time_unix_nano", span.end_time_unix_nano),
    ):
        if unix_nano > _MAX_UNIX_NANO:
            return "time_range", f"{name} is beyond the year 2262"
    return None


def _variants() -> tuple[Any, Any]:
    """Return the merged request type and one that only counts the spans."""
    merged = descriptor_pool.DescriptorPool()
    counted = descriptor_pool.DescriptorPool()
    for file in _with_dependencies(ExportTraceServiceRequest.DESCRIPTOR.file):
        merged.Add(_singular(file, is_counting=False))
        counted.Add(_singular(file, is_counting=True))
    name = ExportTraceServiceRequest.DESCRIPTOR.full_name
    return (
        message_factory.GetMessageClass(merged.FindMessageTypeByName(name)),
        message_factory.GetMessageClass(counted.FindMessageTypeByName(name)),
    )


def _with_dependencies(file: FileDescriptor) -> list[FileDescriptor]:
    files: dict[str, FileDescriptor] = {}
    for dependency in file.dependencies:
        files.update({each.name: each for each in _with_dependencies(dependency)})
    return [*files.values(), file]


def _singular(file: FileDescriptor, *, is_counting: bool) -> FileDescriptorProto:
    """Return *file* with the changes that the module's docstring tells of."""
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    for message in proto.message_type:
        for field in message.field:
            if message.name == "Span" and field.name in _COLUMNS:
                field.label = FieldDescriptorProto.LABEL_REPEATED
            elif field.name == "spans" and is_counting:
                field.type = FieldDescriptorProto.TYPE_BYTES
                field.ClearField("type_name")
            elif field.type == FieldDescriptorProto.TYPE_MESSAGE:
                field.label = FieldDescriptorProto.LABEL_OPTIONAL
    return proto


_Merged, _Counted = _variants()
