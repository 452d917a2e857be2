"""What was received lately, so that the same bytes sent again are not stored again."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import xxhash

from collector.journal import Encoding, Position, Signal

_KEPT_PAYLOADS: Final = 1 << 19
_KEPT_SECONDS: Final = 3600.0
_GENERATIONS: Final = 16
_HASHED_BYTES: Final = 64 << 10
_NOWHERE: Final = Position(0, 0)


def hash_payload(
    body: bytes, *, signal: Signal, encoding: Encoding, tenant: str | None, seed: int
) -> bytes:
    """
    Return 16 bytes that stand for a request: its XXH3.

    The same bytes from two tenants are two requests. The hash is not a cryptographic
    one: without *seed* nobody can make two requests of one hash, and who could would
    lose a request of the own tenant.
    """
    about = f"{signal} {encoding} {'' if tenant is None else '=' + tenant}".encode()
    state = xxhash.xxh3_128(len(about).to_bytes(4, "little") + about, seed=seed)
    # Given more at once, it lets go of the interpreter's lock, and waits for it again.
    parts = memoryview(body)
    for place in range(0, len(parts), _HASHED_BYTES):
        state.update(parts[place : place + _HASHED_BYTES])
    return state.digest()


@dataclass(slots=True)
class _Generation:
    born_seconds: float
    hashes: set[bytes] = field(default_factory=set)
    end: Position = _NOWHERE
    drained_seconds: float | None = None


class PayloadMemory:
    """
    Remembers the hashes of requests that are in the journal.

    They are kept for an hour after they were drained, and the oldest are forgotten
    beyond half a million (about 60 MB). Hashes of about one age share a set; whole sets
    are forgotten.
    """

    def __init__(
        self,
        *,
        max_payloads: int = _KEPT_PAYLOADS,
        kept_seconds: float = _KEPT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kept_seconds = kept_seconds
        self._generation_payloads = max(max_payloads // _GENERATIONS, 1)
        self._clock = clock
        self._current = _Generation(clock())
        self._generations: deque[_Generation] = deque([self._current])

    def __contains__(self, payload_hash: bytes) -> bool:
        return any(
            payload_hash in generation.hashes for generation in self._generations
        )

    def add(self, payload_hash: bytes, end: Position) -> None:
        """Remember a request whose frame ends at *end*."""
        current = self._current
        if len(current.hashes) >= self._generation_payloads or (
            current.hashes
            and self._clock() - current.born_seconds > self._kept_seconds / 4
        ):
            current = self._current = _Generation(self._clock())
            self._generations.append(current)
            self._forget_excess()
        current.hashes.add(payload_hash)
        current.end = end
        current.drained_seconds = None

    def forget_drained(self, committed: Position) -> None:
        """Forget what was drained long ago, given that *committed* is drained now."""
        now = self._clock()
        for generation in self._generations:
            if generation.drained_seconds is None and generation.end <= committed:
                generation.drained_seconds = now
        while len(self._generations) > 1:
            drained_seconds = self._generations[0].drained_seconds
            if drained_seconds is None or now - drained_seconds < self._kept_seconds:
                return
            self._generations.popleft()

    def _forget_excess(self) -> None:
        full = self._generation_payloads * _GENERATIONS
        while sum(len(each.hashes) for each in self._generations) > (
            full - self._generation_payloads
        ):
            self._generations.popleft()
