"""What spans say they are: their dialect, and their operation in one vocabulary."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import Attributes, KeyPlaces, Mask, Rows, first_texts
from proto_handlers.columns import NONE
from proto_handlers.dialects import DIALECTS
from proto_handlers.dialects.dialect import matches_scope, meaning_of
from proto_handlers.scalars import FALSE, NO_CODE, word

_KINDS: Final = tuple(
    (place, kind)
    for place, dialect in reversed(list(enumerate(DIALECTS)))
    for kind in reversed(dialect.kinds)
)
_SHARED_KINDS: Final = tuple(
    kind
    for number, (_, kind) in enumerate(_KINDS)
    if all(kind is not later for _, later in _KINDS[number + 1 :])
)
"""Every kind once, at the place where it counts."""

_CALLS: Final = frozenset(
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
ROLES: Final = MappingProxyType(
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
"""Operation -> role of the span; any other operation is ``other``."""

_FREE_ROLES: Final = pa.array(["other", None], pa.string())
_KEPT_BY_NAME: Final = frozenset({"call", "tool", "retrieval"})


def dialects_of(
    scopes: pa.StringArray, attributes: Attributes, places: KeyPlaces
) -> Rows:
    """Return the place of each span's dialect: by scope, else by signature; -1."""
    encoded = scopes.dictionary_encode()
    by_scope = np.array(
        [_dialect_of_scope(scope) for scope in encoded.dictionary.to_pylist()] + [NONE],
        np.int32,
    )
    indices = pc.fill_null(encoded.indices, NO_CODE).to_numpy()
    codes = by_scope[indices]
    if (codes != NONE).all():
        return codes
    for place, dialect in reversed(list(enumerate(DIALECTS))):
        for key in dialect.signature:
            found = places.get(key)
            if found is not None:
                rows = attributes.rows[found]
                codes[rows[by_scope[indices[rows]] == NONE]] = place
    return codes


@lru_cache(maxsize=4096)
def _dialect_of_scope(scope: str) -> int:
    for place, dialect in enumerate(DIALECTS):
        if matches_scope(dialect, scope):
            return place
    return int(NONE)


def silence_lies(
    attributes: Attributes, places: KeyPlaces, codes: Rows
) -> Mapping[str, Mask]:
    """
    Take away what a dialect is not believed, and return by key where that was.

    Changes *places*.
    """
    silenced: dict[str, Mask] = {}
    for place in np.unique(codes).tolist():
        for lie in DIALECTS[place].lies if place != NONE else ():
            found = places.get(lie.key)
            if found is None:
                continue
            own = np.flatnonzero(codes[attributes.rows[found]] == place)
            texts = attributes.values(found[own])
            false = pc.match_substring_regex(texts, f"^(?:{lie.values})$")
            hit = np.zeros(len(found), np.bool_)
            hit[own] = false.to_numpy(zero_copy_only=False)
            if hit.any():
                mask = silenced.setdefault(
                    lie.key, np.zeros(attributes.owners, np.bool_)
                )
                mask[attributes.rows[found[hit]]] = True
                places.replace(lie.key, found[~hit])
    return silenced


def operations_of(
    names: pa.StringArray, attributes: Attributes, places: KeyPlaces, codes: Rows
) -> pa.StringArray:
    """
    Return each span's operation, null where nothing says it.

    Any dialect's word is understood; the word of the span's own dialect goes first. A
    name is heeded where no call, tool or retrieval is told.
    """
    words: list[str] = []
    operation = np.full(attributes.owners, NONE, np.int32)
    said: dict[str, tuple[Rows, pa.Array, Rows]] = {}
    present = set(np.unique(codes).tolist())
    of_any = [(None, kind) for kind in _SHARED_KINDS]
    of_own = [(place, kind) for place, kind in _KINDS if place in present]
    for place, kind in (*of_any, *of_own):
        found = places.get(kind.key)
        if found is None:
            continue
        if kind.key not in said:
            encoded = attributes.values(found).dictionary_encode()
            said[kind.key] = (
                attributes.rows[found],
                encoded.dictionary,
                pc.fill_null(encoded.indices, NO_CODE).to_numpy(),
            )
        rows, texts, numbers = said[kind.key]
        meant = _meanings(texts, kind.operations, words, _plain)[numbers]
        told = meant != NONE
        if place is not None:
            told &= codes[rows] == place
        operation[rows[told]] = meant[told]
    for place in present:
        if place == NONE or not DIALECTS[place].names:
            continue
        keeps = np.array([*map(_keeps, words), False], np.bool_)
        mine = np.flatnonzero((codes == place) & ~keeps[operation])
        encoded = names.take(pa.array(mine)).dictionary_encode()
        meant = _meanings(encoded.dictionary, DIALECTS[place].names, words, str)
        meant = meant[encoded.indices.to_numpy()]
        told = meant != NONE
        operation[mine[told]] = meant[told]
    return pa.array(words, pa.string()).take(pa.array(operation, mask=operation < 0))


def with_agents(
    said: pa.StringArray,
    names: pa.StringArray,
    attributes: Attributes,
    places: KeyPlaces,
    codes: Rows,
) -> pa.StringArray:
    """Return the operations, of spans that are agents' by their marks as such."""
    agents = np.zeros(attributes.owners, np.bool_)
    for place in np.unique(codes).tolist():
        for mark, own in DIALECTS[place].agent_marks if place != NONE else ():
            found = places.get(mark)
            if found is None:
                continue
            rows = attributes.rows[found]
            # Langfuse's values are JSON.
            marked = pc.utf8_trim(attributes.values(found), '"')
            own_names = names if not own else first_texts(attributes, places, (own,))
            same = pc.equal(marked, own_names.take(pa.array(rows)))
            same = pc.fill_null(same, FALSE).to_numpy(zero_copy_only=False)
            agents[rows[same & (codes[rows] == place)]] = True
    if not agents.any():
        return said
    free = pc.is_in(roles_of(said), value_set=_FREE_ROLES)
    return pc.if_else(pc.and_(pa.array(agents), free), word("invoke_agent"), said)


def roles_of(operations: pa.StringArray) -> pa.StringArray:
    """Return the role of each operation, null where there is none."""
    encoded = operations.dictionary_encode()
    roles = [ROLES.get(word, "other") for word in encoded.dictionary.to_pylist()]
    return pa.array(roles, pa.string()).take(encoded.indices)


def _keeps(word: str) -> bool:
    return ROLES.get(word) in _KEPT_BY_NAME


def _plain(text: str) -> str:
    return text.strip('"').lower()


def _meanings(
    texts: pa.StringArray,
    operations: Mapping[str, str],
    words: list[str],
    read: Callable[[str], str],
) -> npt.NDArray[np.int32]:
    """
    Return each text's operation as a place in *words*, which grows.

    One entry more than texts stands for no text.
    """
    codes = []
    for text in texts.to_pylist():
        word = meaning_of(operations, read(text))
        if word is not None and word not in words:
            words.append(word)
        codes.append(NONE if word is None else words.index(word))
    return np.array([*codes, NONE], np.int32)
