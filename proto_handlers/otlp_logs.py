"""
OTLP log requests to Arrow: the events that tell a call, as rows like spans.

Some apps tell their calls in log events only. Such an event becomes a row of kind
``LOG`` whose parent is the span that it was logged in, so that whatever reads spans
reads it; the ledger counts it where no span tells the same call. Other records are
none of our business and give no row.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from proto_handlers.attributes import (
    Attributes,
    KeyPlaces,
    first_texts,
    from_key_values,
    offsets_of,
)
from proto_handlers.columns import whole_numbers
from proto_handlers.content import ContentPolicy
from proto_handlers.dialects import DIALECTS
from proto_handlers.otlp_traces import (
    Decoded,
    Nested,
    Payload,
    SpanTable,
    converted,
    joined,
    span_table,
    unnested,
)
from proto_handlers.projection import log_handler, trace_handler
from proto_handlers.scalars import ZERO_LENGTH, word
from proto_handlers.schema import LOG_KIND

_FAILURES: Final = pa.array(
    sorted({event for dialect in DIALECTS for event in dialect.failure_events}),
    pa.string(),
)
_EVENTS: Final = pa.array(
    sorted({event for dialect in DIALECTS for event in dialect.log_events})
    + _FAILURES.to_pylist(),
    pa.string(),
)
_NAME_KEY: Final = "event.name"
_DURATION_KEY: Final = "duration_ms"
_MESSAGE_KEYS: Final = ("error", "error.message")
_ERROR: Final = 2
_SESSION_KEYS: Final = ("session.id", "gen_ai.conversation.id")
_LONGEST_MS: Final = 24 * 3600 * 1000
_TRACE_BYTES, _SPAN_BYTES = 16, 8
_LAST_NANO: Final = np.uint64(2**63 - 1)


def decode_logs(
    payloads: Sequence[Payload], policy: ContentPolicy | None = None
) -> Decoded:
    """
    Decode what log requests tell of calls.

    Args:
        payloads: Requests in the order of the journal.

        policy: What to do with message content; default drops it.

    Returns:
        A row per event that tells a call, failed or not, in the order of the wire. Its
        span id is made of what it says, so that the same event sent again is the same
        row. One that was logged in no trace has a trace id made of its session's, else
        of itself. A payload that is not a request is left out and counted. Data never
        makes this function raise.
    """
    batches, refused = converted(payloads, log_handler())
    parts: list[SpanTable] = []
    for batch, part in batches:
        nested = unnested(batch, part)
        attributes = from_key_values(nested.spans.field("attributes"))
        names = _event_names(nested.spans, attributes)
        told = pc.is_in(names, value_set=_EVENTS).to_numpy(zero_copy_only=False)
        if told.any():
            records = nested.filtered(told)
            spans = _as_spans(records, names.filter(pa.array(told)))
            parts.append(
                span_table(
                    records._replace(spans=spans),
                    policy or ContentPolicy(),
                    kind=LOG_KIND,
                )
            )
    return joined(parts, refused, 0)


def _event_names(records: pa.StructArray, attributes: Attributes) -> pa.StringArray:
    """Return events' names; older SDKs say them in an attribute."""
    names = records.field("name")
    empty = pc.equal(pc.binary_length(names), ZERO_LENGTH)
    said = first_texts(attributes, KeyPlaces(attributes), (_NAME_KEY,))
    return pc.if_else(empty, said, names)


def _as_spans(records: Nested, names: pa.StringArray) -> pa.StructArray:
    """Return log records as OTLP spans that ended when they were logged."""
    logs = records.spans
    count = len(logs)
    attributes = from_key_values(logs.field("attributes"))
    places = KeyPlaces(attributes)
    end = _logged_unix_nano(logs, records.received_unix_nano())
    duration_ms, known = whole_numbers(
        first_texts(attributes, places, (_DURATION_KEY,))
    )
    lasted = np.where(known & (duration_ms <= _LONGEST_MS), duration_ms, 0) * 10**6
    digests = _digests(attributes, logs, end)
    trace_ids = _trace_ids(
        logs, first_texts(attributes, places, _SESSION_KEYS), digests
    )
    fields = {
        "trace_id": pa.array(trace_ids, pa.binary()),
        "span_id": pa.array([digest[:_SPAN_BYTES] for digest in digests], pa.binary()),
        "parent_span_id": logs.field("span_id"),
        "name": names,
        "start_time_unix_nano": pa.array(
            np.maximum(end - lasted, 1).astype(np.uint64), pa.uint64()
        ),
        "end_time_unix_nano": pa.array(end.astype(np.uint64), pa.uint64()),
        "attributes": _named(logs.field("attributes"), names),
        "flags": logs.field("flags"),
    }
    messages = first_texts(attributes, places, _MESSAGE_KEYS)
    kind = trace_handler().list_to_record_batch([b""]).column("resource_spans").type
    span_type = kind.value_type.field("scope_spans").type.value_type.field("spans").type
    status_type = span_type.value_type.field("status").type
    fields["status"] = _statuses(names, messages, status_type)
    columns = [
        fields[field.name].cast(field.type)
        if field.name in fields
        else _empty(field.type, count)
        for field in span_type.value_type
    ]
    return pa.StructArray.from_arrays(columns, fields=list(span_type.value_type))


