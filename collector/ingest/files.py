"""OTLP requests in files."""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs, ScopeLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from proto_handlers.errors import DecodeError
from proto_handlers.otlp_json import parse_otlp_json

Request = ExportTraceServiceRequest | ExportLogsServiceRequest
Resource = ResourceSpans | ResourceLogs
Scope = ScopeSpans | ScopeLogs

_SPLIT_BYTES: Final = 4 << 20
_SUFFIXES: Final = frozenset({".pb", ".json", ".jsonl"})
_GZIP: Final = ".gz"


class Signal(NamedTuple):
    """A kind of request that is read: its name on the wire, and where its items are."""

    name: Literal["traces", "logs"]
    request: type[Request]
    resources: str
    scopes: str
    items: str


TRACES: Final = Signal(
    "traces", ExportTraceServiceRequest, "resource_spans", "scope_spans", "spans"
)
LOGS: Final = Signal(
    "logs", ExportLogsServiceRequest, "resource_logs", "scope_logs", "log_records"
)
_JSON_KEYS: Final = {"resourceLogs": LOGS, "resource_logs": LOGS}
_METRICS: Final = ("resourceMetrics", "resource_metrics")
_FIRST_KEY: Final = re.compile(rb'\s*\{\s*"(\w+)"')
"""A request has one key, which names its signal."""


def signal_of(request: Request) -> Signal:
    """Return what kind of request it is."""
    return LOGS if isinstance(request, ExportLogsServiceRequest) else TRACES


def find_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield files, and those in folders that may hold requests, sorted."""
    for path in paths:
        if path.is_dir():
            found = sorted(path.rglob("*"))
            yield from (file for file in found if _named(file).suffix in _SUFFIXES)
        else:
            yield path


def read_requests(path: Path) -> Iterator[Request]:
    """
    Yield the trace and log requests of a file; metrics are passed over.

    Args:
        path: ``.pb`` is one request, of the signal that its name has as a word
            (``002.logs.pb``), else of traces; ``.json`` one or more OTLP/JSON
            documents, or one per line; ``.jsonl`` one per line, as a Collector's file
            exporter writes. Any of them may be compressed, as ``.jsonl.gz``.

    Raises:
        DecodeError: Something in it is no request; the message names the line.
        OSError: The file cannot be read.
    """
    content, named = _content(path), _named(path)
    if named.suffix == ".pb":
        words = set(re.split(r"[^a-z]+", named.name.lower()))
        yield from _from_protobuf(content, words)
        return
    if named.suffix == ".json":
        try:
            json.loads(content)
        except ValueError:
            pass  # one document per line, then
        else:
            yield from _from_json(content)
            return
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            try:
                yield from _from_json(line)
            except DecodeError as error:
                raise DecodeError(f"line {number}: {error}") from None


def _named(path: Path) -> Path:
    """Return *path* as the file is named when it is not compressed."""
    return path.with_suffix("") if path.suffix == _GZIP else path


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != _GZIP:
        return content
    try:
        return gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DecodeError(f"gzip: {error}") from None


def _from_json(content: bytes) -> Iterator[Request]:
    found = _FIRST_KEY.match(content)
    key = found.group(1).decode() if found else ""
    if key not in _METRICS:
        yield parse_otlp_json(content, _JSON_KEYS.get(key, TRACES).request)


def _from_protobuf(content: bytes, words: set[str]) -> Iterator[Request]:
    if "metrics" in words:
        return
    signal = LOGS if "logs" in words else TRACES
    try:
        yield signal.request.FromString(content)
    except ProtobufError as error:
        raise DecodeError(str(error)) from None


def split_request(request: Request, max_bytes: int = _SPLIT_BYTES) -> Iterator[Request]:
    """Yield the request in parts of about *max_bytes*, by scope and items."""
    if request.ByteSize() <= max_bytes:
        yield request
        return
    signal = signal_of(request)
    for resource in getattr(request, signal.resources):
        for scope in getattr(resource, signal.scopes):
            yield from _runs(signal, resource, scope, max_bytes)


def _runs(
    signal: Signal, resource: Resource, scope: Scope, max_bytes: int
) -> Iterator[Request]:
    part, size = _new_part(signal, resource, scope), 0
    for item in getattr(scope, signal.items):
        if size and size + item.ByteSize() > max_bytes:
            yield part
            part, size = _new_part(signal, resource, scope), 0
        (new_resource,) = getattr(part, signal.resources)
        (new_scope,) = getattr(new_resource, signal.scopes)
        getattr(new_scope, signal.items).append(item)
        size += item.ByteSize()
    yield part


def _new_part(signal: Signal, resource: Resource, scope: Scope) -> Request:
    part = signal.request()
    new_resource = getattr(part, signal.resources).add()
    new_resource.resource.CopyFrom(resource.resource)
    new_scope = getattr(new_resource, signal.scopes).add()
    new_scope.scope.CopyFrom(scope.scope)
    return part
