"""
What decoding must give, written span by span in plain Python.

Slow and simple on purpose: the columnar decoder is compared with it.
"""

import base64
import json
import math
from decimal import Decimal
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from proto_handlers.content import content_group
from proto_handlers.hashing import keyed_hashes

LAST_UNIX_NANO = 2**63 - 1
KINDS = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
STATUSES = ["UNSET", "OK", "ERROR"]


def reference_rows(payloads) -> tuple[list[dict[str, Any]], int]:
    """Return the rows that payloads give and how many spans are bad."""
    rows, bad = [], 0
    for payload in payloads:
        request = ExportTraceServiceRequest.FromString(payload.body)
        for resource_spans in request.resource_spans:
            resource = read_attributes(resource_spans.resource.attributes)
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    if is_bad(span):
                        bad += 1
                    else:
                        rows.append(read_span(span, scope_spans, resource, payload))
    return rows, bad


def put(attributes, key, text):
    """Set an attribute as the last one: order matters to the hash of many texts."""
    attributes.pop(key, None)
    attributes[key] = text


def found_in_events(events, start):
    """Return what only events say: the last exception, choice and the first token."""
    found = {}
    for event, attributes in events:
        for name, key, field in (
            ("exception", "exception.type", "error_type"),
            ("gen_ai.choice", "finish_reason", "finish_reason"),
        ):
            if event.name == name and key in attributes:
                found[field] = attributes[key]
        if event.name == "First Token Stream Event" and "ttft" not in found:
            found["ttft"] = event.time_unix_nano
    arrived = found.pop("ttft", None)
    if arrived is not None and start <= arrived <= LAST_UNIX_NANO:
        found["ttft_ms"] = text_of_double((arrived - start) / 1e6)
    return found.items()


def tool_contents(events, attributes):
    """Return markers of a tool's arguments and result that stand in events."""
    markers = {}
    if attributes.get("gen_ai.operation.name") == "execute_tool":
        for event, said in events:
            for name, key, part in (
                ("gen_ai.tool.message", "content", "arguments"),
                ("gen_ai.choice", "message", "result"),
            ):
                marker = f"spanledger.content.gen_ai.tool.call.{part}"
                if event.name == name and key in said:
                    markers[marker] = mark([said[key] or ""])
    return markers


def is_bad(span) -> bool:
    return (
        len(span.trace_id) != 16
        or not any(span.trace_id)
        or len(span.span_id) != 8
        or not any(span.span_id)
        or span.start_time_unix_nano > LAST_UNIX_NANO
        or span.end_time_unix_nano > LAST_UNIX_NANO
    )


def read_span(span, scope_spans, resource, payload) -> dict[str, Any]:
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    attributes = read_attributes(span.attributes)
    if start == 0 or end < start:
        start = start or end or payload.received_unix_nano
        end = max(start, end)
        put(attributes, "spanledger.time_mended", "true")
    events = [(event, read_attributes(event.attributes)) for event in span.events]
    for name, text in found_in_events(events, start):
        put(attributes, f"spanledger.found.{name}", text)
    attributes = reduce(attributes) | tool_contents(events, attributes)
    return {
        "timestamp": start // 1000,
        "start_unix_nano": start,
        "end_unix_nano": end,
        "received_unix_nano": payload.received_unix_nano,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": hex_or_none(span.parent_span_id, 8),
        "trace_state": span.trace_state or None,
        "flags": span.flags,
        "name": span.name,
        "kind": word(span.kind, KINDS),
        "status_code": word(span.status.code, STATUSES),
        "status_message": span.status.message.partition("\n")[0][:256] or None,
        "service_name": resource.get("service.name"),
        "environment": next(
            (
                resource[key]
                for key in ("deployment.environment.name", "deployment.environment")
                if key in resource
            ),
            None,
        ),
        "tenant": payload.tenant,
        "scope_name": scope_spans.scope.name or None,
        "scope_version": scope_spans.scope.version or None,
        "attributes": attributes,
        "resource_attributes": reduce(resource),
        "events": [
            {
                "name": event.name,
                "unix_nano": min(event.time_unix_nano, LAST_UNIX_NANO),
                "attributes": reduce(
                    attributes, is_message=event.name.startswith("gen_ai.")
                ),
            }
            for event, attributes in events
        ],
        "links": [
            {
                "trace_id": hex_or_none(link.trace_id, 16),
                "span_id": hex_or_none(link.span_id, 8),
                "attributes": reduce(read_attributes(link.attributes)),
            }
            for link in span.links
        ],
    }


def hex_or_none(value: bytes, width: int) -> str | None:
    return value.hex() if len(value) == width and any(value) else None


def word(code: int, words: list[str]) -> str:
    return words[code] if 0 <= code < len(words) else words[0]


def read_attributes(entries) -> dict[str, str | None]:
    attributes: dict[str, str | None] = {}
    for entry in entries:
        if entry.key:
            attributes.pop(entry.key, None)
            attributes[entry.key] = text_of(entry.value)
    return attributes


def text_of(value) -> str | None:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind == "double_value":
        return text_of_double(value.double_value)
    if kind in ("array_value", "kvlist_value"):
        return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
    return str(plain(value))


def text_of_double(value: float) -> str:
    """Shortest form; an exponent only where plain digits would be many."""
    if not math.isfinite(value):
        return str(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    point = len(digits) + exponent
    text = "".join(map(str, digits))
    minus = "-" if sign else ""
    if value == 0:
        return minus + "0"
    if not -6 <= point - 1 < 10:
        fraction = f".{text[1:]}" if len(text) > 1 else ""
        return f"{minus}{text[0]}{fraction}e{point - 1:+d}".replace("e+0", "e+")
    if point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    whole, fraction = text[:point].ljust(point, "0"), text[point:]
    return f"{minus}{whole}.{fraction}" if fraction else minus + whole


def plain(value) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: plain(item.value) for item in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind == "double_value" and not math.isfinite(value.double_value):
        return str(value.double_value)
    return getattr(value, kind) if kind else None


def reduce(
    attributes: dict[str, str | None], *, is_message: bool = False
) -> dict[str, str | None]:
    """Return attributes with content replaced by its size and hash."""
    groups: dict[str, list[str]] = {}
    kept: dict[str, str | None] = {}
    for key, text in attributes.items():
        group = content_group(key)
        if group is None and is_message and key in ("content", "message"):
            group = key
        if group is None:
            kept[key] = text
        else:
            groups.setdefault(group, []).append(text or "")
    for group, texts in groups.items():
        kept[f"spanledger.content.{group}"] = mark(texts)
    return kept


def mark(texts: list[str]) -> str:
    size = sum(len(text.encode()) for text in texts)
    digest = keyed_hashes(["\n".join(texts).encode()], b"")[0].as_py()
    return f"bytes={size};hash={digest}"
