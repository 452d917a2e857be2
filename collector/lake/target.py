"""Where objects live: a few verbs that a directory and a bucket both have."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, Self

import pyarrow as pa

from collector.errors import ConfigError, DamagedObjectError, LakeError


class Footer(NamedTuple):
    """What the end of a Parquet object says of it."""

    rows: int
    encoded_bytes: int
    """Size of its columns before compression."""
    schema: pa.Schema

    @classmethod
    def of(cls, metadata: Any, schema: pa.Schema) -> Self:  # noqa: ANN401
        """Return what Parquet's metadata says; ``pyarrow`` has no types for it."""
        groups = (metadata.row_group(n) for n in range(metadata.num_row_groups))
        encoded_bytes = sum(group.total_byte_size for group in groups)
        return cls(metadata.num_rows, encoded_bytes, schema)


class Target(Protocol):
    """
    A tree of objects with ``/`` in their keys.

    Publishing is atomic and durable when it returns; repeating it changes nothing.
    """

    @property
    def url(self) -> str:
        """The root, as people may read it: without credentials."""

    def publish(self, key: str, table: pa.Table) -> str:
        """Write *table* as Parquet in place of *key*; return the object's etag."""

    def publish_parts(
        self,
        key: str,
        schema: pa.Schema,
        parts: Iterable[pa.Table],
        *,
        unlike: Collection[str] = (),
    ) -> None:
        """
        Write *parts* one after the other as one Parquet object in place of *key*.

        Args:
            key: Which one.

            schema: Schema of all parts.

            parts: The rows.

            unlike: Columns of mostly different values; see `layout.write_parquet`.
        """

    def read_parts(
        self,
        key: str,
        columns: list[str] | None = None,
        *,
        encoded: Sequence[str] = (),
    ) -> Iterator[pa.Table]:
        """
        Read a Parquet object a row group at a time; raises `LakeError`.

        Args:
            key: Which one.

            columns: Those that are wanted of them that are there; default all.

            encoded: Text columns to be read as dictionaries.
        """

    def put(self, key: str, content: bytes) -> None:
        """Write *content* in place of *key*."""

    def get(self, key: str) -> bytes | None:
        """Return the content of *key*; null if there is none."""

    def has(self, key: str) -> bool:
        """Return whether there is an object of that name."""

    def read(self, key: str, columns: list[str] | None = None) -> pa.Table:
        """Read a Parquet object; raises `LakeError` if it is missing or damaged."""

    def footer(self, key: str) -> Footer:
        """Read only the end of a Parquet object; raises `LakeError` as `read` does."""

    def local_paths(self, keys: list[str]) -> list[str] | None:
        """Return where DuckDB finds *keys* itself; null if it cannot."""

    def delete(self, key: str) -> None:
        """Remove *key* if it is there."""

    def retire(self, key: str) -> None:
        """Let nobody see *key* any more; a directory keeps it aside until `purge`."""

    def purge(self, key: str) -> None:
        """Remove what `retire` kept of *key*."""

    def keys(self, prefix: str) -> list[str]:
        """Return the keys below the folder *prefix*, sorted, without temporary ones."""


def unreadable(place: str, error: Exception) -> LakeError:
    """Return what to raise when the object at *place* could not be read."""
    is_damaged = isinstance(error, pa.ArrowException) and not isinstance(error, OSError)
    kind = DamagedObjectError if is_damaged else LakeError
    return kind(f"lake object: {place}: {error}")


_BUCKETS: Final = frozenset({"s3", "gs", "gcs", "abfs", "abfss"})


def is_bucket(url: str) -> bool:
    """Return whether the lake at *url* is in an object store."""
    return url.partition("://")[0] in _BUCKETS and "://" in url


def shown_url(url: str) -> str:
    """Return *url* as people may read it: without credentials and parameters."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"


def open_target(url: str) -> Target:
    """
    Open the lake at a directory or bucket URL.

    Raises:
        ConfigError: The scheme is not one that can be written to.
    """
    scheme, separator, _ = url.partition("://")
    if not separator or scheme == "file":
        from collector.lake.local import LocalTarget  # noqa: PLC0415

        return LocalTarget(Path(url.removeprefix("file://")))
    if is_bucket(url):
        from collector.lake.object_store import ObjectStoreTarget  # noqa: PLC0415

        return ObjectStoreTarget(url)
    message = f"store.url: {shown_url(url)}: unknown scheme {scheme}"
    raise ConfigError(message)
