"""One segment: a numbered file that frames are appended to."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from collector.errors import DiskFullError
from collector.files import SyncFile

Allocate = Callable[[int, int, int], None]

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

_SUFFIX: Final = ".segment"


def segment_path(directory: Path, number: int) -> Path:
    """Return the file of segment *number*."""
    return directory / f"{number:08d}{_SUFFIX}"


def segment_numbers(directory: Path) -> list[int]:
    """Return the numbers of the segments in *directory*, ascending."""
    return sorted(
        int(entry.name.removesuffix(_SUFFIX))
        for entry in os.scandir(directory)
        if entry.name.endswith(_SUFFIX) and entry.name.removesuffix(_SUFFIX).isdigit()
    )


def used_bytes(directory: Path) -> int:
    """Return the size in bytes of all segments in *directory*."""
    total = 0
    for number in segment_numbers(directory):
        try:
            total += segment_path(directory, number).stat().st_size
        except FileNotFoundError:  # the reader deletes while we count
            continue
    return total


class Segment:
    """A segment that grows; one thread appends, another may sync."""

    def __init__(
        self, descriptor: int, path: Path, number: int, *, size_bytes: int
    ) -> None:
        self.number = number
        self.path = path
        self.end_offset = 0
        self._descriptor = descriptor
        self._size_bytes = size_bytes

    @classmethod
    def create(
        cls,
        directory: Path,
        number: int,
        *,
        size_bytes: int,
        allocate: Allocate = os.posix_fallocate,
    ) -> Self:
        """
        Create segment *number* with all its bytes allocated.

        The directory is not synced yet: that is due before the first frame counts.

        Raises:
            DiskFullError: There is no room for it; nothing is left behind.
        """
        path = segment_path(directory, number)
        descriptor = -1
        no_room = DiskFullError(
            directory=directory, detail=f"no room for a segment of {size_bytes} bytes"
        )
        # Asking first spares the others the moment in which a failing allocation
        # holds every free block of the disk.
        room = os.statvfs(directory)
        if room.f_bavail * room.f_frsize < size_bytes:
            raise no_room
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
            allocate(descriptor, 0, size_bytes)
        except OSError as error:
            if descriptor >= 0:
                os.close(descriptor)
                path.unlink(missing_ok=True)
            if error.errno not in NO_ROOM:
                raise
            raise no_room from error
        return cls(descriptor, path, number, size_bytes=size_bytes)

    def has_room(self, frame_bytes: int) -> bool:
        """Return whether a frame of *frame_bytes* still fits."""
        return self.end_offset + frame_bytes <= self._size_bytes

    def append(self, head: bytes, payload: bytes) -> None:
        """
        Write a frame behind the last one, into the page cache.

        Raises:
            OSError: It was not written whole; the next append takes the same place.
        """
        frame_bytes = len(head) + len(payload)
        written = os.pwritev(self._descriptor, [head, payload], self.end_offset)
        if written != frame_bytes:
            raise OSError(errno.EIO, f"{written} of {frame_bytes} bytes written")
        self.end_offset += frame_bytes

    def seal(self) -> None:
        """Cut what was allocated and not used; nothing is appended any more."""
        os.ftruncate(self._descriptor, self.end_offset)

    def sync(self, sync: SyncFile) -> None:
        """Make durable what was appended before the call; raises OSError."""
        sync(self._descriptor)

    def close(self) -> None:
        """Close the file; what was not synced is not durable."""
        os.close(self._descriptor)
