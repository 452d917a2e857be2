"""What a start does with the segments that an earlier process left."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import structlog

from collector.errors import JournalFailedError
from collector.files import SyncFile, sync_directory
from collector.journal.frame import Frame, Position, Seed, scan_frames
from collector.journal.marks import SyncedMark
from collector.journal.segment import segment_numbers, segment_path

log = structlog.get_logger(component="journal")


def recover(
    directory: Path,
    salt: bytes,
    mark: SyncedMark,
    *,
    sync: SyncFile,
    on_frame: Callable[[Frame], None],
) -> Position:
    """
    Cut what is torn, sync what is kept, and publish it as durable.

    Args:
        directory: The journal; nobody writes to it. A reader may be at work: a segment
            that it removes meanwhile holds nothing that is still needed.

        salt: Salt of its checksums.

        mark: Its mark; afterwards it stands behind the last frame.

        sync: Makes a file's content durable.

        on_frame: Called for every frame that is kept, in order.

    Returns:
        The end of the last frame.

    Raises:
        JournalFailedError: A sync failed.
    """
    synced, is_failed = mark.read()
    kept = []
    for number in segment_numbers(directory):
        # Behind a failed sync nothing was acknowledged, and what reads well now may
        # only be in the page cache: the kernel reports a failure once.
        limit = _limit(number, synced) if is_failed else None
        path = segment_path(directory, number)
        with contextlib.suppress(FileNotFoundError):
            kept.append(_scan(path, Seed.of(salt, number), on_frame, limit=limit))
    end = synced
    is_tail = True
    for segment in reversed(kept):
        floor = synced.offset if segment.number == synced.segment else 0
        with contextlib.suppress(FileNotFoundError):
            segment.cut(max(segment.frames_end, floor), is_tail=is_tail)
            segment.sync(sync)
        if segment.frames_end:
            is_tail = False
            end = max(end, Position(segment.number, segment.frames_end))
    if kept:
        sync_directory(directory)
    mark.reset(end)
    return end


def _limit(number: int, synced: Position) -> int | None:
    """Return how much of segment *number* stands before *synced*, None for all."""
    if number < synced.segment:
        return None
    return synced.offset if number == synced.segment else 0


class _Kept(NamedTuple):
    """A segment of an earlier process."""

    path: Path
    number: int
    frames_end: int
    rest_bytes: int
    is_rest_unused: bool

    def cut(self, end: int, *, is_tail: bool) -> None:
        """
        Cut the file at *end*, behind its last frame.

        Only the last segment with frames, and what follows it, can have been torn.
        What follows the frames of an earlier one stays, for the reader to report,
        unless it is unused room.
        """
        if self.path.stat().st_size <= end or not (is_tail or self.is_rest_unused):
            return
        os.truncate(self.path, end)
        if not self.is_rest_unused:
            log.warning(
                "journal_tail_cut",
                segment=self.number,
                offset=end,
                bytes=self.rest_bytes,
            )

    def sync(self, sync: SyncFile) -> None:
        """Make the segment durable; raises JournalFailedError."""
        descriptor = os.open(self.path, os.O_RDWR)
        try:
            sync(descriptor)
        except OSError as error:
            detail = error.strerror or str(error)
            raise JournalFailedError(path=self.path, detail=detail) from error
        finally:
            os.close(descriptor)


def _scan(
    path: Path, seed: Seed, on_frame: Callable[[Frame], None], *, limit: int | None
) -> _Kept:
    content = path.read_bytes()[:limit]
    end = 0
    for found in scan_frames(content, at=0, seed=seed, is_rest=True):
        if isinstance(found, Frame):
            on_frame(found)
            end = found.end.offset
    rest = content[end:]
    return _Kept(
        path,
        seed.segment,
        frames_end=end,
        rest_bytes=len(rest),
        is_rest_unused=not rest.strip(b"\0"),
    )
