"""Attributes of many spans as flat columns, and the way there from OTLP values."""

import base64
import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    KeyValueList,
)

Rows = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

_MAP: Final = pa.map_(pa.string(), pa.string())


class Attributes(NamedTuple):
    """
    Attributes of *owners* spans or resources, flat and in order of their owner.

    ``rows[i]`` is the owner of entry i, ``keys`` is dictionary-encoded text,
    ``values`` is text. No owner has a key twice or an empty key.
    """

    owners: int
    rows: Rows
    keys: pa.DictionaryArray
    values: pa.StringArray

    def take(self, mask: Mask) -> "Attributes":
        """Return the entries where *mask* is true."""
        chosen = pa.array(mask)
        return Attributes(
            self.owners,
            self.rows[mask],
            self.keys.filter(chosen),
            self.values.filter(chosen),
        )

    def told(self) -> "Attributes":
        """Return the entries whose value says something: neither absent nor empty."""
        lengths = pc.fill_null(pc.binary_length(self.values), 0).to_numpy()
        return self if lengths.all() else self.take(lengths > 0)

    def plus(self, additions: "Sequence[Addition]") -> "Attributes":
        """Return these entries and new ones, which replace what has the same key."""
        additions = [addition for addition in additions if len(addition.rows)]
        if not additions:
            return self
        kept = self._without(additions)
        names = pa.array([addition.key for addition in additions])
        first = len(kept.keys.dictionary)
        rows = np.concatenate([kept.rows, *(a.rows for a in additions)])
        codes = np.concatenate(
            [
                kept.keys.indices.to_numpy(),
                *(
                    np.full(len(a.rows), first + place, np.int32)
                    for place, a in enumerate(additions)
                ),
            ]
        )
        order = np.argsort(rows, kind="stable")
        values = pa.concat_arrays([kept.values, *(a.values for a in additions)])
        dictionary = pa.concat_arrays([kept.keys.dictionary, names])
        return Attributes(
            kept.owners,
            rows[order],
            pa.DictionaryArray.from_arrays(pa.array(codes[order]), dictionary),
            values.take(pa.array(order)),
        )

    def _without(self, additions: "Sequence[Addition]") -> "Attributes":
        names = pa.array([addition.key for addition in additions])
        taken = pc.index_in(names, value_set=self.keys.dictionary)
        if taken.null_count == len(taken):
            return self
        mask = np.ones(len(self.rows), np.bool_)
        codes = self.keys.indices.to_numpy()
        for addition, code in zip(additions, taken.to_pylist(), strict=True):
            if code is not None:
                mask &= (codes != code) | ~np.isin(self.rows, addition.rows)
        return self.take(mask)

    def to_map(self) -> pa.MapArray:
        """Return one map per owner."""
        return pa.MapArray.from_arrays(
            offsets_of(self.rows, self.owners),
            self.keys.cast(pa.string()),
            self.values,
            type=_MAP,
        )


class Addition(NamedTuple):
    """New entries under one key: owners ascending, and their values."""

    key: str
    rows: Rows
    values: pa.StringArray


def offsets_of(rows: Rows, count: int) -> pa.Int32Array:
    """Return list offsets for *count* owners of ascending *rows*."""
    offsets = np.zeros(count + 1, np.int32)
    np.cumsum(np.bincount(rows, minlength=count), out=offsets[1:])
    return pa.array(offsets)


def owners_of(offsets: npt.NDArray[np.int32]) -> Rows:
    """Return the owner of each entry of a list array with these offsets."""
    return np.repeat(
        np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets)
    ).astype(np.int32)


def from_maps(maps: pa.MapArray) -> Attributes:
    """Flatten maps as the lake stores them."""
    offsets = maps.offsets.to_numpy()
    first, last = int(offsets[0]), int(offsets[-1])
    keys = maps.keys.slice(first, last - first)
    values = maps.items.slice(first, last - first)
    return Attributes(len(maps), owners_of(offsets), keys.dictionary_encode(), values)


