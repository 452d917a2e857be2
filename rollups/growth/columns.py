"""Arrow columns as numpy arrays and back, and codes for text."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rollups.growth.segments import Bools, Ints


def integers(table: pa.Table, name: str, *, null: int) -> Ints:
    """Return an integer or time column as int64 with *null* for nulls."""
    column = table.column(name).combine_chunks()
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz)).view(pa.int64())
    column = column.cast(pa.int64())
    if column.null_count:
        column = column.fill_null(null)
    values: Ints = column.to_numpy(zero_copy_only=False)
    return values


def validity(table: pa.Table, name: str) -> Bools:
    """Return where the column has a value."""
    column = table.column(name)
    if not column.null_count:
        return np.ones(len(column), dtype=np.bool_)
    known: Bools = column.is_valid().to_numpy()
    return known


def pico_usd(table: pa.Table, name: str) -> Ints:
    """Return a ``decimal128(18, 12)`` column as integers of pico-USD, null as 0."""
    column = table.column(name).combine_chunks()
    column = column.cast(pa.decimal128(18, 12))
    if not len(column):
        return np.zeros(0, dtype=np.int64)
    words = np.frombuffer(column.buffers()[1], dtype=np.int64)
    low = words[column.offset * 2 : (column.offset + len(column)) * 2 : 2]
    if column.null_count:
        return np.where(validity(table, name), low, 0)
    return low.copy()


def usd_column(amounts: Ints, known: Bools) -> pa.Array:
    """Return pico-USD as ``decimal128(38, 12)``, null where not *known*."""
    words = np.empty((len(amounts), 2), dtype=np.int64)
    words[:, 0] = amounts
    words[:, 1] = amounts >> 63
    mask = None if known.all() else _bitmap(known)
    return pa.Array.from_buffers(
        pa.decimal128(38, 12), len(amounts), [mask, pa.py_buffer(words)]
    )


def word_column(codes: Ints, words: Sequence[str | None]) -> pa.Array:
    """Return ``words[code]`` for each code as text."""
    return pa.array(words, pa.string()).take(pa.array(codes))


def text_codes(*columns: pa.ChunkedArray) -> list[Ints]:
    """
    Return codes of several text columns over one dictionary, in the order of text.

    Equal text has equal codes, smaller text the smaller code; null is -1.
    """
    encoded = _encoded(columns)
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order) + 1, dtype=np.int64)
    rank[order] = np.arange(len(order))
    rank[-1] = -1
    return _split(rank[_indices(encoded)], columns)


def equality_codes(column: pa.ChunkedArray) -> Ints:
    """Return codes of a text column that are equal for equal text; null is -1."""
    return _indices(_encoded([column])).astype(np.int64)


def row_codes(tables: Sequence[pa.Table], names: Sequence[str]) -> list[Ints]:
    """
    Number the tuples of the text columns *names* over several tables.

    Codes are in the tuples' order. Neighbours that are equal are coded once, so
    that rows which stand together by key cost little.
    """
    fresh = [_differs_from_previous(table, names) for table in tables]
    heads = [
        table.select(names).take(np.flatnonzero(flags))
        for table, flags in zip(tables, fresh, strict=True)
    ]
    codes = np.zeros(sum(map(len, heads)), dtype=np.int64)
    for name in names:
        minor = text_codes(*(table.column(name) for table in heads))
        codes = fold_codes(codes, np.concatenate(minor))
    return [
        part[np.cumsum(flags) - 1]
        for part, flags in zip(_split(codes, heads), fresh, strict=True)
    ]


def _differs_from_previous(table: pa.Table, names: Sequence[str]) -> Bools:
    fresh = np.zeros(table.num_rows, dtype=np.bool_)
    fresh[:1] = True
    for name in names:
        column = table.column(name).combine_chunks()
        differs = pc.not_equal(
            column.slice(1), column.slice(0, max(len(column) - 1, 0))
        )
        fresh[1:] |= differs.to_numpy(zero_copy_only=False)
    return fresh


def fold_codes(codes: Ints, minor: Ints) -> Ints:
    """Return dense codes of the pairs (*codes*, *minor*) in the pairs' order."""
    lowest = int(minor.min(initial=0))
    width = int(minor.max(initial=0)) - lowest + 1
    pairs = codes * width + (minor - lowest)
    _, folded = np.unique(pairs, return_inverse=True)
    return folded.astype(np.int64)


def _encoded(columns: Sequence[pa.ChunkedArray]) -> pa.DictionaryArray:
    chunks = [chunk for column in columns for chunk in column.chunks]
    stacked = pa.chunked_array(chunks, type=columns[0].type).combine_chunks()
    return stacked.dictionary_encode()


def _indices(encoded: pa.DictionaryArray) -> Ints:
    indices: Ints = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return indices


def _split(
    codes: Ints, parts: Sequence[pa.ChunkedArray] | Sequence[pa.Table]
) -> list[Ints]:
    return list(np.split(codes, np.cumsum([len(part) for part in parts])[:-1]))


def _bitmap(known: Bools) -> pa.Buffer:
    return pa.py_buffer(np.packbits(known, bitorder="little"))
