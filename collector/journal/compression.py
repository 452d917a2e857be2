"""
How payloads are kept small in the journal: snappy, where it helps.

Export requests repeat the same keys and values in every span and shrink to an eighth.
Compressing costs less than writing and syncing what it saves.
"""

from typing import Final, NamedTuple

import pyarrow as pa

_LEAST_BYTES: Final = 1024
_SNAPPY: Final = pa.Codec("snappy")
_VARINT_BYTES: Final = 5
_MOST_TIMES: Final = 64
"""More than snappy's longest copies give: 64 bytes for three."""


class Packed(NamedTuple):
    """A payload as the journal keeps it."""

    content: bytes
    is_compressed: bool


def pack(payload: bytes) -> Packed:
    """Return *payload* compressed, or as it is where that saves less than an eighth."""
    if len(payload) < _LEAST_BYTES:
        return Packed(payload, is_compressed=False)
    content = _SNAPPY.compress(payload, asbytes=True)
    if len(content) > len(payload) - len(payload) // 8:
        return Packed(payload, is_compressed=False)
    return Packed(content, is_compressed=True)


def unpack(content: bytes) -> bytes:
    """
    Return the payload that `pack` compressed.

    Raises:
        ValueError: *content* is not what it made.
    """
    size_bytes = _size_of(content)
    if size_bytes > _MOST_TIMES * len(content):
        message = f"payload: {size_bytes} bytes cannot be inside {len(content)}"
        raise ValueError(message)
    try:
        return bytes(_SNAPPY.decompress(content, size_bytes, asbytes=True))
    except OSError as error:
        raise ValueError(str(error)) from None


def _size_of(content: bytes) -> int:
    """Return the size in bytes that raw snappy begins with, a varint."""
    size_bytes = 0
    for place, byte in enumerate(content[:_VARINT_BYTES]):
        size_bytes |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return size_bytes
    message = "payload: no size in front of it"
    raise ValueError(message)
