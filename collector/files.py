"""Files that are whole and durable, or not there, and locks on directories."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from collector.errors import LockedError

SyncFile = Callable[[int], None]


def sync_directory(directory: Path) -> None:
    """Make names created in or removed from *directory* durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(directory: Path, *, below: bool = True) -> None:
    """Make the files in *directory*, and those *below* it, durable with their names."""
    for path in directory.iterdir():
        if path.is_dir():
            if below:
                sync_tree(path)
            continue
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_directory(directory)


def make_directory(directory: Path) -> None:
    """Create *directory* and its parents, each durable in its parent."""
    missing = []
    current = directory
    while not current.exists():
        missing.append(current)
        current = current.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)


@contextlib.contextmanager
def replacing_file(path: Path) -> Iterator[BinaryIO]:
    """
    Open a temporary file that takes *path*'s place when the block ends well.

    Order: write, fsync, rename, fsync of the directory. A reader sees the old file
    or the new one, never a part; after an error the old one stays.
    The temporary name starts with a dot and ends in ``.tmp``: globs pass it over.
    """
    make_directory(path.parent)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Replace *path* by *content*, whole and durable."""
    with replacing_file(path) as file:
        file.write(content)


@contextlib.contextmanager
def locked(data_dir: Path, role: str) -> Iterator[None]:
    """
    Hold the lock of *role* on *data_dir* while the block runs.

    Raises:
        LockedError: Another process holds it; the message names the process.
    """
    path = data_dir / "state" / f"{role}.lock"
    make_directory(path.parent)
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read(32).decode("ascii", "replace").strip() or "unknown"
            raise LockedError(role=role, data_dir=data_dir, holder=holder) from None
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
        yield


def boot_id() -> str:
    """Return what changes with every start of the machine."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else "unknown"
