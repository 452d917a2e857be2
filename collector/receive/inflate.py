"""Decompression that stops at a limit instead of filling the memory."""

import zlib
from typing import Final, Literal

from collector.errors import MalformedRequestError, TooLargeError, UnsupportedError

Coding = Literal["identity", "gzip", "deflate"]

_WINDOW_BITS: Final[dict[Coding, int]] = {"gzip": 31, "deflate": 15}
_RAW_DEFLATE_BITS: Final = -15


def parse_coding(header: str | None) -> Coding:
    """
    Read a ``Content-Encoding`` header.

    Raises:
        UnsupportedError: It is not one of those that OTLP senders use.
    """
    match (header or "identity").strip().lower():
        case "identity" | "":
            return "identity"
        case "gzip" | "x-gzip":
            return "gzip"
        case "deflate":
            return "deflate"
        case other:
            raise UnsupportedError(f"content encoding {other[:40]!r} is not supported")


class Inflater:
    """Takes a request's bytes as they come and gives it back decompressed."""

    def __init__(self, coding: Coding, *, max_bytes: int) -> None:
        """More than *max_bytes* after decompression are refused."""
        self._coding = coding
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._stream: zlib._Decompress | None = None
        if coding != "identity":
            self._stream = zlib.decompressobj(_WINDOW_BITS[coding])
        self._is_started = False
        self.size_bytes = 0

    def feed(self, chunk: bytes) -> int:
        """
        Take the next bytes as received.

        Returns:
            Bytes that they were decompressed to.

        Raises:
            TooLargeError: The request is larger than the limit.
            MalformedRequestError: The bytes are not compressed as they should be.
        """
        before = self.size_bytes
        stream = self._stream
        if stream is None:
            self._keep(chunk)
            return self.size_bytes - before
        try:
            while chunk:
                stream = self._stream_for(chunk, stream)
                room_bytes = self._max_bytes - self.size_bytes + 1
                self._keep(stream.decompress(chunk, room_bytes))
                chunk = stream.unconsumed_tail or stream.unused_data
        except zlib.error as error:
            raise MalformedRequestError(f"{self._coding}: {error}") from None
        return self.size_bytes - before

    def finish(self) -> bytes:
        """
        Return the request.

        Raises:
            MalformedRequestError: The compressed data ended before its end.
        """
        if self._stream is not None and self._is_started and not self._stream.eof:
            raise MalformedRequestError(f"{self._coding}: data is cut off")
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def _stream_for(
        self, chunk: bytes, stream: "zlib._Decompress"
    ) -> "zlib._Decompress":
        """Return what decompresses *chunk*, given what did so before."""
        if self._is_started and not stream.eof:  # gzip may have several members
            return stream
        bits = _WINDOW_BITS[self._coding]
        # HTTP's deflate is a zlib stream, but some senders leave the wrapper out.
        if self._coding == "deflate" and chunk[0] & 0x0F != 8:
            bits = _RAW_DEFLATE_BITS
        self._is_started = True
        self._stream = zlib.decompressobj(bits)
        return self._stream

    def _keep(self, part: bytes) -> None:
        self.size_bytes += len(part)
        if self.size_bytes > self._max_bytes:
            raise TooLargeError(
                request_bytes=self.size_bytes, max_bytes=self._max_bytes
            )
        if part:
            self._parts.append(part)