def _statuses(
    names: pa.StringArray, messages: pa.StringArray, kind: pa.StructType
) -> pa.StructArray:
    """Return how the calls ended: those of failure events with what went wrong."""
    failed = pc.is_in(names, value_set=_FAILURES)
    columns = {
        "code": pc.if_else(failed, pa.scalar(_ERROR), pa.scalar(0)),
        "message": pc.if_else(failed, pc.fill_null(messages, word("")), word("")),
    }
    return pa.StructArray.from_arrays(
        [columns[field.name].cast(field.type) for field in kind], fields=list(kind)
    )


def _empty(kind: pa.DataType, count: int) -> pa.Array:
    """Return what the decoder gives for a field that is not there."""
    if pa.types.is_list(kind):
        offsets = pa.array(np.zeros(count + 1, np.int32))
        return pa.ListArray.from_arrays(
            offsets, pa.array([], kind.value_type), type=kind
        )
    if pa.types.is_struct(kind):
        children = [_empty(field.type, count) for field in kind]
        return pa.StructArray.from_arrays(children, fields=list(kind))
    zero: object = 0
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        zero = "" if pa.types.is_string(kind) else b""
    return pa.repeat(pa.scalar(zero, kind), count)


def _named(entries: pa.ListArray, names: pa.StringArray) -> pa.ListArray:
    """Return lists of ``KeyValue`` that begin with the event's name."""
    flat, starts = entries.values, entries.offsets.to_numpy()
    count = len(names)
    keys = pa.repeat(pa.scalar(_NAME_KEY.encode(), pa.binary()), count)
    # Names are short: a tag, a length of one byte, the text.
    values = pa.array(
        [
            b"\x0a" + bytes([len(name)]) + name
            for name in names.cast(pa.binary()).to_pylist()
        ],
        pa.binary(),
    )
    own = pa.StructArray.from_arrays([keys, values], fields=list(flat.type))
    sizes = np.diff(starts)
    order = np.empty(int(sizes.sum()) + count, np.int64)
    new_starts = np.append(0, np.cumsum(sizes + 1)).astype(np.int32)
    is_own = np.zeros(len(order), np.bool_)
    is_own[new_starts[:-1]] = True
    order[is_own] = np.arange(count)
    order[~is_own] = count + np.arange(len(order) - count)
    first = int(starts[0])
    both = pa.concat_arrays([own, flat.slice(first, int(starts[-1]) - first)])
    return pa.ListArray.from_arrays(
        pa.array(new_starts), both.take(pa.array(order)), type=entries.type
    )


def _logged_unix_nano(
    logs: pa.StructArray, received: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return when records were logged, else seen, else received."""
    end = received
    for name in ("observed_time_unix_nano", "time_unix_nano"):
        told = logs.field(name).to_numpy(zero_copy_only=False)
        right = (told > 0) & (told <= _LAST_NANO)
        end = np.where(right, told, 0).astype(np.int64) + np.where(right, 0, end)
    return end


def _digests(
    attributes: Attributes, logs: pa.StructArray, end: npt.NDArray[np.int64]
) -> list[bytes]:
    """Return 16 bytes for each record, equal for equal records."""
    texts = pc.fill_null(attributes.texts(attributes.slots), word(""))
    ends = offsets_of(attributes.rows, attributes.owners)
    said = pc.binary_join(pa.ListArray.from_arrays(ends, texts), word("\x1f"))
    digest = xxhash.xxh3_128_digest
    return [
        digest(b"\x1f".join((trace or b"", span or b"", str(at).encode(), text)))
        for trace, span, at, text in zip(
            logs.field("trace_id").to_pylist(),
            logs.field("span_id").to_pylist(),
            end.tolist(),
            said.cast(pa.binary()).to_pylist(),
            strict=True,
        )
    ]


def _trace_ids(
    logs: pa.StructArray, sessions: pa.StringArray, digests: list[bytes]
) -> list[bytes]:
    """Return each record's trace; without one its session's, else its own."""
    made = (
        xxhash.xxh3_128_digest(session) if session else digest
        for session, digest in zip(
            sessions.cast(pa.binary()).to_pylist(), digests, strict=True
        )
    )
    return [
        trace if len(trace or b"") == _TRACE_BYTES and any(trace) else other
        for trace, other in zip(logs.field("trace_id").to_pylist(), made, strict=True)
    ]
