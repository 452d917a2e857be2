"""
What spans say only inside a text: usage, ids, tools, read before content is cut.

The findings become attributes ``spanledger.found.<field>``, so that normalising needs
nothing that the lake does not keep. A document is parsed only where the plain counts
are missing, or the library is known to drop some of them.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import (
    Addition,
    Attributes,
    KeyPlaces,
    Mask,
    Rows,
    addition,
)
from proto_handlers.dialects import DIALECTS
from proto_handlers.dialects.dialect import (
    Dialect,
    Document,
    Excerpt,
    flatten,
    matches_scope,
)
from proto_handlers.dialects.spanledger import FOUND_PREFIX
from proto_handlers.documents import parse_document
from proto_handlers.usage_shapes import Found, find_usage, read_usage

_SOURCES: Final = tuple(
    (place, dialect)
    for place, dialect in enumerate(DIALECTS)
    if dialect.documents or dialect.excerpts
)
_KEYS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    field: tuple({use.key for use in flatten(DIALECTS) if use.field == field})
    for field in ("input_tokens", "cache_read_tokens", "cache_write_tokens")
}
_ID_KEYS: Final = tuple(
    {use.key for use in flatten(DIALECTS) if use.field == "response_id"}
)


class Scoped(NamedTuple):
    """The dialect of each span, its scope's place in *scopes*, -1 for none."""

    dialects: Rows
    scope: Rows
    scopes: Sequence[str]


def extract(
    attributes: Attributes, places: KeyPlaces, scopes: Callable[[], Scoped]
) -> list[Addition]:
    """
    Return what is found inside attributes, as attributes.

    *scopes* is asked only if some key may hold a document: most batches have none.
    """
    present = [
        (place, dialect)
        for place, dialect in _SOURCES
        if any(source.key in places for source in _texts_of(dialect))
    ]
    if not present:
        return []
    scoped = scopes()
    findings = _Findings(attributes, places)
    for place, dialect in present:
        own = scoped.dialects == place
        drops = _drops_counts(dialect, scoped)
        for document in dialect.documents:
            findings.read(document, own, drops)
        for excerpt in dialect.excerpts:
            findings.quote(excerpt, own)
    return findings.additions()


def _texts_of(dialect: Dialect) -> "tuple[Document | Excerpt, ...]":
    return (*dialect.documents, *dialect.excerpts)


def _drops_counts(dialect: Dialect, scoped: Scoped) -> Mask:
    """Return the spans whose library drops some cache counts, or is unknown."""
    lossy = [usage for usage in dialect.usage if usage.loses]
    drops = [
        not matches_scope(dialect, scope)
        or any(re.search(usage.scope, scope) for usage in lossy)
        for scope in scoped.scopes
    ]
    mask: Mask = np.array([*drops, True], np.bool_)[scoped.scope]
    return mask


class _Findings:
    """Findings by field and span; the first of a field counts."""

    def __init__(self, attributes: Attributes, places: KeyPlaces) -> None:
        self._attributes = attributes
        self._places = places
        self._found: dict[str, dict[int, str]] = {}
        self._told = {name: self._any(keys) for name, keys in _KEYS_OF.items()}
        self._has_id = self._any(_ID_KEYS)
        self._is_read = np.zeros(attributes.owners, np.bool_)

    def read(self, document: Document, own: Mask, drops: Mask) -> None:
        """Parse a document on the spans that need it."""
        needed = ~self._told["input_tokens"] | (
            drops
            & ~(self._told["cache_read_tokens"] & self._told["cache_write_tokens"])
        )
        where = self._meant(document, own & needed & ~self._is_read)
        if not len(where):
            return
        owners = self._attributes.rows[where]
        texts = self._attributes.values(where).to_pylist()
        for owner, text in zip(owners.tolist(), texts, strict=True):
            found = _read(document, text)
            if found is not None:
                self._is_read[owner] = True
                self._keep(owner, found)

    def _keep(self, owner: int, found: Found) -> None:
        for name, count in found.counts.items():
            told = self._told.get(name)
            if told is None or not told[owner]:
                self._add(name, owner, str(count))
        for name, text in found.texts.items():
            if name != "response_id" or not self._has_id[owner]:
                self._add(name, owner, text)
        if "response_id" in found.texts:
            self._has_id[owner] = True

    def quote(self, excerpt: Excerpt, own: Mask) -> None:
        """Look for a text on the spans that lack it."""
        if excerpt.found == "response_id":
            own = own & ~self._has_id
        where = self._meant(excerpt, own)
        # LiteLLM sends most of its metadata empty.
        where = where[self._attributes.sizes(self._attributes.slots[where]) > 0]
        for pattern in excerpt.patterns:
            if not len(where):
                return
            texts = self._attributes.values(where)
            quoted = pc.struct_field(pc.extract_regex(texts, pattern), "found")
            hit = quoted.is_valid().to_numpy(zero_copy_only=False)
            owners = self._attributes.rows[where[hit]]
            for owner, text in zip(
                owners.tolist(), quoted.filter(pa.array(hit)).to_pylist(), strict=True
            ):
                self._add(excerpt.found, owner, text)
            where = where[~hit]

    def additions(self) -> list[Addition]:
        """Return the findings as attributes."""
        return [
            addition(
                FOUND_PREFIX + name,
                np.array(sorted(texts), np.int32),
                pa.array([texts[owner] for owner in sorted(texts)], pa.string()),
            )
            for name, texts in self._found.items()
        ]

    def _add(self, name: str, owner: int, text: str) -> None:
        self._found.setdefault(name, {}).setdefault(owner, text)

    def _any(self, keys: Sequence[str]) -> Mask:
        mask = np.zeros(self._attributes.owners, np.bool_)
        for key in keys:
            found = self._places.get(key)
            if found is not None:
                mask[self._attributes.rows[found]] = True
        return mask

    def _meant(self, source: Document | Excerpt, own: Mask) -> Rows:
        """Return where the source's text stands on spans of its kind and *own*."""
        found = self._places.get(source.key)
        if found is None:
            return np.zeros(0, np.int32)
        if source.kind_key:
            kind = self._places.get(source.kind_key)
            if kind is None:
                return np.zeros(0, np.int32)
            if source.kinds:
                said = self._attributes.values(kind)
                is_meant = pc.is_in(said, value_set=pa.array(source.kinds, pa.string()))
                kind = kind[is_meant.to_numpy(zero_copy_only=False)]
            meant = np.zeros(self._attributes.owners, np.bool_)
            meant[self._attributes.rows[kind]] = True
            own = own & meant
        where: Rows = found[own[self._attributes.rows[found]]]
        return where


def _read(document: Document, text: str | None) -> Found | None:
    parsed = parse_document(text or "")
    if not document.is_usage:
        return find_usage(parsed)
    counts = read_usage(parsed) if isinstance(parsed, dict) else {}
    return Found(counts, {}) if counts else None
