"""Whose each span is: identity on the span itself and on its resource."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import Attributes, KeyPlaces, Mask, Rows, from_maps
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
    resources: pa.MapArray,
    keys: Mapping[str, tuple[str, ...]],
) -> dict[str, pa.Array]:
    """Return ``own_`` and ``resource_`` of each identity and dimension."""
    distinct, codes = _distinct_resources(resources)
    resource_places = KeyPlaces(distinct)
    columns: dict[str, pa.Array] = {}
    for name, candidates in keys.items():
        own = _first_of(chosen.attributes, places, candidates)
        told = chosen.places.get(name)
        if told is not None:
            own = np.where(own == NONE, told, own)
        columns[f"own_{name}"] = Chosen(chosen.attributes, {name: own}).text(name)
        shared = _first_of(distinct, resource_places, candidates)
        texts = Chosen(distinct, {name: shared}).text(name)
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


def _first_of(attributes: Attributes, places: KeyPlaces, keys: tuple[str, ...]) -> Rows:
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
    return from_maps(distinct).told(), pa.array(codes)


def _differs_from_previous(
    entries: Attributes, offsets: npt.NDArray[np.int32], sizes: npt.NDArray[np.int32]
) -> Mask:
    different: Mask = sizes[1:] != sizes[:-1]
    keys = entries.codes
    # Entries of a map have their texts in order.
    texts = entries.pool.dictionary_encode(null_encoding="encode").indices.to_numpy()
    rows = entries.rows
    place = np.arange(len(rows)) - offsets[rows]
    comparable = np.zeros(len(sizes), np.bool_)
    comparable[1:] = ~different
    chosen = np.flatnonzero(comparable[rows])
    before = offsets[rows[chosen] - 1] + place[chosen]
    unlike = (keys[chosen] != keys[before]) | (texts[chosen] != texts[before])
    different[rows[chosen[unlike]] - 1] = True
    return different
