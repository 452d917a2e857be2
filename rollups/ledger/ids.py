"""Trace and span ids as numbers that sort as the ids do."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rollups.ledger.columns import NONE, Ints, known, one_chunk, ranks_of

_DIGITS: Final = 16
_NO_DIGIT: Final = 255
_VALUES: Final = np.full(256, _NO_DIGIT, np.uint8)
_VALUES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


class SpanKeys(NamedTuple):
    """
    For each row the number of its trace, and keys equal where (trace, span id) are.

    All sort as the ids do; ``parent`` is `NONE` on a root.
    """

    trace: Ints
    span: Ints
    parent: Ints


def number_ids(table: pa.Table) -> SpanKeys:
    """
    Number the ids of a table.

    Raises:
        ValueError: So many traces and spans that keys do not fit 64 bits.
    """
    trace, traces = ranks_of(one_chunk(table, "trace_id"))
    span_id = one_chunk(table, "span_id")
    parent_id = one_chunk(table, "parent_span_id")
    has_parent = known(parent_id)
    ranks, width = _rank(span_id, parent_id.drop_null())
    if width * max(len(traces), 1) > np.iinfo(np.int64).max:
        message = f"spans: {len(traces)} traces at once do not fit"
        raise ValueError(message)
    base = trace * width
    parent = np.full(len(trace), NONE)
    parent[has_parent] = base[has_parent] + ranks[len(trace) :]
    return SpanKeys(trace, base + ranks[: len(trace)], parent)


def _rank(*columns: pa.Array) -> tuple[Ints, int]:
    """Return the ranks of all ids, one column after the other, and how many differ."""
    numbers = [_hex_numbers(column) for column in columns]
    if any(number is None for number in numbers):
        ranks, texts = ranks_of(pa.concat_arrays(columns))
        return ranks, len(texts)
    values = np.concatenate([number for number in numbers if number is not None])
    if len(values) == 0:
        return np.zeros(0, np.int64), 0
    order = np.argsort(values)
    ordered = values[order]
    rank = np.cumsum(np.r_[False, ordered[1:] != ordered[:-1]])
    ranks = np.empty(len(values), np.int64)
    ranks[order] = rank
    return ranks, int(rank[-1]) + 1


def _hex_numbers(column: pa.Array) -> npt.NDArray[np.uint64] | None:
    """Return ids of 16 lower-case hex digits as numbers, nothing if some are not."""
    if not pc.all(pc.equal(pc.binary_length(column), _DIGITS)).as_py():
        return np.zeros(0, np.uint64) if len(column) == 0 else None
    _, offsets, data = column.buffers()
    first = np.frombuffer(offsets, np.int32)[column.offset]
    digits = np.frombuffer(data, np.uint8)[first : first + len(column) * _DIGITS]
    values = _VALUES[digits]
    if (values == _NO_DIGIT).any():
        return None
    bytes_ = (values[0::2] << 4) | values[1::2]
    return bytes_.view(">u8").astype(np.uint64)
