"""The writer's side of the journal."""

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Self

import structlog

from collector.config import JournalSettings
from collector.errors import DiskFullError, JournalFailedError, JournalFullError
from collector.files import SyncFile, make_directory, sync_directory
from collector.journal.compression import Packed
from collector.journal.frame import Encoding, Frame, Position, Seed, Signal, encode_head
from collector.journal.marks import Identity, SyncedMark, load_committed
from collector.journal.recovery import recover
from collector.journal.segment import (
    NO_ROOM,
    Allocate,
    Segment,
    segment_numbers,
    used_bytes,
)

log = structlog.get_logger(component="journal")


class Journal:
    """
    Appends frames to segments and makes them durable.

    One thread appends; `sync` may run in another at the same time.
    Only one journal may be open for writing on a directory: the caller holds a lock.
    """

    def __init__(
        self,
        directory: Path,
        identity: Identity,
        mark: SyncedMark,
        settings: JournalSettings,
        *,
        end: Position,
        sync: SyncFile,
        allocate: Allocate,
    ) -> None:
        self._directory = directory
        self._identity = identity
        self._mark = mark
        self._max_bytes = settings.max_bytes
        # With less than a few segments in all, a full journal could not be drained:
        # room comes back by whole segments, and the growing one is not given back.
        self._segment_bytes = min(settings.segment_bytes, settings.max_bytes // 4)
        self._sync_file = sync
        self._allocate = allocate
        self._lock = threading.Lock()
        self._unsynced: deque[Segment] = deque()
        self._is_directory_synced = True
        self._active: Segment | None = None
        self._seed = Seed(0, 0)
        self._end = end
        self._synced = end
        self._failure: JournalFailedError | None = None
        self._is_closed = False

    @classmethod
    def open(
        cls,
        directory: Path,
        settings: JournalSettings,
        *,
        sync: SyncFile = os.fdatasync,
        allocate: Allocate = os.posix_fallocate,
        on_frame: Callable[[Frame], None] | None = None,
    ) -> Self:
        """
        Open the journal in *directory* for writing, made if it is not there.

        What earlier processes left is recovered; appends go to a new segment. If there
        is no room for that now, the journal opens all the same and appends say so.

        Args:
            directory: Directory of the journal, on a local disk.

            settings: Sizes.

            sync: Makes a file's content durable.

            allocate: Reserves the bytes of a file.

            on_frame: Called in order for every frame that is kept, drained or not.

        Raises:
            JournalFailedError: A sync failed.
            JournalCorruptError: The journal's identity is not readable.
        """
        make_directory(directory)
        identity = Identity.load(directory)
        mark = SyncedMark.open(directory)
        end = recover(
            directory,
            identity.salt,
            mark,
            sync=sync,
            on_frame=on_frame or (lambda _: None),
        )
        journal = cls(
            directory,
            identity,
            mark,
            settings,
            end=end,
            sync=sync,
            allocate=allocate,
        )
        try:
            journal._roll(0)
        except (JournalFullError, DiskFullError) as error:
            log.warning("journal_opened_full", reason=str(error))
        log.info("journal_opened", journal_id=identity.journal_id, end=str(end))
        return journal

    @property
    def journal_id(self) -> str:
        """Random name of the journal, made with it: 16 hex digits."""
        return self._identity.journal_id

    @property
    def hash_seed(self) -> int:
        """64 bits that senders do not know, for the hashes of payloads."""
        return int.from_bytes(self._identity.salt[:8], "little")

    @property
    def end(self) -> Position:
        """Place behind the last frame, durable or not."""
        return self._end

    @property
    def committed(self) -> Position:
        """Place up to which the reader is done, as it stands on disk."""
        return load_committed(self._directory)

    @property
    def synced(self) -> Position:
        """Place up to which frames are durable."""
        return self._synced

    @property
    def failure(self) -> JournalFailedError | None:
        """The error after which nothing is accepted any more, if there was one."""
        return self._failure

    def append(
        self,
        payload: bytes | Packed,
        *,
        signal: Signal,
        encoding: Encoding,
        tenant: str | None,
        received_unix_nano: int,
        payload_hash: bytes,
    ) -> Position:
        """
        Write a frame into the page cache.

        Args:
            payload: OTLP export request, protobuf; as it is or packed.

            signal: What it holds.

            encoding: What the sender sent.

            tenant: Tenant of the sender's token.

            received_unix_nano: Arrival, UTC nanoseconds since 1970.

            payload_hash: 16 bytes that stand for the request.

        Returns:
            Where the frame ends: it is durable once `synced` is there.

        Raises:
            JournalFullError: ``max_bytes`` are used; nothing was written.
            DiskFullError: No room for a segment; nothing was written.
            JournalFailedError: A write or sync failed, now or earlier.
            ValueError: A field does not fit into a frame.
        """
        self._raise_if_failed()
        content, is_compressed = (
            payload if isinstance(payload, Packed) else (payload, False)
        )
        # The head depends on the place: for another segment it is made again.
        while True:
            segment = self._active
            head = encode_head(
                content,
                signal=signal,
                encoding=encoding,
                tenant=tenant,
                received_unix_nano=received_unix_nano,
                payload_hash=payload_hash,
                checksum_seed=self._seed.at(segment.end_offset if segment else 0),
                is_compressed=is_compressed,
            )
            frame_bytes = len(head) + len(content)
            if segment is not None and segment.has_room(frame_bytes):
                break
            self._roll(frame_bytes)
        try:
            segment.append(head, content)
        except OSError as error:
            if error.errno in NO_ROOM:
                detail = f"no room for a frame of {frame_bytes} bytes"
                raise DiskFullError(directory=self._directory, detail=detail) from error
            raise self._fail(segment.path, error) from error
        end = Position(segment.number, segment.end_offset)
        with self._lock:
            self._end = end
        return end

    def sync(self) -> Position:
        """
        Make everything durable that was appended before the call.

        Returns:
            Place up to which frames are durable now; readers see it, too.

        Raises:
            JournalFailedError: The sync failed, now or earlier. What was not durable
                then never will be; nothing is accepted any more.
        """
        with self._lock:
            self._raise_if_failed()
            segments, end = tuple(self._unsynced), self._end
            if end == self._synced:
                return end
            is_directory_synced = self._is_directory_synced
            self._is_directory_synced = True
        path = self._directory
        try:
            if not is_directory_synced:
                sync_directory(self._directory)
            for segment in segments:
                path = segment.path
                segment.sync(self._sync_file)
        except OSError as error:
            raise self._fail(path, error) from error
        with self._lock:
            self._mark.write(end, is_failed=self._failure is not None)
            self._synced = end
            for segment in segments[:-1]:
                self._unsynced.remove(segment)
                segment.close()
        return end

    def close(self) -> None:
        """Sync, seal the segment and close; a second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if self._failure is None:
                self.sync()
                if self._active is not None:
                    self._active.seal()
        finally:
            for segment in self._unsynced:
                segment.close()
            self._unsynced.clear()
            self._mark.close()

    def _roll(self, frame_bytes: int) -> None:
        """Seal the segment and open the next, with room for *frame_bytes*."""
        size_bytes = max(self._segment_bytes, frame_bytes)
        used = used_bytes(self._directory)
        if used + size_bytes > self._max_bytes:
            raise JournalFullError(used_bytes=used, max_bytes=self._max_bytes)
        number = self._next_number()
        try:
            segment = Segment.create(
                self._directory,
                number,
                size_bytes=size_bytes,
                allocate=self._allocate,
            )
            if self._active is not None:
                self._active.seal()
        except OSError as error:
            raise self._fail(self._directory, error) from error
        self._seed = Seed.of(self._identity.salt, number)
        with self._lock:
            self._active = segment
            self._unsynced.append(segment)
            self._is_directory_synced = False

    def _next_number(self) -> int:
        """Return a number that no frame ever had."""
        numbers = segment_numbers(self._directory)
        return max(*numbers, self._end.segment, self.committed.segment, 0) + 1

    def _raise_if_failed(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _fail(self, path: Path, error: OSError) -> JournalFailedError:
        failure = JournalFailedError(path=path, detail=error.strerror or str(error))
        with self._lock:
            self._failure = self._failure or failure
            self._mark.write(self._synced, is_failed=True)
        log.error("journal_failed", path=str(path), reason=failure.args[0])
        return self._failure
