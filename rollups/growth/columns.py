"""Arrow columns as numpy arrays and back, and sort keys for text."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rollups.growth.segments import Bools, Ints

_LOW_WORDS = 2


def integers(table: pa.Table, name: str, *, null: int) -> Ints:
    """Return an integer, time or boolean column as int64 with *null* for nulls."""
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
    low = words[column.offset * 2 : (column.offset + len(column)) * 2 : _LOW_WORDS]
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


def text_codes(*columns: pa.ChunkedArray) -> list[Ints]:
    """
    Return codes of several text columns over one dictionary, in the order of text.

    Equal text has equal codes; null is -1; smaller text has the smaller code.
    """
    chunks = [chunk for column in columns for chunk in column.chunks]
    encoded = (
        pa.chunked_array(chunks, type=columns[0].type)
        .combine_chunks()
        .dictionary_encode()
    )
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order) + 1, dtype=np.int64)
    rank[order] = np.arange(len(order))
    rank[-1] = -1
    indices = encoded.indices.fill_null(len(order)).to_numpy(zero_copy_only=False)
    codes = rank[indices]
    bounds = np.cumsum([len(column) for column in columns])[:-1]
    return list(np.split(codes, bounds))


def fold_codes(codes: Ints, minor: Ints) -> Ints:
    """Return dense codes of the pairs (*codes*, *minor*) in the pairs' order."""
    lowest = int(minor.min(initial=0))
    width = int(minor.max(initial=0)) - lowest + 1
    pairs = codes * width + (minor - lowest)
    _, folded = np.unique(pairs, return_inverse=True)
    return folded.astype(np.int64)


def _bitmap(known: Bools) -> pa.Buffer:
    return pa.py_buffer(np.packbits(known, bitorder="little"))
