"""OTLP trace requests to Arrow: many payloads at once, no loop over spans."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import (
    Addition,
    Attributes,
    KeyPlaces,
    Rows,
    addition,
    first_texts,
    from_key_values,
    owners_of,
)
from proto_handlers.content import ContentPolicy, reduce_content
from proto_handlers.events import found_in_events, tool_contents
from proto_handlers.extraction import Scoped, extract
from proto_handlers.fixed_texts import hex_texts
from proto_handlers.flat import Flat
from proto_handlers.projection import RequestHandler, trace_handler
from proto_handlers.retrieved import documents_of
from proto_handlers.scalars import NO_CODE, NO_TEXT, ZERO_LENGTH, word
from proto_handlers.schema import RAW_SCHEMA
from proto_handlers.spoken import dialects_of

Nanos = npt.NDArray[np.int64]

MENDED_KEY: Final = "spanledger.time_mended"
"""Attribute set on spans whose start or end was missing or out of order."""

_KINDS: Final = pa.array(
    ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"],
    pa.string(),
)
_STATUSES: Final = pa.array(["UNSET", "OK", "ERROR"], pa.string())
_AFTER_FIRST_LINE: Final = r"(?s)^([^\n]{0,256}).*$"
_LAST_NANO: Final = np.uint64(2**63 - 1)
_SERVICE_KEYS: Final = ("service.name",)
_ENVIRONMENT_KEYS: Final = ("deployment.environment.name", "deployment.environment")


class Payload(NamedTuple):
    """One trace request in protobuf, with what the receiver knows about it."""

    body: bytes
    received_unix_nano: int
    tenant: str | None = None


class Decoded(NamedTuple):
    """A batch with `RAW_SCHEMA` and what could not be taken."""

    spans: pa.Table
    refused_payloads: tuple[int, ...]
    refused_spans: int
    flat: Flat | None = None
    """The attributes in *spans* once more, so that nobody has to flatten the maps."""


def decode_traces(
    payloads: Sequence[Payload], policy: ContentPolicy | None = None
) -> Decoded:
    """
    Decode trace requests.

    Args:
        payloads: Requests in the order of the journal.

        policy: What to do with message content; default drops it.

    Returns:
        A row per valid span in the order of the wire. A payload that is not a
        request, or a span with a bad id or time, is left out and counted; the rest
        is not affected. Data never makes this function raise.
    """
    parts: list[SpanTable] = []
    bad_spans = 0
    batches, refused = converted(payloads, trace_handler())
    for batch, part in batches:
        nested = unnested(batch, part)
        valid = _valid(nested.spans)
        bad = len(valid) - int(valid.sum())
        if bad:
            nested = nested.filtered(valid)
        parts.append(span_table(nested, policy or ContentPolicy()))
        bad_spans += bad
    return joined(parts, refused, bad_spans)


class SpanTable(NamedTuple):
    """Rows with `RAW_SCHEMA`, and the attributes in them."""

    rows: pa.Table
    flat: Flat


def joined(
    parts: Sequence[SpanTable], refused: tuple[int, ...], refused_spans: int
) -> Decoded:
    """Return all *parts* as one batch."""
    if not parts:
        return Decoded(RAW_SCHEMA.empty_table(), refused, refused_spans)
    # Payloads that are none split a batch; then the maps are flattened again.
    flat = parts[0].flat if len(parts) == 1 else None
    rows = pa.concat_tables([part.rows for part in parts])
    return Decoded(rows, refused, refused_spans, flat)


def converted(
    payloads: Sequence[Payload], handler: RequestHandler
) -> tuple[list[tuple[pa.RecordBatch, list[Payload]]], tuple[int, ...]]:
    """Return batches with their payloads, and the places of payloads that are none."""
    batches: list[tuple[pa.RecordBatch, list[Payload]]] = []
    refused: list[int] = []

    def convert(first: int, some: list[Payload]) -> None:
        # One bad request spoils a whole list: halve until it is alone.
        if not some:
            return
        try:
            batch = handler.list_to_record_batch([payload.body for payload in some])
        except ValueError:
            if len(some) == 1:
                refused.append(first)
                return
            middle = len(some) // 2
            convert(first, some[:middle])
            convert(first + middle, some[middle:])
            return
        batches.append((batch, some))

    convert(0, list(payloads))
    return batches, tuple(refused)


class Nested(NamedTuple):
    """Spans of requests, and to which scope, resource and payload each belongs."""

    spans: pa.StructArray
    scopes: pa.StructArray
    resources: pa.StructArray
    scope_of_span: Rows
    resource_of_scope: Rows
    payload_of_resource: Rows
    payloads: Sequence[Payload]

    def filtered(self, mask: npt.NDArray[np.bool_]) -> "Nested":
        """Return the spans where *mask* is true."""
        return self._replace(
            spans=self.spans.filter(pa.array(mask)),
            scope_of_span=self.scope_of_span[mask],
        )

    @property
    def payload_of_span(self) -> Rows:
        """Return the place of each span's payload."""
        return self.payload_of_resource[self.resource_of_scope[self.scope_of_span]]

    def received_unix_nano(self) -> Nanos:
        """Return when each span arrived."""
        received = [payload.received_unix_nano for payload in self.payloads]
        return np.array(received, np.int64)[self.payload_of_span]

    def scope_names(self) -> pa.StringArray:
        """Return the scopes' names, null where empty."""
        return _null_if_empty(self.scopes.field("scope").field("name"))


