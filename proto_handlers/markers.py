"""What stays of content, ``bytes=<n>;hash=<32 hex digits>``, read back."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import offsets_in, spread
from proto_handlers.columns import NONE, Chosen, whole_numbers
from proto_handlers.fixed_texts import fixed_texts
from proto_handlers.scalars import NO_TEXT, ZERO_LENGTH
from proto_handlers.values import texts_between

_FORM: Final = r"^bytes=(?P<bytes>\d+)(?:;hash=(?P<hash>[0-9a-f]{32}))?$"
_HEAD: Final = np.frombuffer(b"bytes=", np.uint8)
_BEFORE_HASH: Final = np.frombuffer(b";hash=", np.uint8)
_HASH_LENGTH: Final = 32
_TAIL_LENGTH: Final = len(_BEFORE_HASH) + _HASH_LENGTH
_IS_HEX: Final = np.isin(np.arange(256), list(b"0123456789abcdef"))


def read_markers(chosen: Chosen, name: str) -> tuple[pa.Int64Array, pa.StringArray]:
    """Return sizes in bytes and hashes per span; null where none is told."""
    places = chosen.places.get(name)
    size = chosen.attributes.owners
    rows = np.zeros(0, np.int64) if places is None else np.flatnonzero(places != NONE)
    if places is None or not len(rows):
        return pa.nulls(size, pa.int64()), pa.nulls(size, pa.string())
    texts = chosen.attributes.values(places[rows])
    sizes, hashes = _as_written(texts) or _as_told(texts)
    numbers, right = whole_numbers(sizes)
    values, known = np.zeros(size, np.int64), np.zeros(size, np.bool_)
    values[rows], known[rows] = numbers, right
    return pa.array(values, pa.int64(), mask=~known), spread(hashes, rows, size)


def _as_written(texts: pa.StringArray) -> tuple[pa.StringArray, pa.StringArray] | None:
    """Return sizes and hashes of markers that are all of our own making."""
    offsets = offsets_in(texts).astype(np.int64)
    data = texts.buffers()[2]
    lengths = np.diff(offsets)
    if data is None or lengths.min() <= len(_HEAD) + _TAIL_LENGTH:
        return None
    wire = np.frombuffer(data, np.uint8)
    start, tail_start = offsets[:-1], offsets[1:] - _TAIL_LENGTH
    tail = wire[tail_start[:, None] + np.arange(_TAIL_LENGTH)]
    head = wire[start[:, None] + np.arange(len(_HEAD))]
    digits = np.ascontiguousarray(tail[:, len(_BEFORE_HASH) :])
    if not (
        (head == _HEAD).all()
        and (tail[:, : len(_BEFORE_HASH)] == _BEFORE_HASH).all()
        and _IS_HEX[digits].all()
    ):
        return None
    places = pa.array(np.arange(0, 2 * len(start), 2, dtype=np.int32))
    sizes = texts_between(data, start + len(_HEAD), tail_start).take(places)
    hashes = fixed_texts(digits.tobytes(), len(digits), _HASH_LENGTH)
    return sizes.cast(pa.string()), hashes


def _as_told(texts: pa.StringArray) -> tuple[pa.StringArray, pa.StringArray]:
    parts = pc.extract_regex(texts, pattern=_FORM)
    hashes = parts.field("hash")
    empty = pc.equal(pc.binary_length(hashes), ZERO_LENGTH)
    # What does not have the form at all is null as a whole.
    sizes = pc.if_else(parts.is_valid(), parts.field("bytes"), NO_TEXT)
    told = pc.and_(parts.is_valid(), pc.invert(empty))
    return sizes, pc.if_else(told, hashes, NO_TEXT)