def from_key_values(entries: pa.ListArray) -> Attributes:
    """
    Flatten lists of OTLP ``KeyValue``.

    Scalars become text, doubles in shortest form, arrays and maps JSON, bytes base64,
    an absent or unreadable value null. Of a repeated key the last entry stays; empty
    keys go.
    """
    offsets = entries.offsets.to_numpy()
    flat = entries.values
    rows = owners_of(offsets)
    keys = flat.field("key").dictionary_encode()
    attributes = Attributes(len(entries), rows, keys, _text_of(flat.field("value")))
    keep = _last_of_each_key(attributes)
    return attributes if keep.all() else attributes.take(keep)


class KeyPlaces:
    """
    Where each key's entries are, ascending; asked key by key.

    One stable sort of small integers serves all keys.
    """

    def __init__(self, attributes: Attributes) -> None:
        codes = attributes.keys.indices.to_numpy()
        names = attributes.keys.dictionary.to_pylist()
        self._codes = {name: code for code, name in enumerate(names)}
        self._order = _by_code(codes, len(names))
        ends = np.cumsum(np.bincount(codes, minlength=len(names)))
        self._ends = [0, *ends.tolist()]
        self._replaced: dict[str, Rows] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._codes

    def __iter__(self) -> Iterator[str]:
        return iter(self._codes)

    def get(self, key: str) -> Rows | None:
        """Return the positions of a key's entries; null if nobody has it."""
        if key in self._replaced:
            return self._replaced[key]
        code = self._codes.get(key)
        if code is None:
            return None
        return self._order[self._ends[code] : self._ends[code + 1]]

    def replace(self, key: str, places: Rows) -> None:
        """Let a key have only *places*."""
        self._replaced[key] = places


def _by_code(codes: Rows, count: int) -> Rows:
    narrow = codes.astype(np.uint16) if count < 1 << 16 else codes
    return np.argsort(narrow, kind="stable").astype(np.int32)


def _last_of_each_key(attributes: Attributes) -> Mask:
    codes = attributes.keys.indices.to_numpy()
    dictionary = attributes.keys.dictionary
    order = _by_code(codes, len(dictionary))
    rows, ordered = attributes.rows[order], codes[order]
    repeated = (rows[1:] == rows[:-1]) & (ordered[1:] == ordered[:-1])
    keep = np.ones(len(codes), np.bool_)
    keep[order[:-1][repeated]] = False
    empty = pc.index(dictionary, "").as_py()
    return keep if empty < 0 else keep & (codes != empty)


def _text_of(values: pa.StructArray) -> pa.StringArray:
    texts = values.field("string_value")
    if not texts.null_count:
        return texts
    parts = [texts]
    for name in ("int_value", "bool_value", "double_value"):
        column = values.field(name)
        if column.null_count < len(column):
            parts.append(pc.cast(column, pa.string()))
    for name, render in _RENDER.items():
        column = values.field(name)
        if column.null_count < len(column):
            parts.append(_rendered(column, render))
    return pc.coalesce(*parts) if len(parts) > 1 else texts


def _rendered(
    column: pa.BinaryArray, render: Callable[[bytes], str | None]
) -> pa.StringArray:
    # Such values are few and mostly alike (finish reasons): render each once.
    encoded = column.dictionary_encode()
    texts = [render(value) for value in encoded.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(encoded.indices)


def _plain(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: _plain(item.value) for item in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind == "double_value" and not math.isfinite(value.double_value):
        return str(value.double_value)
    return getattr(value, kind) if kind else None


def _json(value: AnyValue) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _array_text(payload: bytes) -> str | None:
    try:
        return _json(AnyValue(array_value=ArrayValue.FromString(payload)))
    except DecodeError:
        return None


def _map_text(payload: bytes) -> str | None:
    try:
        return _json(AnyValue(kvlist_value=KeyValueList.FromString(payload)))
    except DecodeError:
        return None


def _bytes_text(payload: bytes) -> str:
    return base64.b64encode(payload).decode()


_RENDER: Final = {
    "array_value": _array_text,
    "kvlist_value": _map_text,
    "bytes_value": _bytes_text,
}
