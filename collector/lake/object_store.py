"""A bucket as the lake, through Arrow's file systems."""

import contextlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from collector.errors import ConfigError, LakeError
from collector.lake.layout import (
    encode_parquet,
    etag_of,
    read_row_groups,
    write_parquet,
)
from collector.lake.target import Footer, shown_url, unreadable

_SCHEMES: Final = {"gcs": "gs", "abfss": "abfs"}


class ObjectStoreTarget:
    """Objects below a bucket prefix; a put is atomic and durable by the store."""

    def __init__(self, url: str, files: fs.FileSystem | None = None) -> None:
        self._url = shown_url(url).rstrip("/")
        scheme, _, rest = url.rstrip("/").partition("://")
        if files is not None:
            self._files, self._prefix = files, rest
            return
        try:
            self._files, self._prefix = fs.FileSystem.from_uri(
                f"{_SCHEMES.get(scheme, scheme)}://{rest}"
            )
        except (pa.ArrowException, OSError) as error:
            message = f"store.url: {self._url}: {error}".replace(url, self._url)
            raise ConfigError(message) from None

    @property
    def url(self) -> str:
        """The bucket and the prefix, without credentials."""
        return self._url

    def _path(self, key: str) -> str:
        return f"{self._prefix}/{key}"

    def publish(self, key: str, table: pa.Table) -> str:
        """Write *table* as Parquet in place of *key*; return the object's etag."""
        content = encode_parquet(table)
        self.put(key, content)
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
        with self._replacing(key) as stream:
            write_parquet(stream, schema, parts, unlike=unlike)

    def read_parts(
        self,
        key: str,
        columns: list[str] | None = None,
        *,
        encoded: Sequence[str] = (),
    ) -> Iterator[pa.Table]:
        """Read a Parquet object a row group at a time; raises `LakeError`."""
        try:
            with self._files.open_input_file(self._path(key)) as source:
                yield from read_row_groups(source, columns, encoded)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(f"{self._url}/{key}", error) from None

    def put(self, key: str, content: bytes) -> None:
        """Write *content* in place of *key*."""
        with self._replacing(key) as stream:
            stream.write(content)

    @contextlib.contextmanager
    def _replacing(self, key: str) -> Iterator[pa.NativeFile]:
        # A bucket shows an object when its upload is complete, never a part of it.
        path = self._path(key)
        try:
            self._files.create_dir(path.rpartition("/")[0], recursive=True)
            with self._files.open_output_stream(path) as stream:
                yield stream
        except OSError as error:
            message = f"lake object: {self._url}/{key}: {error}"
            raise LakeError(message) from None

    def get(self, key: str) -> bytes | None:
        """Return the content of *key*; null if there is none."""
        try:
            with self._files.open_input_stream(self._path(key)) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def has(self, key: str) -> bool:
        """Return whether there is an object of that name."""
        return bool(self._files.get_file_info(self._path(key)).type == fs.FileType.File)

    def read(self, key: str, columns: list[str] | None = None) -> pa.Table:
        """Read a Parquet object; raises `LakeError` if it is missing or damaged."""
        try:
            with self._files.open_input_file(self._path(key)) as source:
                return pq.ParquetFile(source).read(columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(f"{self._url}/{key}", error) from None

    def footer(self, key: str) -> Footer:
        """Read only the end of a Parquet object; raises `LakeError` as `read` does."""
        try:
            with self._files.open_input_file(self._path(key)) as source:
                file = pq.ParquetFile(source)
                return Footer.of(file.metadata, file.schema_arrow)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(f"{self._url}/{key}", error) from None

    def local_paths(self, keys: list[str]) -> list[str] | None:
        """Return null: DuckDB would need an extension that is not in its wheel."""
        del keys
        return None

    def delete(self, key: str) -> None:
        """Remove *key* if it is there."""
        path = self._path(key)
        if self._files.get_file_info(path).type != fs.FileType.NotFound:
            self._files.delete_file(path)

    def retire(self, key: str) -> None:
        """Remove *key*: a bucket cannot rename."""
        self.delete(key)

    def purge(self, key: str) -> None:
        """Do nothing: a bucket keeps nothing aside."""

    def keys(self, prefix: str) -> list[str]:
        """Return the keys below the folder *prefix*, sorted, without temporary ones."""
        selector = fs.FileSelector(
            self._path(prefix), recursive=True, allow_not_found=True
        )
        start = len(self._prefix) + 1
        return sorted(
            info.path[start:]
            for info in self._files.get_file_info(selector)
            if info.type == fs.FileType.File and not info.base_name.startswith(".")
        )
