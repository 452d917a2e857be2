"""
Dialects to one meaning: what each span is, who made it, what it used.

Reads only what the lake keeps, so that the ledger can be made again from it.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import Attributes, Mask, Rows, by_key, from_maps
from proto_handlers.columns import NONE, Chosen
from proto_handlers.details import details_of
from proto_handlers.dialects import DIALECTS, IDENTITY_KEYS
from proto_handlers.dialects.dialect import flatten, matches_scope
from proto_handlers.schema import IDENTITY, WIRE_FIELDS, normalised_schema
from proto_handlers.usage import usage_of

_USES = flatten(DIALECTS)
_KINDS = tuple(
    (place, kind)
    for place, dialect in reversed(list(enumerate(DIALECTS)))
    for kind in reversed(dialect.kinds)
)
_NAMES = pa.array([dialect.name for dialect in DIALECTS])
_CALLS = frozenset(
    {
        "chat",
        "text_completion",
        "generate_content",
        "embeddings",
        "rerank",
        "image_generation",
        "speech",
        "transcription",
    }
)
_ROLES = MappingProxyType(
    dict.fromkeys(_CALLS, "call")
    | {
        "invoke_agent": "agent",
        "create_agent": "other",
        "invoke_workflow": "workflow",
        "execute_tool": "tool",
        "retrieval": "retrieval",
        "agent_step": "step",
    }
)


def identity_keys(
    dimensions: Mapping[str, tuple[str, ...]],
) -> dict[str, tuple[str, ...]]:
    """
    Return identity and dimension names with the attribute keys that feed them.

    A user's keys go before ours; the order is `IDENTITY`, then new dimensions.
    """
    known = {
        name: (*dimensions.get(name, ()), *IDENTITY_KEYS[name]) for name in IDENTITY
    }
    return known | {
        name: tuple(keys) for name, keys in dimensions.items() if name not in known
    }


def normalise(
    spans: pa.Table, dimensions: Mapping[str, tuple[str, ...]] | None = None
) -> pa.Table:
    """
    Find out what each span means.

    Args:
        spans: n rows with at least the wire columns and both attribute maps: a
            decoded batch, or ``spans`` of the lake.

        dimensions: Configured dimensions with their attribute keys, best first.

    Returns:
        The same n rows in the same order with `normalised_schema`. Counts are as
        the semantic conventions mean them: input includes cached tokens, output
        includes reasoning. Data never makes this function raise.
    """
    extra = dict(dimensions or {})
    schema = normalised_schema(tuple(extra))
    if not spans.num_rows:
        return schema.empty_table()
    spans = spans.combine_chunks()
    attributes = _told(from_maps(_one(spans, "attributes")))
    places = by_key(attributes)
    codes = _dialect_codes(_one(spans, "scope_name"), attributes, places)
    chosen = Chosen(attributes, _choose(attributes, places, codes))
    operation = _operations(attributes, places, codes)

    columns: dict[str, pa.Array] = {
        field.name: _one(spans, field.name) for field in WIRE_FIELDS
    }
    columns["dialect"] = _NAMES.take(pa.array(codes, mask=codes < 0))
    columns |= usage_of(chosen, codes, operation, places)
    columns |= details_of(chosen, spans, columns)
    columns["span_role"] = _roles(columns["operation"])
    role_is_call = pc.equal(columns["span_role"], "call")
    columns["is_call"] = pc.fill_null(role_is_call, False)
    columns["is_total"] = pc.and_not(columns["has_usage"], columns["is_call"])
    columns |= _identities(spans, attributes, places, identity_keys(extra))
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def _one(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _told(attributes: Attributes) -> Attributes:
    """Return the entries whose value says something: neither absent nor empty."""
    lengths = pc.fill_null(pc.binary_length(attributes.values), 0).to_numpy()
    return attributes if lengths.all() else attributes.take(lengths > 0)


def _dialect_codes(
    scopes: pa.StringArray, attributes: Attributes, places: Mapping[str, Rows]
) -> Rows:
    encoded = scopes.dictionary_encode()
    by_scope = np.array(
        [_dialect_of_scope(scope) for scope in encoded.dictionary.to_pylist()] + [NONE],
        np.int32,
    )
    indices = pc.fill_null(encoded.indices, len(by_scope) - 1).to_numpy()
    codes = by_scope[indices]
    for place, dialect in reversed(list(enumerate(DIALECTS))):
        for key in dialect.signature:
            found = places.get(key)
            if found is None:
                continue
            rows = attributes.rows[found]
            unknown = by_scope[indices[rows]] == NONE
            codes[rows[unknown]] = place
    return codes


def _dialect_of_scope(scope: str) -> int:
    for place, dialect in enumerate(DIALECTS):
        if matches_scope(dialect, scope):
            return place
    return int(NONE)


def _choose(
    attributes: Attributes, places: Mapping[str, Rows], codes: Rows
) -> dict[str, Rows]:
    chosen: dict[str, Rows] = {}
    for use in _USES:
        found = places.get(use.key)
        if found is None:
            continue
        rows = attributes.rows[found]
        if use.dialect is not None:
            mine = codes[rows] == use.dialect
            rows, found = rows[mine], found[mine]
        column = chosen.get(use.field)
        if column is None:
            column = chosen[use.field] = np.full(attributes.owners, NONE, np.int32)
        column[rows] = found
    return chosen


def _operations(
    attributes: Attributes, places: Mapping[str, Rows], codes: Rows
) -> pa.StringArray:
    words: list[str] = []
    operation = np.full(attributes.owners, NONE, np.int32)
    # Two passes: every dialect's word, then the word of the span's own dialect.
    for own in (False, True):
        for place, kind in _KINDS:
            found = places.get(kind.key)
            if found is None:
                continue
            rows = attributes.rows[found]
            meant = _meanings(
                attributes.values.take(pa.array(found)), kind.operations, words
            )
            said = meant != NONE
            if own:
                said &= codes[rows] == place
            operation[rows[said]] = meant[said]
    return pa.array(words, pa.string()).take(pa.array(operation, mask=operation < 0))


def _meanings(
    texts: pa.StringArray, operations: Mapping[str, str], words: list[str]
) -> npt.NDArray[np.int32]:
    encoded = texts.dictionary_encode()
    codes = []
    for text in encoded.dictionary.to_pylist():
        word = operations.get(text.strip('"').lower())
        if word is not None and word not in words:
            words.append(word)
        codes.append(NONE if word is None else words.index(word))
    return np.array(codes, np.int32)[encoded.indices.to_numpy()]


def _roles(operations: pa.StringArray) -> pa.StringArray:
    encoded = operations.dictionary_encode()
    roles = [_ROLES.get(word, "other") for word in encoded.dictionary.to_pylist()]
    return pa.array(roles, pa.string()).take(encoded.indices)


def _identities(
    spans: pa.Table,
    attributes: Attributes,
    places: Mapping[str, Rows],
    keys: Mapping[str, tuple[str, ...]],
) -> dict[str, pa.Array]:
    resources = _one(spans, "resource_attributes")
    distinct, codes = _distinct_resources(resources)
    resource_places = by_key(distinct)
    columns: dict[str, pa.Array] = {}
    for name, candidates in keys.items():
        own = _first_of(attributes, places, candidates)
        columns[f"own_{name}"] = Chosen(attributes, {name: own}).text(name)
        shared = _first_of(distinct, resource_places, candidates)
        texts = Chosen(distinct, {name: shared}).text(name)
        columns[f"resource_{name}"] = texts.take(codes)
    return columns


def _first_of(
    attributes: Attributes, places: Mapping[str, Rows], keys: tuple[str, ...]
) -> Rows:
    chosen = np.full(attributes.owners, NONE, np.int32)
    for key in reversed(keys):
        found = places.get(key)
        if found is not None:
            chosen[attributes.rows[found]] = found
    return chosen


def _distinct_resources(resources: pa.MapArray) -> tuple[Attributes, pa.Array]:
    """
    Return the resources that differ from the row before, and each row's place there.

    Spans of one resource come in a run, so comparing neighbours by length and
    content leaves few of them without sorting anything.
    """
    offsets = resources.offsets.to_numpy()
    sizes = np.diff(offsets)
    entries = from_maps(resources)
    changed: Mask = np.ones(len(resources), np.bool_)
    if len(resources) > 1:
        changed[1:] = _differs_from_previous(entries, offsets - offsets[0], sizes)
    starts = np.flatnonzero(changed)
    codes = np.cumsum(changed) - 1
    distinct = resources.take(pa.array(starts))
    return _told(from_maps(distinct)), pa.array(codes)


def _differs_from_previous(
    entries: Attributes, offsets: npt.NDArray[np.int32], sizes: npt.NDArray[np.int32]
) -> Mask:
    different: Mask = sizes[1:] != sizes[:-1]
    values = entries.values.dictionary_encode(null_encoding="encode")
    keys = entries.keys.indices.to_numpy()
    texts = values.indices.to_numpy()
    rows = entries.rows
    place = np.arange(len(rows)) - offsets[rows]
    comparable = np.zeros(len(sizes), np.bool_)
    comparable[1:] = ~different
    chosen = np.flatnonzero(comparable[rows])
    before = offsets[rows[chosen] - 1] + place[chosen]
    unlike = (keys[chosen] != keys[before]) | (texts[chosen] != texts[before])
    different[rows[chosen[unlike]] - 1] = True
    return different
