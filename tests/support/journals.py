"""Journals for tests: small, with payloads that tell which they are."""

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from collector.config import JournalSettings
from collector.journal import Frame, Journal, JournalReader, Position

ARRIVAL_UNIX_NANO = 1_700_000_000_000_000_000
SMALL = JournalSettings(segment_bytes=1 << 20, max_bytes=8 << 20)


def payload_hash(payload: bytes) -> bytes:
    """Return 16 bytes that stand for *payload*."""
    return hashlib.sha256(payload).digest()[:16]


def append(journal: Journal, payload: bytes, *, tenant: str | None = None) -> Position:
    """Append *payload* as traces in protobuf."""
    return journal.append(
        payload,
        signal="traces",
        encoding="protobuf",
        tenant=tenant,
        received_unix_nano=ARRIVAL_UNIX_NANO,
        payload_hash=payload_hash(payload),
    )


def write_journal(directory: Path, payloads: Iterable[bytes]) -> list[Position]:
    """Write *payloads* durably in one process life; return where each frame ends."""
    journal = Journal.open(directory, SMALL)
    ends = [append(journal, payload) for payload in payloads]
    journal.close()
    return ends


def read_all(directory: Path, *, max_bytes: int = 1 << 20) -> list[Frame]:
    """Return all durable frames from the committed place on, in several reads."""
    reader = JournalReader.open(directory)
    frames: list[Frame] = []
    position = reader.committed
    while more := reader.read(position, max_bytes=max_bytes):
        frames += more
        position = more[-1].end
    reader.close()
    return frames


def abandon(journal: Journal) -> None:
    """Leave *journal* as a killed process leaves it: nothing synced, sealed or told."""
    for segment in journal._unsynced:
        segment.close()
    journal._mark.close()


def failing_sync(errno_value: int, *, after: int = 0) -> Callable[[int], None]:
    """Return a sync that works *after* times and then fails."""
    left = [after]

    def sync(descriptor: int) -> None:
        if left[0] == 0:
            raise OSError(errno_value, os.strerror(errno_value))
        left[0] -= 1
        os.fdatasync(descriptor)

    return sync
