"""OTLP trace requests in files."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from proto_handlers.errors import DecodeError
from proto_handlers.otlp_json import parse_otlp_json

_SPLIT_BYTES: Final = 4 << 20
_SUFFIXES: Final = frozenset({".pb", ".json", ".jsonl"})


def find_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield files, and those in folders that may hold requests, sorted."""
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES)
        else:
            yield path


def read_requests(path: Path) -> Iterator[ExportTraceServiceRequest]:
    """
    Yield the trace requests of a file.

    Args:
        path: ``.pb`` is one request; ``.json`` one or more OTLP/JSON documents, or one
            per line; ``.jsonl`` one per line, as a Collector's file exporter writes.

    Raises:
        DecodeError: Something in it is no trace request; the message names the line.
        OSError: The file cannot be read.
    """
    if path.suffix == ".pb":
        yield _from_protobuf(path.read_bytes())
        return
    content = path.read_bytes()
    if path.suffix == ".json":
        try:
            json.loads(content)
        except ValueError:
            pass  # one document per line, then
        else:
            yield parse_otlp_json(content, ExportTraceServiceRequest)
            return
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            try:
                yield parse_otlp_json(line, ExportTraceServiceRequest)
            except DecodeError as error:
                raise DecodeError(f"line {number}: {error}") from None


def _from_protobuf(content: bytes) -> ExportTraceServiceRequest:
    try:
        return ExportTraceServiceRequest.FromString(content)
    except ProtobufError as error:
        raise DecodeError(str(error)) from None


def split_request(
    request: ExportTraceServiceRequest, max_bytes: int = _SPLIT_BYTES
) -> Iterator[ExportTraceServiceRequest]:
    """Yield the request in parts of about *max_bytes*, by scope and spans."""
    if request.ByteSize() <= max_bytes:
        yield request
        return
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            yield from _span_runs(resource_spans, scope_spans, max_bytes)


def _span_runs(
    resource_spans: ResourceSpans, scope_spans: ScopeSpans, max_bytes: int
) -> Iterator[ExportTraceServiceRequest]:
    part, size = _new_part(resource_spans, scope_spans), 0
    for span in scope_spans.spans:
        if size and size + span.ByteSize() > max_bytes:
            yield part
            part, size = _new_part(resource_spans, scope_spans), 0
        part.resource_spans[0].scope_spans[0].spans.append(span)
        size += span.ByteSize()
    yield part


def _new_part(
    resource_spans: ResourceSpans, scope_spans: ScopeSpans
) -> ExportTraceServiceRequest:
    part = ExportTraceServiceRequest()
    resource = part.resource_spans.add()
    resource.resource.CopyFrom(resource_spans.resource)
    scope = resource.scope_spans.add()
    scope.scope.CopyFrom(scope_spans.scope)
    return part
