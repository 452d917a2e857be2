"""
Normalised batches from drain to account, beside the lake.

drain has normalised the spans of an object when it stores them; where account runs on
the same data directory it need not read and normalise them again. A file here is a
shortcut, nothing else: whoever does not find one that fits reads the object. So nothing
is synced, files are bounded in number and age, and none counts after a reboot, which
could have torn it.
"""

import contextlib
import hashlib
import importlib.metadata
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
import structlog

from collector.files import boot_id
from collector.lake.arrow_files import read_arrow, write_arrow
from proto_handlers.schema import normalised_schema

_MOST_FILES: Final = 24
_KEPT_SECONDS: Final = 300.0
_STAMP: Final = b"spanledger.handoff"

log = structlog.get_logger(component="handoff")


class Handoff:
    """The files that wait in one directory; one process offers, one takes."""

    def __init__(
        self, directory: Path, dimensions: Mapping[str, tuple[str, ...]]
    ) -> None:
        """*dimensions* are the configured ones: rows of others do not fit."""
        self._directory = directory
        self._schema = normalised_schema(tuple(dimensions))
        self._stamp = _stamp(self._schema, dimensions)

    def offer(self, key: str, spans: pa.Table) -> None:
        """
        Keep the normalised rows of the object *key* for account.

        Does nothing while too many wait: account is behind, or does not run here.
        """
        path = self._path(key)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            if not self._has_room():
                path.unlink(missing_ok=True)
                return
            stamped = spans.replace_schema_metadata({_STAMP: self._stamp})
            temporary = path.with_suffix(".tmp")
            write_arrow(temporary, stamped)
            temporary.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            log.warning("handoff_failed", key=key, reason=str(error))

    def _has_room(self) -> bool:
        waiting = list(self._directory.glob("*.arrow"))
        if len(waiting) < _MOST_FILES:
            return True
        oldest_unix = time.time() - _KEPT_SECONDS
        for path in waiting:
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest_unix:
                    path.unlink()
        return False

    def take(self, key: str) -> pa.Table | None:
        """
        Return the normalised rows of the object *key*; null if they do not wait here.

        The rows are those that reading and normalising the object would give, in the
        same order.
        """
        try:
            found = read_arrow(self._path(key))
        except (OSError, pa.ArrowException):
            return None
        if (found.schema.metadata or {}).get(_STAMP) != self._stamp:
            return None
        arrays = [
            found.column(field.name)
            if field.name in found.column_names
            else pa.nulls(found.num_rows, field.type)
            for field in self._schema
        ]
        return pa.Table.from_arrays(arrays, schema=self._schema)

    def forget(self, keys: Iterable[str]) -> None:
        """Remove what was offered of *keys*."""
        for key in keys:
            with contextlib.suppress(OSError):
                self._path(key).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove everything that waits: it may be of another release."""
        with contextlib.suppress(OSError):
            for path in self._directory.glob("*.arrow"):
                path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._directory / f"{key.replace('/', '~')}.arrow"


def _stamp(schema: pa.Schema, dimensions: Mapping[str, tuple[str, ...]]) -> bytes:
    release = importlib.metadata.version("spanledger")
    parts = (boot_id(), release, str(schema), repr(sorted(dimensions.items())))
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).digest()
