"""What only a span's events say: what failed, and when the first token came."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import (
    Addition,
    KeyPlaces,
    Rows,
    from_key_values,
    owners_of,
)
from proto_handlers.columns import Ints
from proto_handlers.dialects.spanledger import FOUND_PREFIX

_FIRST_TOKENS: Final = pa.array(
    [
        "First Token Stream Event",
        "gen_ai.content.completion.chunk",
        "llm.content.completion.chunk",
        "ai.stream.firstChunk",
    ]
)
"""Events of OpenInference, OpenLLMetry and Vercel that come with the first chunk."""


def found_in_events(events: pa.ListArray, start_unix_nano: Ints) -> list[Addition]:
    """
    Return exception types and times to the first token as attributes of their spans.

    Args:
        events: OTLP events of n spans.

        start_unix_nano: When the spans started.
    """
    flat = events.values
    if not len(flat):
        return []
    spans = owners_of(events.offsets.to_numpy())
    return [_failures(flat, spans), _first_tokens(flat, spans, start_unix_nano)]


def _failures(flat: pa.StructArray, spans: Rows) -> Addition:
    told = np.flatnonzero(pc.equal(flat.field("name"), "exception"))
    exceptions = from_key_values(flat.field("attributes").take(pa.array(told)))
    found = KeyPlaces(exceptions).get("exception.type")
    if found is None:
        return Addition(
            FOUND_PREFIX + "error_type", spans[:0], pa.array([], pa.string())
        )
    owners = spans[told[exceptions.rows[found]]]
    # The last exception is the one that ended the span.
    last = np.append(owners[1:] != owners[:-1], True)
    texts = exceptions.values.take(pa.array(found[last]))
    return Addition(FOUND_PREFIX + "error_type", owners[last], texts)


def _first_tokens(flat: pa.StructArray, spans: Rows, start: Ints) -> Addition:
    is_token = pc.is_in(flat.field("name"), value_set=_FIRST_TOKENS)
    told = np.flatnonzero(is_token.to_numpy(zero_copy_only=False))
    owners = spans[told]
    first = np.ones(len(told), np.bool_)
    first[1:] = owners[1:] != owners[:-1]
    owners, told = owners[first], told[first]
    arrived = flat.field("time_unix_nano").to_numpy()[told].astype(np.int64)
    passed = (arrived - start[owners]) / 1e6
    right = passed >= 0
    texts = pa.array(passed[right]).cast(pa.string())
    return Addition(FOUND_PREFIX + "ttft_ms", owners[right].astype(np.int32), texts)
