"""Which attribute of a span told what: the keys that normalising went by."""

from typing import Final, NamedTuple

import pyarrow as pa

from proto_handlers.attributes import KeyPlaces, from_maps
from proto_handlers.columns import NONE
from proto_handlers.dialects.dialect import COUNT_FIELDS
from proto_handlers.normalise import choose
from proto_handlers.spoken import dialects_of, silence_lies

_TOLD: Final = (
    "provider",
    "request_model",
    "response_model",
    "response_id",
    *COUNT_FIELDS,
    "reported_cost",
    "service_tier",
    "processing",
    "speed",
    "deployment",
    "region",
)


class Source(NamedTuple):
    """The attribute that told a field of a span, as it was sent."""

    row: int
    field: str
    key: str
    value: str


def field_sources(spans: pa.Table) -> list[Source]:
    """
    Return what told the fields that a cost depends on, by span, then field.

    Args:
        spans: ``scope_name`` and ``attributes`` of n spans, as the lake has them.
    """
    attributes = from_maps(spans.column("attributes").combine_chunks()).told()
    places = KeyPlaces(attributes)
    scopes = spans.column("scope_name").combine_chunks()
    codes = dialects_of(scopes, attributes, places)
    silence_lies(attributes, places, codes)
    chosen = choose(attributes, places, codes)
    sources = []
    for row in range(spans.num_rows):
        told: dict[str, str] = {}
        for field in _TOLD:
            place = chosen[field][row] if field in chosen else NONE
            if place != NONE:
                key = attributes.names[attributes.codes[place]]
                value = attributes.values(chosen[field][row : row + 1])[0].as_py()
                name = field.removeprefix("found_")
                # What a text says fills only what attributes leave open, or send as 0.
                if name not in told or told[name] == "0" != value:
                    sources.append(Source(row, name, key, value))
                told[name] = value
    return sources
