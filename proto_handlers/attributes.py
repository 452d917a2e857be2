"""Attributes of many spans as flat columns."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from proto_handlers.values import Slots, read_values, text_of

Rows = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

_MAP: Final = pa.map_(pa.string(), pa.string())


class Attributes(NamedTuple):
    """
    Attributes of *owners* spans or resources, flat and in order of their owner.

    ``rows[i]`` is the owner of entry i and ``codes[i]`` the place of its key in
    ``names``. Its text is at ``slots[i]`` of ``pool``, -1 if it has none. No owner has
    a key twice or an empty key. ``by_key`` are the entries by key and then by owner, if
    somebody has sorted them before.
    """

    owners: int
    rows: Rows
    codes: Rows
    names: tuple[str, ...]
    slots: Slots
    pool: pa.BinaryArray | pa.StringArray
    by_key: Rows | None = None

    def take(self, mask: Mask) -> "Attributes":
        """Return the entries where *mask* is true."""
        return self._replace(
            rows=self.rows[mask],
            codes=self.codes[mask],
            slots=self.slots[mask],
            by_key=None,
        )

    def told(self) -> "Attributes":
        """Return the entries whose value says something: neither absent nor empty."""
        says = self.sizes(self.slots) > 0
        return self if says.all() else self.take(says)

    def sizes(self, slots: Slots) -> npt.NDArray[np.int64]:
        """Return how many bytes the texts at *slots* have, 0 for none."""
        offsets = offsets_in(self.pool)
        if len(offsets) < 2:
            return np.zeros(len(slots), np.int64)
        size = offsets[slots + 1] - offsets[slots]
        return np.where(slots < 0, 0, size).astype(np.int64)

    def values(self, places: Rows) -> pa.StringArray:
        """Return the texts of entries, null where there is none."""
        return self.texts(self.slots[places])

    def chosen(self, places: Rows) -> pa.StringArray:
        """Return the texts of entries, null for -1 and where there is none."""
        if not len(self.slots):
            return pa.nulls(len(places), pa.string())
        return self.texts(np.where(places < 0, -1, self.slots[places]))

    def texts(self, slots: Slots) -> pa.StringArray:
        """Return the texts at *slots*; null for -1."""
        told = np.flatnonzero(slots >= 0)
        if 2 * len(told) > len(slots):
            missing = None if len(told) == len(slots) else slots < 0
            return text_of(self.pool.take(pa.array(slots, pa.int32(), mask=missing)))
        return spread(text_of(self.pool.take(pa.array(slots[told]))), told, len(slots))

    def plus(self, additions: "Sequence[Addition]") -> "Attributes":
        """
        Return these entries and new ones.

        A new one replaces what its owner has under its key, an earlier new one too.
        """
        additions = [addition for addition in additions if len(addition.rows)]
        if not additions:
            return self
        code_of = {name: code for code, name in enumerate(self.names)}
        codes, slots = [self.codes], [self.slots]
        pools = [self.pool.cast(pa.binary())]
        done = len(self.pool)
        replaces = False
        for addition in additions:
            replaces |= any(name in code_of for name in addition.names)
            numbers = [code_of.setdefault(n, len(code_of)) for n in addition.names]
            codes.append(np.array(numbers, np.int32)[addition.codes])
            slots.append(np.arange(done, done + len(addition.rows), dtype=np.int32))
            pools.append(addition.values.cast(pa.binary()))
            done += len(addition.rows)
        rows = np.concatenate([self.rows, *(a.rows for a in additions)])
        order = np.argsort(rows, kind="stable")
        result = Attributes(
            self.owners,
            rows[order],
            np.concatenate(codes)[order],
            tuple(code_of),
            np.concatenate(slots)[order],
            pa.concat_arrays(pools),
        )
        return _with_last_of_each_key(result) if replaces else result

    def to_map(self) -> pa.MapArray:
        """Return one map per owner."""
        keys = pa.array(self.names, pa.string()).take(pa.array(self.codes))
        return pa.MapArray.from_arrays(
            offsets_of(self.rows, self.owners), keys, self.texts(self.slots), type=_MAP
        )


class Addition(NamedTuple):
    """New entries: owners ascending per name, places of their names, and texts."""

    names: tuple[str, ...]
    codes: Rows
    rows: Rows
    values: pa.StringArray


def addition(key: str, rows: Rows, values: pa.StringArray) -> Addition:
    """Return new entries under one key, of owners in ascending order."""
    return Addition((key,), np.zeros(len(rows), np.int32), rows, values)


def spread(
    texts: pa.StringArray, rows: npt.NDArray[np.int64], size: int
) -> pa.StringArray:
    """Return *size* rows with *texts* at *rows*, ascending, and null elsewhere."""
    if not len(rows):
        return pa.nulls(size, pa.string())
    if texts.null_count:
        places = np.full(size, -1, np.int32)
        places[rows] = np.arange(len(rows))
        return texts.take(pa.array(places, pa.int32(), mask=places < 0))
    ends = offsets_in(texts)
    lengths = np.zeros(size + 1, np.int32)
    lengths[rows + 1] = np.diff(ends)
    lengths[0] = ends[0]
    valid = np.zeros(size, np.bool_)
    valid[rows] = True
    return pa.StringArray.from_buffers(
        size,
        pa.py_buffer(np.cumsum(lengths, dtype=np.int32)),
        texts.buffers()[2],
        pa.py_buffer(np.packbits(valid, bitorder="little")),
    )


def offsets_in(array: pa.BinaryArray) -> npt.NDArray[np.int32]:
    """Return where an array's texts start in its bytes, and where the last ends."""
    buffer = array.buffers()[1]
    if buffer is None or not buffer.size:
        return np.zeros(1, np.int32)
    return np.frombuffer(buffer, np.int32, len(array) + 1, array.offset * 4)


