"""Token counts as the semantic conventions mean them, whatever the dialect."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import Attributes, Mask, Rows
from proto_handlers.columns import Chosen, Count
from proto_handlers.dialects import DIALECTS

_WIRE_SHAPED_KEYS: Final = (
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
)
_WIRE_SHAPED_PROVIDERS: Final = "anthropic|bedrock"
_PLAIN_COUNTS: Final = (
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "input_audio_tokens",
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
    operation: pa.StringArray,
    places: Mapping[str, Rows],
) -> dict[str, pa.Array]:
    """
    Return provider, models, operation and all token columns of a batch.

    The convention comes from the scope, else (DESIGN part 7) from the names of the
    cache keys and the provider; counts that contradict it overrule it: when cached
    tokens exceed input, input was exclusive.
    """
    providers = chosen.text("provider")
    counts = {name: chosen.number(name) for name in (*_BEARING, *_PLAIN_COUNTS)}
    reasoning = chosen.number("reasoning_tokens")
    exclusive, known, adds_reasoning, lost = _conventions(
        chosen, codes, providers, places
    )
    written = _written(counts)
    read = counts["cache_read_tokens"]
    cached = read.value + written.value
    contradicted = ~exclusive & counts["input_tokens"].known
    contradicted &= cached > counts["input_tokens"].value
    exclusive = exclusive | contradicted
    has_usage = np.zeros(len(codes), np.bool_)
    for name in _BEARING:
        has_usage |= counts[name].known
    total_input = _inclusive(counts["input_tokens"], cached, exclusive)
    output = _with_reasoning(
        counts["output_tokens"], reasoning, total_input, chosen, adds_reasoning
    )
    told = has_usage & (read.known | written.known | known)
    convention = np.where(
        contradicted, 2, np.where(exclusive, 1, np.where(told, 0, -1))
    ).astype(np.int32)
    words = pa.array(["inclusive", "exclusive", "inferred_exclusive"])
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
        "cache_unknown": pa.array(lost & ~read.known & ~written.known),
        "usage_convention": words.take(
            pa.array(convention, mask=(convention < 0) | ~has_usage)
        ),
        "web_search_requests": chosen.number("web_search_requests").to_arrow(),
    } | {name: counts[name].to_arrow() for name in _PLAIN_COUNTS}


def _conventions(
    chosen: Chosen, codes: Rows, providers: pa.StringArray, places: Mapping[str, Rows]
) -> tuple[Mask, Mask, Mask, Mask]:
    size = len(codes)
    exclusive = np.zeros(size, np.bool_)
    known = np.zeros(size, np.bool_)
    adds_reasoning = np.zeros(size, np.bool_)
    lost = np.zeros(size, np.bool_)
    lower = pc.utf8_lower(providers)
    present = set(np.unique(codes).tolist())
    for place, dialect in enumerate(DIALECTS):
        if place not in present:
            continue
        for usage in reversed(dialect.usage):
            mask = codes == place
            if usage.provider:
                named = pc.match_substring_regex(lower, usage.provider)
                mask &= pc.fill_null(named, False).to_numpy(zero_copy_only=False)
            if usage.unless:
                mask &= ~_has_key(chosen.attributes, places, usage.unless)
            exclusive[mask] = usage.input == "exclusive"
            adds_reasoning[mask] = usage.excludes_reasoning
            lost[mask] = usage.cache_lost
            known |= mask
    wire_shaped = np.zeros(size, np.bool_)
    for key in _WIRE_SHAPED_KEYS:
        wire_shaped |= _has_key(chosen.attributes, places, key)
    if wire_shaped.any():
        named = pc.match_substring_regex(lower, _WIRE_SHAPED_PROVIDERS)
        wire_shaped &= pc.fill_null(named, False).to_numpy(zero_copy_only=False)
        exclusive |= wire_shaped & ~known
    return exclusive, known, adds_reasoning, lost


def _has_key(attributes: Attributes, places: Mapping[str, Rows], key: str) -> Mask:
    mask = np.zeros(attributes.owners, np.bool_)
    found = places.get(key)
    if found is not None:
        mask[attributes.rows[found]] = True
    return mask


def _written(counts: Mapping[str, Count]) -> Count:
    short, long = counts["cache_write_5m_tokens"], counts["cache_write_1h_tokens"]
    split = Count(short.value + long.value, short.known | long.known)
    return counts["cache_write_tokens"].or_else(split)


def _inclusive(sent: Count, cached: np.ndarray, exclusive: Mask) -> Count:
    # A span with cached tokens only is a call whose fresh part was not sent.
    known = sent.known | (exclusive & (cached > 0))
    return Count(sent.value + np.where(exclusive, cached, 0), known)


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


def _operation(
    said: pa.StringArray,
    has_usage: Mask,
    models: tuple[pa.StringArray, pa.StringArray],
) -> pa.StringArray:
    """A span with counts and a model that says no operation is taken for a chat."""
    named = pc.or_(models[0].is_valid(), models[1].is_valid())
    silent = pc.and_(said.is_null(), pc.and_(pa.array(has_usage), named))
    return pc.if_else(silent, "chat", said)
