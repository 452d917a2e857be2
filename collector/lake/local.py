"""A directory as the lake."""

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from collector.files import make_directory, replace_file, replacing_file
from collector.lake.layout import (
    encode_parquet,
    etag_of,
    read_row_groups,
    write_parquet,
)
from collector.lake.target import Footer, unreadable


class LocalTarget:
    """Objects as files below *root*."""

    def __init__(self, root: Path) -> None:
        self.root = root
        make_directory(root)

    @property
    def url(self) -> str:
        """The root directory."""
        return str(self.root)

    def publish(self, key: str, table: pa.Table) -> str:
        """Write *table* as Parquet in place of *key*; return the object's etag."""
        content = encode_parquet(table)
        replace_file(self.root / key, content)
        return etag_of(content)

    def publish_parts(
        self,
        key: str,
        schema: pa.Schema,
        parts: Iterable[pa.Table],
        *,
        unlike: Collection[str] = (),
    ) -> None:
        """Write *parts* one after the other as one Parquet object in place of *key*."""
        with replacing_file(self.root / key) as file:
            write_parquet(file, schema, parts, unlike=unlike)

    def read_parts(
        self,
        key: str,
        columns: list[str] | None = None,
        *,
        encoded: Sequence[str] = (),
    ) -> Iterator[pa.Table]:
        """Read a Parquet object a row group at a time; raises `LakeError`."""
        try:
            yield from read_row_groups(self.root / key, columns, encoded)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(f"{self.root / key}", error) from None

    def put(self, key: str, content: bytes) -> None:
        """Write *content* in place of *key*."""
        replace_file(self.root / key, content)

    def get(self, key: str) -> bytes | None:
        """Return the content of *key*; null if there is none."""
        try:
            return (self.root / key).read_bytes()
        except FileNotFoundError:
            return None

    def has(self, key: str) -> bool:
        """Return whether there is an object of that name."""
        return (self.root / key).is_file()

    def read(self, key: str, columns: list[str] | None = None) -> pa.Table:
        """Read a Parquet object; raises `LakeError` if it is missing or damaged."""
        try:
            # A path of ours is no partitioned data set: read just this file.
            with pq.ParquetFile(self.root / key) as file:
                return file.read(columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(f"{self.root / key}", error) from None

    def footer(self, key: str) -> Footer:
        """Read only the end of a Parquet object; raises `LakeError` as `read` does."""
        try:
            with pq.ParquetFile(self.root / key) as file:
                return Footer.of(file.metadata, file.schema_arrow)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(f"{self.root / key}", error) from None

    def local_paths(self, keys: list[str]) -> list[str] | None:
        """Return where DuckDB finds *keys* itself."""
        return [str(self.root / key) for key in keys]

    def delete(self, key: str) -> None:
        """Remove *key* if it is there."""
        path = self.root / key
        path.unlink(missing_ok=True)
        for folder in (path.parent, path.parent.parent):
            if folder.name.startswith(("hour=", "date=")):
                with contextlib.suppress(OSError):  # it has other files
                    folder.rmdir()

    def retire(self, key: str) -> None:
        """Let nobody see *key* any more; it is kept aside until `purge`."""
        with contextlib.suppress(FileNotFoundError):
            (self.root / key).rename(self._retired(key))

    def purge(self, key: str) -> None:
        """Remove what `retire` kept of *key*."""
        self._retired(key).unlink(missing_ok=True)

    def _retired(self, key: str) -> Path:
        path = self.root / key
        return path.with_name(f".{path.name}.retired")

    def keys(self, prefix: str) -> list[str]:
        """Return the keys below the folder *prefix*, sorted, without temporary ones."""
        return sorted(_files_below(self.root / prefix, prefix.rstrip("/")))


def _files_below(directory: Path, prefix: str) -> Iterator[str]:
    # Asked many times a second for commit records: no `Path` and no stat per entry.
    try:
        entries = os.scandir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            key = f"{prefix}/{entry.name}" if prefix else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(Path(entry.path), key)
            elif not entry.name.startswith("."):
                yield key
