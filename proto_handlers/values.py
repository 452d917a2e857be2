"""
OTLP attribute values as text, read from their bytes for whole columns at once.

A value is a serialised ``AnyValue``: one field, whose tag is the first byte. Strings,
integers, booleans and doubles written in the usual way are read with numpy; whatever
else there is goes through the protobuf library, once per distinct value.
"""

import base64
import json
import math
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

Slots = npt.NDArray[np.int32]
_Bytes = npt.NDArray[np.uint8]
_Ints = npt.NDArray[np.int64]

_STRING, _BOOL, _INT, _DOUBLE = 0x0A, 0x10, 0x18, 0x21
_MORE: Final = 0x80
_LOW_BITS: Final = 0x7F
_BOOL_SIZE: Final = 2
_DOUBLE_SIZE: Final = 9
_LONGEST_INT: Final = 11
_LONGEST_LENGTH: Final = 5


def read_values(values: pa.BinaryArray) -> tuple[pa.BinaryArray, Slots]:
    """
    Return texts, and for each value the place of its text there; -1 without one.

    Scalars become text, doubles in shortest form, arrays and maps JSON, bytes base64.
    An absent or unreadable value has none. Only these places may be taken: between
    them lies what the wire has between texts. Whether they are UTF-8 is not checked.
    """
    count = len(values)
    _, offset_buffer, data = values.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32, count + 1, values.offset * 4)
    wire = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    if not len(wire):
        return pa.nulls(0, pa.binary()), np.full(count, -1, np.int32)
    start = offsets[:-1].astype(np.int64)
    size = np.diff(offsets).astype(np.int64)
    tag = np.where(size > 0, _at(wire, start), 0)
    slots = np.full(count, -1, np.int32)

    strings, text_start = _strings(wire, start, size, np.flatnonzero(tag == _STRING))
    pools = [texts_between(data, text_start, (start + size)[strings])]
    slots[strings] = 2 * np.arange(len(strings), dtype=np.int32)
    done = len(pools[0])
    is_open = size > 0
    is_open[strings] = False
    for read in (_integers, _booleans, _doubles):
        rows, texts = read(wire, start, size, tag)
        slots[rows] = done + np.arange(len(rows), dtype=np.int32)
        pools.append(texts.cast(pa.binary()))
        done += len(texts)
        is_open[rows] = False
    rest = np.flatnonzero(is_open)
    if len(rest):
        encoded = values.take(pa.array(rest)).dictionary_encode()
        rendered = [_render(value) for value in encoded.dictionary.to_pylist()]
        known = np.array([text is not None for text in rendered], np.bool_)
        codes = encoded.indices.to_numpy()
        slots[rest] = np.where(known[codes], done + codes, -1)
        pools.append(pa.array(rendered, pa.string()).cast(pa.binary()))
    return pa.concat_arrays(pools), slots


def _at(wire: _Bytes, places: _Ints) -> _Bytes:
    # Looking ahead of the last value may lead out; what is read then does not count.
    return wire.take(places, mode="clip")


def _strings(
    wire: _Bytes, start: _Ints, size: _Ints, rows: _Ints
) -> tuple[_Ints, _Ints]:
    """Return the rows that are one string each, and where its text starts."""
    begin = start[rows] + 1
    length = _at(wire, begin).astype(np.int64)
    text = begin + 1
    long = np.flatnonzero(length >= _MORE)
    if len(long):
        length[long] &= _LOW_BITS
        for shift in range(7, 7 * _LONGEST_LENGTH, 7):
            byte = _at(wire, text[long]).astype(np.int64)
            length[long] |= (byte & _LOW_BITS) << shift
            text[long] += 1
            long = long[byte >= _MORE]
            if not len(long):
                break
        length[long] = -1
    whole = text + length == start[rows] + size[rows]
    if not whole.all():
        return rows[whole], text[whole]
    return rows, text


def texts_between(data: pa.Buffer, start: _Ints, end: _Ints) -> pa.BinaryArray:
    """Return texts as every second entry of an array over the same bytes."""
    bounds = np.empty(2 * len(start), np.int32)
    bounds[0::2], bounds[1::2] = start, end
    if not len(bounds):
        return pa.nulls(0, pa.binary())
    buffers = [None, pa.py_buffer(bounds), data]
    return pa.BinaryArray.from_buffers(pa.binary(), len(bounds) - 1, buffers)


def _integers(
    wire: _Bytes, start: _Ints, size: _Ints, tag: npt.NDArray[np.int64]
) -> tuple[_Ints, pa.StringArray]:
    rows = np.flatnonzero((tag == _INT) & (size > 1) & (size <= _LONGEST_INT))
    begin, left = start[rows] + 1, size[rows] - 1
    value = np.zeros(len(rows), np.uint64)
    right = _at(wire, begin + left - 1) < _MORE
    for place in range(int(left.max(initial=0))):
        inside = left > place
        byte = _at(wire, begin + place).astype(np.uint64)
        low = (byte & np.uint64(_LOW_BITS)) << np.uint64(7 * place)
        value |= np.where(inside, low, np.uint64(0))
        right &= ~((left > place + 1) & (byte < _MORE))
    texts = pa.array(value.view(np.int64)[right], pa.int64()).cast(pa.string())
    return rows[right], texts


def _booleans(
    wire: _Bytes, start: _Ints, size: _Ints, tag: npt.NDArray[np.int64]
) -> tuple[_Ints, pa.StringArray]:
    rows = np.flatnonzero((tag == _BOOL) & (size == _BOOL_SIZE))
    said = _at(wire, start[rows] + 1)
    rows, said = rows[said <= 1], said[said <= 1]
    return rows, pa.array(said == 1, pa.bool_()).cast(pa.string())


def _doubles(
    wire: _Bytes, start: _Ints, size: _Ints, tag: npt.NDArray[np.int64]
) -> tuple[_Ints, pa.StringArray]:
    rows = np.flatnonzero((tag == _DOUBLE) & (size == _DOUBLE_SIZE))
    places = start[rows][:, None] + np.arange(1, _DOUBLE_SIZE)
    numbers = _at(wire, places).reshape(-1).view("<f8")
    return rows, pa.array(numbers, pa.float64()).cast(pa.string())


def _render(payload: bytes) -> str | None:
    try:
        value = AnyValue.FromString(payload)
    except DecodeError:
        return None
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    plain = _plain(value)
    if isinstance(plain, str):
        return plain
    if isinstance(plain, float):
        return pa.array([plain], pa.float64()).cast(pa.string())[0].as_py()
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


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


def text_of(column: pa.BinaryArray | pa.StringArray) -> pa.StringArray:
    """Return bytes as text; what is no UTF-8 in them is replaced."""
    if pa.types.is_string(column.type):
        return column
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array(
            [
                None if item is None else item.decode(errors="replace")
                for item in column.to_pylist()
            ],
            pa.string(),
        )
