"""
Dialects to one meaning: what each span is, who made it, what it used.

Reads only what the lake keeps, so that the ledger can be made again from it.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import Attributes, KeyPlaces, Rows
from proto_handlers.columns import NONE, Chosen
from proto_handlers.details import details_of
from proto_handlers.dialects import DIALECTS
from proto_handlers.dialects.dialect import flatten
from proto_handlers.flat import Flat
from proto_handlers.identities import agent_names, identities_of, identity_keys
from proto_handlers.scalars import FALSE, word
from proto_handlers.schema import LOG_KIND, WIRE_FIELDS, normalised_schema
from proto_handlers.spoken import (
    dialects_of,
    operations_of,
    roles_of,
    silence_lies,
    with_agents,
)
from proto_handlers.usage import usage_of

_USES: Final = flatten(DIALECTS)
_NAMES: Final = pa.array([dialect.name for dialect in DIALECTS], pa.string())


def normalise(
    spans: pa.Table,
    dimensions: Mapping[str, tuple[str, ...]] | None = None,
    *,
    flat: Flat | None = None,
) -> pa.Table:
    """
    Find out what each span means.

    Args:
        spans: n rows with at least the wire columns and both attribute maps: a
            decoded batch, or ``spans`` of the lake.

        dimensions: Configured dimensions with their attribute keys, best first.

        flat: What decoding says of the same spans' attributes, if it is still there.

    Returns:
        The same n rows in the same order with `normalised_schema`. Counts are as
        the semantic conventions mean them: input includes cached tokens, output
        includes reasoning. Data never makes this function raise.
    """
    extra = dict(dimensions or {})
    schema = normalised_schema(tuple(extra))
    if not spans.num_rows:
        return schema.empty_table()
    wire: dict[str, pa.Array] = {
        field.name: _one(spans, field.name) for field in WIRE_FIELDS
    }
    flat = flat or Flat.of(
        _one(spans, "attributes"), _one(spans, "resource_attributes")
    )
    attributes = flat.spans.told()
    places = KeyPlaces(attributes)
    codes = dialects_of(wire["scope_name"], attributes, places)
    silenced = silence_lies(attributes, places, codes)
    chosen = Chosen(attributes, choose(attributes, places, codes))
    said = operations_of(wire["name"], attributes, places, codes)
    said = with_agents(said, wire["name"], attributes, places, codes)
    # Only events that tell a call are kept of logs; some do not say of which kind.
    is_log = pc.fill_null(pc.equal(wire["kind"], word(LOG_KIND)), FALSE)
    said = pc.if_else(pc.and_(is_log, said.is_null()), word("chat"), said)

    columns = wire | {"dialect": _NAMES.take(pa.array(codes, mask=codes < 0))}
    columns |= usage_of(chosen, codes, wire["scope_name"], said, places)
    columns["span_role"] = roles_of(columns["operation"])
    columns |= details_of(chosen, columns, silenced)
    is_call = pc.fill_null(pc.equal(columns["span_role"], word("call")), FALSE)
    columns["is_call"] = is_call
    columns["is_total"] = pc.and_not(columns["has_usage"], is_call)
    columns |= identities_of(
        chosen,
        places,
        flat.resources.told(),
        flat.resource_of_span,
        identity_keys(extra),
    )
    columns["own_agent_name"] = agent_names(
        columns["own_agent_name"], columns["span_role"], wire["name"], codes
    )
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def _one(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def choose(attributes: Attributes, places: KeyPlaces, codes: Rows) -> dict[str, Rows]:
    """Return for each field the entry that tells it best, per span."""
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
