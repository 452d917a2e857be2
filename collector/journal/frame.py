"""Frames as bytes: pure functions; the package docstring draws the format."""

import re
import struct
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, Self

import google_crc32c
from typing_extensions import override

from collector.journal.compression import unpack

Signal = Literal["traces", "logs"]
Encoding = Literal["protobuf", "json"]

HASH_BYTES: Final = 16

_MAGIC: Final = b"SLF1"
_CHECKED: Final = struct.Struct("<IIBBHQ16s")
_CHECKED_AT: Final = 8
_HEAD_BYTES: Final = _CHECKED_AT + _CHECKED.size
_NO_TENANT: Final = 0xFFFF
_COMPRESSED: Final = 0x80
_SIGNALS: Final[dict[int, Signal]] = {1: "traces", 2: "logs"}
_ENCODINGS: Final[dict[int, Encoding]] = {1: "protobuf", 2: "json"}
_SIGNAL_CODES: Final = {name: code for code, name in _SIGNALS.items()}
_ENCODING_CODES: Final = {name: code for code, name in _ENCODINGS.items()}
_POSITION: Final = re.compile(r"(\d{8,})-(\d{10,})")


class Position(NamedTuple):
    """A place in the journal; places are ordered by segment, then offset."""

    segment: int
    """Number of the segment; the first is 1."""
    offset: int
    """Bytes from the start of the segment."""

    @override
    def __str__(self) -> str:
        return f"{self.segment:08d}-{self.offset:010d}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote; raises ValueError for anything else."""
        match = _POSITION.fullmatch(text)
        if match is None:
            message = f"{text!r} is not a journal position"
            raise ValueError(message)
        return cls(int(match[1]), int(match[2]))


class Frame(NamedTuple):
    """A payload in the journal."""

    signal: Signal
    """What the payload holds."""
    encoding: Encoding
    """What the sender sent; the payload itself is always protobuf."""
    tenant: str | None
    """Tenant of the token, if any."""
    received_unix_nano: int
    """Arrival, UTC nanoseconds since 1970."""
    payload_hash: bytes
    """128 bits over the request as received, decompressed."""
    payload: bytes
    """OTLP export request, protobuf, decompressed."""
    position: Position
    """Where the frame starts."""
    end: Position
    """Where it ends, in the same segment."""

    @property
    def journal_bytes(self) -> int:
        """Bytes that the frame takes in the journal."""
        return self.end.offset - self.position.offset


class Seed(NamedTuple):
    """Start value of the checksums of one segment."""

    segment: int
    """Number of the segment."""
    base: int
    """Checksum of salt and segment number."""

    @classmethod
    def of(cls, salt: bytes, segment: int) -> Self:
        """Derive the seed of *segment* from the journal's *salt*."""
        return cls(segment, google_crc32c.value(salt + segment.to_bytes(8, "little")))

    def at(self, offset: int) -> int:
        """Return the value with which the checksum of the frame at *offset* begins."""
        return (self.base + offset) & 0xFFFFFFFF


class Unreadable(NamedTuple):
    """No whole frame starts at the place that was asked for."""

    reason: Literal["short", "head", "payload"]
    """``short``: the bytes end before the frame does; else the part that is damaged."""
    frame_bytes: int | None
    """Length of the frame; None if its head is not whole."""


def encode_head(
    content: bytes,
    *,
    signal: Signal,
    encoding: Encoding,
    tenant: str | None,
    received_unix_nano: int,
    payload_hash: bytes,
    checksum_seed: int,
    is_compressed: bool = False,
) -> bytes:
    """
    Return what stands before *content* in its frame; head and content are the frame.

    Args:
        content: The payload, or what `pack` made of it.

        signal: What the payload holds.

        encoding: What the sender sent.

        tenant: Tenant of the sender.

        received_unix_nano: Arrival, UTC nanoseconds since 1970.

        payload_hash: 16 bytes that stand for the request.

        checksum_seed: Seed of the frame's place.

        is_compressed: Whether *content* is compressed.

    Raises:
        ValueError: The tenant has more than 65534 bytes, the hash not 16, or the
            content 4 GiB or more.
    """
    name = b"" if tenant is None else tenant.encode()
    if len(name) >= _NO_TENANT or len(content) >> 32 or len(payload_hash) != HASH_BYTES:
        message = "frame: tenant, payload or hash has a length that does not fit"
        raise ValueError(message)
    checked = (
        _CHECKED.pack(
            google_crc32c.extend(checksum_seed, content),
            len(content),
            _SIGNAL_CODES[signal],
            _ENCODING_CODES[encoding] | (_COMPRESSED if is_compressed else 0),
            _NO_TENANT if tenant is None else len(name),
            received_unix_nano,
            payload_hash,
        )
        + name
    )
    head_checksum = google_crc32c.extend(checksum_seed, checked)
    return _MAGIC + head_checksum.to_bytes(4, "little") + checked


