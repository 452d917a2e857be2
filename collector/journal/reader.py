"""The reader's side of the journal, in another process than the writer's."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self

import structlog

from collector.files import make_directory, replace_file
from collector.journal.frame import Damage, Frame, Position, Seed, scan_frames
from collector.journal.marks import (
    Identity,
    SyncedMark,
    load_committed,
    store_committed,
)
from collector.journal.segment import segment_numbers, segment_path

log = structlog.get_logger(component="journal")

_POLL_SECONDS: Final = 0.01
_CHUNK_BYTES: Final = 4 << 20


class Corruption(NamedTuple):
    """Durable bytes that are no frame; they were set aside and skipped."""

    position: Position
    """Where they start."""
    end: Position
    """Where the next frame starts, or durable bytes end."""
    reason: str
    """What is wrong with the frame that should start there."""
    copy: Path | None
    """The file they were copied to; None if that failed."""


class JournalReader:
    """Reads durable frames in order and commits how far it is; for one thread."""

    def __init__(
        self,
        directory: Path,
        identity: Identity,
        mark: SyncedMark,
        *,
        committed: Position,
        on_corrupt: Callable[[Corruption], None],
    ) -> None:
        self._directory = directory
        self._identity = identity
        self._mark = mark
        self._committed = committed
        self._reached = committed
        self._on_corrupt = on_corrupt
        self._reported = committed

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        on_corrupt: Callable[[Corruption], None] | None = None,
    ) -> Self:
        """
        Open the journal in *directory* for reading, made if it is not there.

        Args:
            directory: Directory of the journal.

            on_corrupt: Called once for every region that is skipped.

        Raises:
            JournalCorruptError: One of the small files is not readable.
        """
        make_directory(directory)
        reader = cls(
            directory,
            Identity.load(directory),
            SyncedMark.open(directory),
            committed=load_committed(directory),
            on_corrupt=on_corrupt or (lambda _: None),
        )
        reader._delete_committed()
        return reader

    @property
    def journal_id(self) -> str:
        """Random name of the journal, made with it: 16 hex digits."""
        return self._identity.journal_id

    @property
    def committed(self) -> Position:
        """Place up to which the reader is done, as it stands on disk."""
        return self._committed

    @property
    def synced(self) -> Position:
        """Place up to which frames are durable now."""
        return self._mark.read()[0]

    @property
    def backlog_bytes(self) -> int:
        """Durable bytes that are not committed."""
        committed, synced = self._committed, self.synced
        total = 0
        for number in segment_numbers(self._directory):
            if not committed.segment <= number <= synced.segment:
                continue
            start = committed.offset if number == committed.segment else 0
            total += max(self._limit(number, synced) - start, 0)
        return total

    def read(
        self, start: Position, *, max_bytes: int, until: Position | None = None
    ) -> list[Frame]:
        """
        Return durable frames from *start* on, in order.

        What is damaged is copied to ``corrupt/``, reported and left out.

        Args:
            start: The end of a frame or `committed`.

            max_bytes: Size in bytes of frames, decompressed, to stay below; one
                frame is read however large it is.

            until: The end of a frame; those behind it are left out.

        Returns:
            Frames; none if nothing readable is durable behind *start*.
        """
        synced = self.synced
        limit = synced if until is None else min(until, synced)
        frames: list[Frame] = []
        taken_bytes = 0
        position = start
        while place := self._next_place(position, limit):
            more, position = self._read_segment(
                place,
                self._limit(place.segment, limit),
                max_bytes=max_bytes - taken_bytes,
                is_first=not frames,
            )
            frames += more
            taken_bytes += sum(map(_size_bytes, more))
            if position == place or (frames and taken_bytes >= max_bytes):
                break
        self._reached = position
        return frames

    def wait(self, timeout_seconds: float) -> bool:
        """
        Wait until something is durable behind what `read` returned last.

        Returns:
            Whether there is; False after *timeout_seconds* without.
        """
        deadline = time.monotonic() + timeout_seconds
        while self.synced <= self._reached:
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0:
                return False
            time.sleep(min(_POLL_SECONDS, left_seconds))
        return True

    def commit(self, position: Position) -> None:
        """
        Record durably that everything before *position* is done.

        Segments that are done as a whole are deleted.

        Args:
            position: The end of a frame, not before `committed`.
        """
        if position < self._committed:
            message = f"commit: {position} is before {self._committed}"
            raise ValueError(message)
        if position > self._committed:
            store_committed(self._directory, position)
            self._committed = position
        self._delete_committed()

    def set_aside(self, frame: Frame) -> None:
        """
        Keep the payload of a frame that could not be used, in ``refused/``.

        It stays beside the journal: a payload may hold prompts, and the lake has none.
        Setting the same frame aside again changes nothing.
        """
        path = self._directory / "refused" / f"{frame.position}.pb"
        replace_file(path, frame.payload)

    def close(self) -> None:
        """Release what the reader holds."""
        self._mark.close()

    def _next_place(self, position: Position, limit: Position) -> Position | None:
        """Return where to read on, at *position* or in a later segment."""
        for number in segment_numbers(self._directory):
            if not position.segment <= number <= limit.segment:
                continue
            offset = position.offset if number == position.segment else 0
            if offset < self._limit(number, limit):
                return Position(number, offset)
        return None

    def _limit(self, number: int, limit: Position) -> int:
        """Return the offset up to which segment *number* has bytes before *limit*."""
        if number > limit.segment:
            return 0
        try:
            size_bytes = segment_path(self._directory, number).stat().st_size
        except FileNotFoundError:
            return 0
        return min(size_bytes, limit.offset) if number == limit.segment else size_bytes

    def _read_segment(
        self, place: Position, limit: int, *, max_bytes: int, is_first: bool
    ) -> tuple[list[Frame], Position]:
        """
        Return frames from *place* on, and where to read on.

        If this *is_first*, it reads as much as it takes to get on; else it may
        stay where it is.
        """
        seed = Seed.of(self._identity.salt, place.segment)
        rest_bytes = limit - place.offset
        wanted_bytes = min(max_bytes, _CHUNK_BYTES, rest_bytes)
        while True:
            with segment_path(self._directory, place.segment).open("rb") as file:
                buffer = os.pread(file.fileno(), wanted_bytes, place.offset)
            scanned = scan_frames(
                buffer, at=place.offset, seed=seed, is_rest=wanted_bytes == rest_bytes
            )
            found = list(_below(scanned, max_bytes, is_first=is_first))
            if found or wanted_bytes == rest_bytes or not is_first:
                break
            wanted_bytes = min(wanted_bytes * 4, rest_bytes)
        frames = [item for item in found if isinstance(item, Frame)]
        for item in found:
            if isinstance(item, Damage):
                region = buffer[item.start - place.offset : item.end - place.offset]
                self._set_aside(place.segment, item, region)
        if not found:
            return frames, place
        last = found[-1]
        end = last.end if isinstance(last, Damage) else last.end.offset
        return frames, Position(place.segment, end)

    def _set_aside(self, segment: int, damage: Damage, region: bytes) -> None:
        position = Position(segment, damage.start)
        end = Position(segment, damage.end)
        if end <= self._reported:
            return
        self._reported = end
        copy = self._copy(region, f"{position}.bin")
        log.warning(
            "journal_region_corrupt",
            segment=segment,
            offset=damage.start,
            bytes=damage.end - damage.start,
            reason=damage.reason,
            copy=str(copy),
        )
        self._on_corrupt(Corruption(position, end, damage.reason, copy))

    def _copy(self, region: bytes, name: str) -> Path | None:
        """Copy *region* to ``corrupt/``; a full disk must not stop the reader."""
        path = self._directory / "corrupt" / name
        try:
            replace_file(path, region)
        except OSError:
            return None
        return path

    def _delete_committed(self) -> None:
        for number in segment_numbers(self._directory):
            if number < self._committed.segment:
                segment_path(self._directory, number).unlink(missing_ok=True)


def _size_bytes(frame: Frame) -> int:
    """Return what a frame counts against the memory of a batch."""
    return max(frame.journal_bytes, len(frame.payload))


def _below(
    scanned: Iterator[Frame | Damage], max_bytes: int, *, is_first: bool
) -> Iterator[Frame | Damage]:
    """Yield what was scanned while it stays below *max_bytes*; if first, one always."""
    taken_bytes = 0
    for item in scanned:
        if isinstance(item, Frame):
            taken_bytes += _size_bytes(item)
            if taken_bytes > max_bytes and not is_first:
                return
        yield item
        is_first = False
