"""Whose each span is: identity on the span itself and on its resource."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import Attributes, KeyPlaces, Rows, first_places
from proto_handlers.columns import NONE, Chosen
from proto_handlers.dialects import DIALECTS, IDENTITY_KEYS
from proto_handlers.scalars import FALSE, word
from proto_handlers.schema import IDENTITY

_AGENT_NAME = r"^(?:invoke_agent )?(.*?)(?:\.(?:agent|run|workflow|kickoff))?$"
_NAMED = np.array([dialect.agent_is_named for dialect in DIALECTS] + [False], np.bool_)


def identity_keys(
    dimensions: Mapping[str, tuple[str, ...]],
) -> dict[str, tuple[str, ...]]:
    """
    Return identity and dimension names with the attribute keys that feed them.

    A user's keys go before ours; the order is `IDENTITY`, then new dimensions. What
    dialects call an identity in keys of their own comes after these.
    """
    known = {
        name: (*dimensions.get(name, ()), *IDENTITY_KEYS[name]) for name in IDENTITY
    }
    return known | {
        name: tuple(keys) for name, keys in dimensions.items() if name not in known
    }


def identities_of(
    chosen: Chosen,
    places: KeyPlaces,
    resources: Attributes,
    resource_of_span: Rows,
    keys: Mapping[str, tuple[str, ...]],
) -> dict[str, pa.Array]:
    """Return ``own_`` and ``resource_`` of each identity and dimension."""
    resource_places = KeyPlaces(resources)
    codes = pa.array(resource_of_span)
    columns: dict[str, pa.Array] = {}
    for name, candidates in keys.items():
        own = first_places(chosen.attributes, places, candidates)
        told = chosen.places.get(name)
        if told is not None:
            own = np.where(own == NONE, told, own)
        columns[f"own_{name}"] = Chosen(chosen.attributes, {name: own}).text(name)
        shared = first_places(resources, resource_places, candidates)
        texts = Chosen(resources, {name: shared}).text(name)
        columns[f"resource_{name}"] = texts.take(codes)
    return columns


def agent_names(
    own: pa.StringArray, roles: pa.StringArray, names: pa.StringArray, codes: Rows
) -> pa.StringArray:
    """Return the agents' names: of spans whose name is all that tells it, that."""
    is_agent = pc.fill_null(pc.equal(roles, word("agent")), FALSE)
    nameless = pc.and_(own.is_null(), is_agent)
    nameless = nameless.to_numpy(zero_copy_only=False) & _NAMED[codes]
    if not nameless.any():
        return own
    spoken = pc.replace_substring_regex(
        names.filter(pa.array(nameless)), _AGENT_NAME, r"\1"
    )
    return pc.replace_with_mask(own, pa.array(nameless), spoken)
