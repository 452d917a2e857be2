"""The small files beside the segments: who the journal is, and how far it is."""

import contextlib
import json
import mmap
import os
import re
import secrets
import struct
from pathlib import Path
from typing import Final, NamedTuple, Self

import google_crc32c

from collector.errors import JournalCorruptError
from collector.files import make_directory, replace_file, sync_directory
from collector.journal.frame import Position

START: Final = Position(0, 0)

_FORMAT_VERSION: Final = 1
_SLOT: Final = struct.Struct("<QQI")
_SLOT_STRIDE_BYTES: Final = 64
_MARK_BYTES: Final = 4096
_FAILED: Final = 1


class Identity(NamedTuple):
    """What makes a journal different from every other one."""

    journal_id: str
    """16 hex digits; part of the names of the objects made from it."""
    salt: bytes
    """16 bytes that senders do not know; part of every checksum."""

    @classmethod
    def load(cls, directory: Path) -> Self:
        """
        Read the identity of the journal in *directory*; make it if there is none.

        Two processes that make it at once get the same one.

        Raises:
            JournalCorruptError: The file is there but not readable as an identity.
        """
        path = directory / "journal.json"
        if not path.exists():
            _create_file(path, cls._new_content())
        try:
            content = json.loads(path.read_bytes())
            identity = cls(content["journal_id"], bytes.fromhex(content["salt"]))
            is_good = (
                content["version"] == _FORMAT_VERSION
                and re.fullmatch(r"[0-9a-f]{16}", identity.journal_id) is not None
            )
        except (ValueError, KeyError, TypeError):
            raise JournalCorruptError(path=path, detail="not an identity") from None
        if not is_good:
            raise JournalCorruptError(path=path, detail="unknown version or identity")
        return identity

    @staticmethod
    def _new_content() -> bytes:
        content = {
            "version": _FORMAT_VERSION,
            "journal_id": secrets.token_hex(8),
            "salt": secrets.token_hex(16),
        }
        return json.dumps(content).encode() + b"\n"


class SyncedMark:
    """
    The place up to which frames are durable, shared between processes.

    A file of two slots (segment u64, offset u64, state u32, CRC32C of these), mapped
    into memory by writer and readers. The writer fills the slots in turn, so one of
    them is whole at any moment, also when the writer is killed half-way through.
    It is written after the sync it tells of: after a power cut it may be behind the
    truth, never ahead of it.
    """

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._next_slot = 0

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Map the mark of the journal in *directory*; make it if there is none."""
        path = directory / "synced"
        if not path.exists():
            _create_file(path, bytes(_MARK_BYTES))
        with path.open("r+b") as file:
            return cls(mmap.mmap(file.fileno(), _MARK_BYTES))

    def read(self) -> tuple[Position, bool]:
        """Return the place, and whether a sync behind it failed."""
        slots = [self._read_slot(0), self._read_slot(1)]
        position, state = max(slot for slot in (*slots, (START, 0)) if slot)
        return position, state == _FAILED

    def write(self, position: Position, *, is_failed: bool = False) -> None:
        """Publish *position*; it must not be before the one that stands there."""
        fields = _SLOT.pack(*position, _FAILED if is_failed else 0)
        slot = fields + google_crc32c.value(fields).to_bytes(4, "little")
        at = self._next_slot * _SLOT_STRIDE_BYTES
        self._memory[at : at + len(slot)] = slot
        self._next_slot = 1 - self._next_slot

    def reset(self, position: Position) -> None:
        """Publish *position* in both slots, whatever stood there."""
        self.write(position)
        self.write(position)

    def close(self) -> None:
        """Release the mapping."""
        self._memory.close()

    def _read_slot(self, slot: int) -> tuple[Position, int] | None:
        at = slot * _SLOT_STRIDE_BYTES
        fields = self._memory[at : at + _SLOT.size]
        checksum = self._memory[at + _SLOT.size : at + _SLOT.size + 4]
        if google_crc32c.value(fields).to_bytes(4, "little") != checksum:
            return None
        segment, offset, state = _SLOT.unpack(fields)
        return Position(segment, offset), state


def load_committed(directory: Path) -> Position:
    """
    Return the place up to which the reader is done.

    Raises:
        JournalCorruptError: The file is there but not readable as a place.
    """
    path = directory / "committed"
    try:
        return Position.parse(path.read_text().strip())
    except FileNotFoundError:
        return START
    except ValueError:
        raise JournalCorruptError(path=path, detail="not a position") from None


def store_committed(directory: Path, position: Position) -> None:
    """Make *position* the place up to which the reader is done, durably."""
    replace_file(directory / "committed", f"{position}\n".encode())


def _create_file(path: Path, content: bytes) -> None:
    """Create *path*, whole and durable; one that is there already stays."""
    make_directory(path.parent)
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)
