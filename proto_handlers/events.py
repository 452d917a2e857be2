"""What only a span's events say: how it ended, and when the first token came."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import (
    Addition,
    Attributes,
    KeyPlaces,
    Rows,
    addition,
    from_key_values,
    owners_of,
)
from proto_handlers.columns import Ints
from proto_handlers.content import marks
from proto_handlers.dialects.dialect import MARKER_PREFIX
from proto_handlers.dialects.spanledger import FOUND_PREFIX
from proto_handlers.scalars import word

_FIRST_TOKENS: Final = pa.array(
    [
        "First Token Stream Event",
        "gen_ai.content.completion.chunk",
        "llm.content.completion.chunk",
        "ai.stream.firstChunk",
    ],
    pa.string(),
)
"""Events of OpenInference, OpenLLMetry and Vercel that come with the first chunk."""

_TOOL_CONTENTS: Final = tuple(
    (event, key, f"gen_ai.tool.call.{part}")
    for event, key, part in (
        ("gen_ai.tool.message", "content", "arguments"),
        ("gen_ai.choice", "message", "result"),
    )
)
"""Where the conventions before v1.37 (Strands) put what a tool got and gave."""


_TOOL_OPERATIONS: Final = pa.array(["execute_tool"], pa.string())


def found_in_events(events: pa.ListArray, start_unix_nano: Ints) -> list[Addition]:
    """
    Return how spans ended and when their first token came, as their attributes.

    Args:
        events: OTLP events of n spans.

        start_unix_nano: When the spans started.
    """
    flat = events.values
    if not len(flat):
        return []
    spans = owners_of(events.offsets.to_numpy())
    return [
        _last_said(flat, spans, "exception", "exception.type", "error_type"),
        _last_said(flat, spans, "gen_ai.choice", "finish_reason", "finish_reason"),
        _first_tokens(flat, spans, start_unix_nano),
    ]


def _last_said(
    flat: pa.StructArray, spans: Rows, event: str, key: str, field: str
) -> Addition:
    """Return an attribute of the last event of a name: it ended the span."""
    is_told = pc.equal(flat.field("name"), word(event))
    told = np.flatnonzero(is_told)
    attributes = from_key_values(flat.field("attributes").take(pa.array(told)))
    found = KeyPlaces(attributes).get(key)
    if found is None:
        return addition(FOUND_PREFIX + field, spans[:0], pa.array([], pa.string()))
    owners = spans[told[attributes.rows[found]]]
    last = np.append(owners[1:] != owners[:-1], True)
    return addition(FOUND_PREFIX + field, owners[last], attributes.values(found[last]))


def tool_contents(
    events: pa.ListArray, attributes: Attributes, places: KeyPlaces, key: bytes
) -> list[Addition]:
    """
    Return size and hash of tools' arguments and results that events hold.

    Args:
        events: OTLP events of n spans.

        attributes: The spans' attributes, content included.

        places: Where their keys are.

        key: Key of the hashes.
    """
    flat = events.values
    said = places.get("gen_ai.operation.name")
    if said is None or not len(flat):
        return []
    is_tool = pc.is_in(attributes.values(said), value_set=_TOOL_OPERATIONS)
    tools = np.zeros(attributes.owners, np.bool_)
    tools[attributes.rows[said[is_tool.to_numpy(zero_copy_only=False)]]] = True
    spans = owners_of(events.offsets.to_numpy())
    rows = np.flatnonzero(tools[spans])
    if not len(rows):
        return []
    of_tools = flat.take(pa.array(rows))
    additions = []
    for event, name, sent in _TOOL_CONTENTS:
        found = _last_said(of_tools, spans[rows], event, name, "")
        texts = found.values.cast(pa.binary()).to_pylist()
        new = np.ones(len(texts), np.bool_)
        for key_sent in (sent, MARKER_PREFIX + sent):
            told = places.get(key_sent)
            if told is not None:
                new &= ~np.isin(found.rows, attributes.rows[told])
        kept = [text or b"" for text, is_new in zip(texts, new, strict=True) if is_new]
        sizes = np.array([len(text) for text in kept], np.int64)
        additions.append(
            addition(MARKER_PREFIX + sent, found.rows[new], marks(kept, sizes, key))
        )
    return additions


def _first_tokens(flat: pa.StructArray, spans: Rows, start: Ints) -> Addition:
    is_token = pc.is_in(flat.field("name"), value_set=_FIRST_TOKENS)
    told = np.flatnonzero(is_token.to_numpy(zero_copy_only=False))
    owners = spans[told]
    first = np.ones(len(told), np.bool_)
    first[1:] = owners[1:] != owners[:-1]
    owners, told = owners[first], told[first]
    # Beyond 2262 a time turns negative here, so it is before any start.
    arrived = flat.field("time_unix_nano").to_numpy()[told].astype(np.int64)
    right = arrived >= start[owners]
    passed = (arrived[right] - start[owners[right]]) / 1e6
    texts = pa.array(passed, pa.float64()).cast(pa.string())
    return addition(FOUND_PREFIX + "ttft_ms", owners[right].astype(np.int32), texts)