class _Head(NamedTuple):
    head_bytes: int
    tenant: str | None
    payload_checksum: int
    payload_bytes: int
    signal: int
    encoding: int
    received_unix_nano: int
    payload_hash: bytes


def _decode_head(
    buffer: bytes, start: int, *, at: int, seed: Seed
) -> _Head | Unreadable:
    fixed_end = start + _HEAD_BYTES
    if buffer[start : start + 4] != _MAGIC:
        return Unreadable("head" if len(buffer) - start >= 4 else "short", None)
    if len(buffer) < fixed_end:
        return Unreadable("short", None)
    checksum, payload_bytes, signal, encoding, tenant_bytes, received, payload_hash = (
        _CHECKED.unpack_from(buffer, start + _CHECKED_AT)
    )
    has_tenant = tenant_bytes != _NO_TENANT
    end = fixed_end + (tenant_bytes if has_tenant else 0)
    if len(buffer) < end:
        return Unreadable("short", None)
    head_checksum = google_crc32c.extend(seed.at(at), buffer[start + _CHECKED_AT : end])
    if head_checksum.to_bytes(4, "little") != buffer[start + 4 : start + 8]:
        return Unreadable("head", None)
    return _Head(
        head_bytes=end - start,
        tenant=buffer[fixed_end:end].decode() if has_tenant else None,
        payload_checksum=checksum,
        payload_bytes=payload_bytes,
        signal=signal,
        encoding=encoding,
        received_unix_nano=received,
        payload_hash=payload_hash,
    )


def decode_frame(
    buffer: bytes, start: int, *, at: int, seed: Seed
) -> Frame | Unreadable:
    """
    Read the frame that starts at ``buffer[start]``.

    Args:
        buffer: Bytes of one segment from some place on.

        start: Index of the frame in *buffer*.

        at: Offset of the frame in its segment.

        seed: Seed of the segment.
    """
    head = _decode_head(buffer, start, at=at, seed=seed)
    if isinstance(head, Unreadable):
        return head
    payload_at = start + head.head_bytes
    frame_bytes = head.head_bytes + head.payload_bytes
    payload = buffer[payload_at : start + frame_bytes]
    if len(payload) < head.payload_bytes:
        return Unreadable("short", frame_bytes)
    if google_crc32c.extend(seed.at(at), payload) != head.payload_checksum:
        return Unreadable("payload", frame_bytes)
    if head.encoding & _COMPRESSED:
        try:
            payload = unpack(payload)
        except ValueError:
            return Unreadable("payload", frame_bytes)
    return Frame(
        signal=_SIGNALS[head.signal],
        encoding=_ENCODINGS[head.encoding & ~_COMPRESSED],
        tenant=head.tenant,
        received_unix_nano=head.received_unix_nano,
        payload_hash=head.payload_hash,
        payload=payload,
        position=Position(seed.segment, at),
        end=Position(seed.segment, at + frame_bytes),
    )


def find_frame(buffer: bytes, start: int, *, at: int, seed: Seed) -> int | None:
    """
    Find the first whole frame that starts at ``buffer[start]`` or behind it.

    Args and units are those of `decode_frame`.

    Returns:
        Its index in *buffer*, or None if no whole frame follows.
    """
    candidate = buffer.find(_MAGIC, start)
    while candidate >= 0:
        offset = at + candidate - start
        if isinstance(decode_frame(buffer, candidate, at=offset, seed=seed), Frame):
            return candidate
        candidate = buffer.find(_MAGIC, candidate + 1)
    return None


class Damage(NamedTuple):
    """Bytes of a segment that are no frame."""

    start: int
    """Offset in the segment of the first of them."""
    end: int
    """Offset behind the last of them."""
    reason: str
    """What is wrong with the frame that should start there."""


def scan_frames(
    buffer: bytes, *, at: int, seed: Seed, is_rest: bool
) -> Iterator[Frame | Damage]:
    """
    Read the frames in *buffer* in order, and what is damaged between them.

    Args:
        buffer: Bytes of one segment; a frame or damage starts with the first.

        at: Offset of the first byte in the segment.

        seed: Seed of the segment.

        is_rest: No frame of the segment ends behind *buffer*. If not, the scan stops
            before the first frame or damage that it does not see the end of.
    """
    start = 0
    while start < len(buffer):
        found = decode_frame(buffer, start, at=at + start, seed=seed)
        if isinstance(found, Frame):
            yield found
            start = found.end.offset - at
            continue
        end: int | None = None
        if found.frame_bytes is None:
            end = find_frame(buffer, start + 1, at=at + start + 1, seed=seed)
        elif found.reason == "payload":
            end = start + found.frame_bytes
        if end is None:
            if not is_rest:
                return
            end = len(buffer)
        yield Damage(at + start, at + end, found.reason)
        start = end