def unnested(batch: pa.RecordBatch, payloads: Sequence[Payload]) -> Nested:
    """Return the spans of a converted batch."""
    resources = batch.column("resource_spans")
    scopes = resources.values.field("scope_spans")
    spans = scopes.values.field("spans")
    return Nested(
        spans=spans.values,
        scopes=scopes.values,
        resources=resources.values,
        scope_of_span=owners_of(spans.offsets.to_numpy()),
        resource_of_scope=owners_of(scopes.offsets.to_numpy()),
        payload_of_resource=owners_of(resources.offsets.to_numpy()),
        payloads=payloads,
    )


def span_table(
    nested: Nested, policy: ContentPolicy, *, kind: str | None = None
) -> SpanTable:
    """Return rows of spans; *kind* in place of the kind that spans have."""
    spans, scope_of_span, payloads = nested.spans, nested.scope_of_span, nested.payloads
    resource_of_span = nested.resource_of_scope[scope_of_span]
    payload_of_span = nested.payload_of_span
    received = nested.received_unix_nano()
    start, end, mended = _times(spans, received)
    scope = nested.scopes.field("scope")
    scope_name = nested.scope_names()
    attributes = _attributes(
        spans, scope_name, scope_of_span, policy, start=start, mended=mended
    )
    resource = _reduced(
        from_key_values(nested.resources.field("resource").field("attributes")), policy
    )
    places = KeyPlaces(resource)
    service_names = first_texts(resource, places, _SERVICE_KEYS)
    environments = first_texts(resource, places, _ENVIRONMENT_KEYS)
    kinds = _word(spans.field("kind"), _KINDS)
    if kind is not None:
        kinds = pa.repeat(word(kind), len(kinds))
    tenants = pa.array([p.tenant for p in payloads], pa.string())
    columns = {
        "timestamp": pa.array(start // 1000).cast(RAW_SCHEMA.field("timestamp").type),
        "start_unix_nano": pa.array(start),
        "end_unix_nano": pa.array(end),
        "received_unix_nano": pa.array(received),
        "trace_id": hex_text(spans.field("trace_id"), 16),
        "span_id": hex_text(spans.field("span_id"), 8),
        "parent_span_id": hex_text(spans.field("parent_span_id"), 8),
        "trace_state": _null_if_empty(spans.field("trace_state")),
        "flags": spans.field("flags").cast(pa.int64()),
        "name": spans.field("name"),
        "kind": kinds,
        "status_code": _word(spans.field("status").field("code"), _STATUSES),
        "status_message": _status_messages(spans.field("status"), policy),
        "service_name": _taken(service_names, resource_of_span),
        "environment": _taken(environments, resource_of_span),
        "tenant": _taken(tenants, payload_of_span),
        "scope_name": _taken(scope_name, scope_of_span),
        "scope_version": _taken(_null_if_empty(scope.field("version")), scope_of_span),
        "attributes": attributes.to_map(),
        "resource_attributes": _taken(resource.to_map(), resource_of_span),
        "events": _events(spans.field("events"), policy),
        "links": _links(spans.field("links"), policy),
    }
    arrays = [columns[name] for name in RAW_SCHEMA.names]
    return SpanTable(
        pa.Table.from_arrays(arrays, schema=RAW_SCHEMA),
        Flat(attributes, resource, resource_of_span),
    )


def _attributes(
    spans: pa.StructArray,
    scope_names: pa.StringArray,
    scope_of_span: Rows,
    policy: ContentPolicy,
    *,
    start: Nanos,
    mended: npt.NDArray[np.bool_],
) -> Attributes:
    """Return the spans' attributes: what is found added, what is content cut."""
    attributes = from_key_values(spans.field("attributes"))
    places = KeyPlaces(attributes)
    events = spans.field("events")
    additions = [
        _mended(mended),
        *found_in_events(events, start),
        *extract(
            attributes,
            places,
            lambda: _scoped(attributes, places, scope_names, scope_of_span),
        ),
        *tool_contents(events, attributes, places, policy.hash_key),
        *documents_of(attributes, places),
    ]
    return reduce_content(attributes, places, policy).whole(additions)


def _reduced(
    attributes: Attributes,
    policy: ContentPolicy,
    messages: npt.NDArray[np.bool_] | None = None,
) -> Attributes:
    places = KeyPlaces(attributes)
    return reduce_content(attributes, places, policy, messages=messages).whole()


def _valid(spans: pa.StructArray) -> npt.NDArray[np.bool_]:
    valid = np.ones(len(spans), np.bool_)
    for name, width in (("trace_id", 16), ("span_id", 8)):
        ids = spans.field(name)
        right = pc.equal(pc.binary_length(ids), pa.scalar(width, pa.int32()))
        zero = pc.equal(ids, pa.scalar(bytes(width), pa.binary()))
        valid &= pc.and_not(right, zero).to_numpy(zero_copy_only=False)
    for name in ("start_time_unix_nano", "end_time_unix_nano"):
        valid &= spans.field(name).to_numpy() <= _LAST_NANO
    return valid


def _times(
    spans: pa.StructArray, received: Nanos
) -> tuple[Nanos, Nanos, npt.NDArray[np.bool_]]:
    start = spans.field("start_time_unix_nano").to_numpy().astype(np.int64)
    end = spans.field("end_time_unix_nano").to_numpy().astype(np.int64)
    mended = (start == 0) | (end < start)
    if mended.any():
        start = np.where(start == 0, np.where(end == 0, received, end), start)
        end = np.maximum(end, start)
    return start, end, mended


def _mended(mended: npt.NDArray[np.bool_]) -> Addition:
    rows = np.flatnonzero(mended).astype(np.int32)
    return addition(MENDED_KEY, rows, pa.array(["true"] * len(rows), pa.string()))


def _scoped(
    attributes: Attributes,
    places: KeyPlaces,
    scope_names: pa.StringArray,
    scope_of_span: Rows,
) -> Scoped:
    encoded = scope_names.dictionary_encode()
    scope_code = pc.fill_null(encoded.indices, NO_CODE).to_numpy()[scope_of_span]
    names = _taken(scope_names, scope_of_span)
    return Scoped(
        dialects_of(names, attributes, places),
        scope_code,
        encoded.dictionary.to_pylist(),
    )


def hex_text(ids: pa.BinaryArray, width: int) -> pa.StringArray:
    """Return ids of *width* bytes as lower-case hex; null if all zeros or no such."""
    zeros = pa.scalar(bytes(width), pa.binary())
    right = pc.equal(pc.binary_length(ids), pa.scalar(width, pa.int32()))
    if not pc.all(right).as_py():
        ids = pc.if_else(right, ids, zeros)
    fixed = ids.cast(pa.binary(width))
    raw = np.frombuffer(fixed.buffers()[1], np.uint8, len(ids) * width, fixed.offset)
    array = hex_texts(raw, width)
    is_zero = pc.equal(ids, zeros)
    if not pc.any(is_zero).as_py():
        return array
    return pc.if_else(is_zero, NO_TEXT, array)


def _status_messages(status: pa.StructArray, policy: ContentPolicy) -> pa.StringArray:
    """
    Return why spans failed: the first line, unless content is kept.

    What follows it may quote what was sent or answered.
    """
    texts = _null_if_empty(status.field("message"))
    if policy.keep or texts.null_count == len(texts):
        return texts
    said = texts.is_valid()
    first = pc.replace_substring_regex(texts.filter(said), _AFTER_FIRST_LINE, r"\1")
    return _null_if_empty(pc.replace_with_mask(texts, said, first))


def _null_if_empty(texts: pa.StringArray) -> pa.StringArray:
    return pc.if_else(pc.equal(pc.binary_length(texts), ZERO_LENGTH), NO_TEXT, texts)


def _word(codes: pa.Int32Array, words: pa.StringArray) -> pa.StringArray:
    numbers = pc.fill_null(codes, ZERO_LENGTH).to_numpy(zero_copy_only=False)
    known = (numbers >= 0) & (numbers < len(words))
    return words.take(pa.array(np.where(known, numbers, 0)))


def _taken(values: pa.Array, rows: Rows) -> pa.Array:
    return values.take(pa.array(rows))


def _events(events: pa.ListArray, policy: ContentPolicy) -> pa.ListArray:
    flat = events.values
    # The older conventions' messages are events, as gen_ai.user.message.
    messages = pc.starts_with(flat.field("name"), "gen_ai.")
    attributes = _reduced(
        from_key_values(flat.field("attributes")),
        policy,
        messages.to_numpy(zero_copy_only=False),
    )
    nanos = np.minimum(flat.field("time_unix_nano").to_numpy(), _LAST_NANO)
    kind = RAW_SCHEMA.field("events").type
    values = pa.StructArray.from_arrays(
        [flat.field("name"), pa.array(nanos.astype(np.int64)), attributes.to_map()],
        fields=list(kind.value_type),
    )
    return pa.ListArray.from_arrays(events.offsets, values, type=kind)


def _links(links: pa.ListArray, policy: ContentPolicy) -> pa.ListArray:
    flat = links.values
    attributes = _reduced(from_key_values(flat.field("attributes")), policy)
    kind = RAW_SCHEMA.field("links").type
    values = pa.StructArray.from_arrays(
        [
            hex_text(flat.field("trace_id"), 16),
            hex_text(flat.field("span_id"), 8),
            attributes.to_map(),
        ],
        fields=list(kind.value_type),
    )
    return pa.ListArray.from_arrays(links.offsets, values, type=kind)
