"""Token counts as the semantic conventions mean them, whatever the dialect."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import KeyPlaces, Mask, Rows
from proto_handlers.columns import Chosen, Count
from proto_handlers.conventions import Conventions, conventions_of
from proto_handlers.scalars import word

_PLAIN_COUNTS: Final = (
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "input_audio_tokens",
    "cache_read_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
)
_BEARING: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
)


def usage_of(
    chosen: Chosen,
    codes: Rows,
    scopes: pa.StringArray,
    operation: pa.StringArray,
    places: KeyPlaces,
) -> dict[str, pa.Array]:
    """
    Return provider, models, operation and all token columns of a batch.

    How a span counts comes from its scope; counts that contradict it overrule it: when
    cached tokens exceed input, input was exclusive. Counts found in documents are
    inclusive and fill what the attributes leave open.
    """
    providers = chosen.text("provider")
    rules = conventions_of(
        codes, scopes, providers, operation, chosen.attributes, places
    )
    sent = {name: chosen.number(name) for name in (*_BEARING, *_PLAIN_COUNTS)}
    found = {name: chosen.number(f"found_{name}") for name in _BEARING}
    read, written = _cached(sent, found, rules)
    cached = read.value + written.value
    # What a document says of the input includes the cache whatever the library does.
    exclusive = rules.exclusive & (
        sent["input_tokens"].known | ~found["input_tokens"].known
    )
    contradicted = ~exclusive & sent["input_tokens"].known
    contradicted &= cached > sent["input_tokens"].value
    exclusive = exclusive | contradicted
    bare = sent["input_tokens"].or_else(found["input_tokens"])
    total_input = _inclusive(bare, cached, exclusive)
    reasoning = chosen.number("reasoning_tokens")
    output = _with_reasoning(
        sent["output_tokens"], reasoning, total_input, chosen, rules.excludes_reasoning
    ).or_else(found["output_tokens"])
    has_usage = bare.known | output.known | read.known | written.known
    total_input = _plus(total_input, chosen.number("extra_input_tokens"))
    output = _plus(output, chosen.number("extra_output_tokens"))
    lost = (rules.loses_read & ~read.known) | (rules.loses_write & ~written.known)
    models = chosen.text("request_model"), chosen.text("response_model")
    return {
        "operation": _operation(operation, has_usage, models),
        "provider": providers,
        "request_model": models[0],
        "response_model": models[1],
        "input_tokens": total_input.to_arrow(),
        "cache_read_tokens": read.to_arrow(),
        "cache_write_tokens": written.to_arrow(),
        "output_tokens": output.to_arrow(),
        "reasoning_tokens": reasoning.to_arrow(),
        "has_usage": pa.array(has_usage),
        "cache_unknown": pa.array(lost & has_usage),
        "usage_incomplete": pa.array(
            (rules.is_part | chosen.is_told("calls_inside")) & has_usage
        ),
        "usage_convention": _convention(
            exclusive,
            contradicted,
            has_usage & (read.known | written.known | rules.known),
        ),
        "web_search_requests": chosen.number("web_search_requests").to_arrow(),
    } | {name: sent[name].to_arrow() for name in _PLAIN_COUNTS}


def _cached(
    sent: Mapping[str, Count], found: Mapping[str, Count], rules: Conventions
) -> tuple[Count, Count]:
    short, long = sent["cache_write_5m_tokens"], sent["cache_write_1h_tokens"]
    split = Count(short.value + long.value, short.known | long.known)
    counts = []
    for name, is_zero_lost in (
        ("cache_read_tokens", rules.zero_read_is_lost),
        ("cache_write_tokens", rules.zero_write_is_lost),
    ):
        count = sent[name]
        believed = count.known & ~(is_zero_lost & (count.value == 0))
        counts.append(Count(count.value, believed).or_else(found[name]))
    return counts[0], counts[1].or_else(split)


def _inclusive(sent: Count, cached: np.ndarray, exclusive: Mask) -> Count:
    # A span with cached tokens only is a call whose fresh part was not sent.
    known = sent.known | (exclusive & (cached > 0))
    return Count(sent.value + np.where(exclusive, cached, 0), known)


def _plus(count: Count, extra: Count) -> Count:
    if not extra.known.any():
        return count
    return Count(count.value + extra.value, count.known)


def _with_reasoning(
    output: Count, reasoning: Count, total_input: Count, chosen: Chosen, adds: Mask
) -> Count:
    if not adds.any():
        return output
    total = chosen.number("total_tokens")
    hidden = np.where(
        total.known & total_input.known & output.known,
        np.maximum(total.value - total_input.value - output.value, 0),
        0,
    )
    extra = np.where(reasoning.known, reasoning.value, hidden)
    return Count(output.value + np.where(adds & output.known, extra, 0), output.known)


def _convention(exclusive: Mask, contradicted: Mask, told: Mask) -> pa.StringArray:
    words = pa.array(["inclusive", "exclusive", "inferred_exclusive"], pa.string())
    places = np.where(contradicted, 2, exclusive).astype(np.int32)
    return words.take(pa.array(places, mask=~told))


def _operation(
    said: pa.StringArray,
    has_usage: Mask,
    models: tuple[pa.StringArray, pa.StringArray],
) -> pa.StringArray:
    """A span with counts and a model that says no operation is taken for a chat."""
    named = pc.or_(models[0].is_valid(), models[1].is_valid())
    silent = pc.and_(said.is_null(), pc.and_(pa.array(has_usage), named))
    return pc.if_else(silent, word("chat"), said)