def offsets_of(rows: Rows, count: int) -> pa.Int32Array:
    """Return list offsets for *count* owners of ascending *rows*."""
    offsets = np.zeros(count + 1, np.int32)
    np.cumsum(np.bincount(rows, minlength=count), out=offsets[1:])
    return pa.array(offsets, pa.int32())


def owners_of(offsets: npt.NDArray[np.int32]) -> Rows:
    """Return the owner of each entry of a list array with these offsets."""
    return np.repeat(
        np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets)
    ).astype(np.int32)


def from_maps(maps: pa.MapArray) -> Attributes:
    """Flatten maps as the lake stores them."""
    offsets = maps.offsets.to_numpy()
    first, last = int(offsets[0]), int(offsets[-1])
    codes, names = _numbered(maps.keys.slice(first, last - first))
    values = maps.items.slice(first, last - first)
    slots = np.arange(len(values), dtype=np.int32)
    if values.null_count:
        slots[values.is_null().to_numpy(zero_copy_only=False)] = -1
    return Attributes(len(maps), owners_of(offsets), codes, names, slots, values)


def from_key_values(entries: pa.ListArray) -> Attributes:
    """
    Flatten lists of OTLP ``KeyValue``, keys and values as bytes.

    Of a repeated key the last entry stays; empty keys go.
    """
    offsets = entries.offsets.to_numpy()
    flat = entries.values
    codes, names = _numbered(flat.field("key"))
    pool, slots = read_values(flat.field("value"))
    return _with_last_of_each_key(
        Attributes(len(entries), owners_of(offsets), codes, names, slots, pool)
    )


def _numbered(keys: pa.Array) -> tuple[Rows, tuple[str, ...]]:
    encoded = keys.dictionary_encode()
    names = text_of(encoded.dictionary).to_pylist()
    return encoded.indices.to_numpy(), tuple(names)


class KeyPlaces:
    """
    Where each key's entries are, ascending; asked key by key.

    One stable sort of small integers serves all keys.
    """

    def __init__(self, attributes: Attributes) -> None:
        count = len(attributes.names)
        self._codes = {name: code for code, name in enumerate(attributes.names)}
        order = attributes.by_key
        self._order = _by_code(attributes.codes, count) if order is None else order
        ends = np.cumsum(np.bincount(attributes.codes, minlength=count))
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


def first_places(
    attributes: Attributes, places: KeyPlaces, keys: Sequence[str]
) -> Rows:
    """Return per owner its entry under the first of *keys* that it has, else -1."""
    chosen = np.full(attributes.owners, -1, np.int32)
    for key in reversed(keys):
        found = places.get(key)
        if found is not None:
            chosen[attributes.rows[found]] = found
    return chosen


def first_texts(
    attributes: Attributes, places: KeyPlaces, keys: Sequence[str]
) -> pa.StringArray:
    """Return per owner the text under the first of *keys* that it has, else null."""
    return attributes.chosen(first_places(attributes, places, keys))


def _by_code(codes: Rows, count: int) -> Rows:
    narrow = codes.astype(np.uint16) if count < 1 << 16 else codes
    return np.argsort(narrow, kind="stable").astype(np.int32)


def _with_last_of_each_key(attributes: Attributes) -> Attributes:
    codes = attributes.codes
    order = _by_code(codes, len(attributes.names))
    rows, ordered = attributes.rows[order], codes[order]
    repeated = (rows[1:] == rows[:-1]) & (ordered[1:] == ordered[:-1])
    if not repeated.any() and "" not in attributes.names:
        return attributes._replace(by_key=order)
    keep = np.ones(len(codes), np.bool_)
    keep[order[:-1][repeated]] = False
    if "" in attributes.names:
        keep &= codes != attributes.names.index("")
    return attributes.take(keep)
