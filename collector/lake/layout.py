"""Names of objects, tables and partitions, and how a table becomes Parquet."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from proto_handlers.schema import SPAN_SCHEMA
from rollups.schema import (
    CHAIN_SCHEMA,
    EXCLUDED_SCHEMA,
    FINDING_SCHEMA,
    RESTATEMENT_SCHEMA,
    call_schema,
    run_schema,
    tool_call_schema,
)

SPANS: Final = "spans"
LEDGER_TABLES: Final = ("calls", "excluded", "tool_calls", "runs", "chains")
"""Tables recomputed with their trace, in the order they are published."""

_HOUR_US: Final = 3_600_000_000
_PARTITION: Final = re.compile(r"date=(\d{4}-\d{2}-\d{2})/hour=(\d{2})$")


class Partition(NamedTuple):
    """An hour, counted from 1970-01-01T00:00Z."""

    hour: int

    @property
    def start(self) -> datetime:
        """First moment of the hour."""
        return datetime.fromtimestamp(self.hour * 3600, UTC)

    @property
    def date(self) -> str:
        """UTC date as YYYY-MM-DD."""
        return f"{self.start:%Y-%m-%d}"

    @property
    def folder(self) -> str:
        """The Hive path of the partition."""
        return f"date={self.date}/hour={self.start:%H}"

    @classmethod
    def parse(cls, folder: str) -> "Partition | None":
        """Return the partition that *folder* ends with, if it is one."""
        found = _PARTITION.search(folder)
        if not found:
            return None
        start = datetime.fromisoformat(f"{found[1]}T{found[2]}:00:00+00:00")
        return cls(int(start.timestamp()) // 3600)


def table_schemas(dimensions: tuple[str, ...] = ()) -> dict[str, pa.Schema]:
    """Return the schema of every partitioned table of the lake."""
    return {
        SPANS: SPAN_SCHEMA,
        "calls": call_schema(dimensions),
        "excluded": EXCLUDED_SCHEMA,
        "tool_calls": tool_call_schema(dimensions),
        "runs": run_schema(dimensions),
        "chains": CHAIN_SCHEMA,
        "findings": FINDING_SCHEMA,
        "restatements": RESTATEMENT_SCHEMA,
    }


def span_key(partition: Partition, name: str) -> str:
    """Return the key of a spans object."""
    return f"{SPANS}/{partition.folder}/{name}.parquet"


def part_key(table: str, partition: Partition) -> str:
    """Return the key of the one file of a derived partition."""
    return f"{table}/{partition.folder}/part.parquet"


def rollup_key(name: str, date: str) -> str:
    """Return the key of the one file of a rollup's day."""
    return f"rollups/{name}/date={date}/part.parquet"


def empty_key(table: str) -> str:
    """Return the key of a table's empty typed file."""
    return f"{table}/{Partition(0).folder}/empty.parquet"


def hours_of(
    timestamps: pa.Array | pa.ChunkedArray,
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return the hour of each timestamp, counted from 1970."""
    return np.asarray(pc.cast(timestamps, pa.int64())) // _HOUR_US


def by_partition(table: pa.Table) -> dict[Partition, pa.Table]:
    """Split rows by the hour of ``timestamp``; order inside an hour is kept."""
    hours = hours_of(table.column("timestamp"))
    if not len(hours):
        return {}
    first = int(hours[0])
    if (hours == first).all():
        return {Partition(first): table}
    return {
        Partition(int(hour)): table.filter(pa.array(hours == hour))
        for hour in np.unique(hours)
    }


def fit(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """
    Return *rows* with the columns of *schema*, in its order.

    Columns that older files do not have are null, others that they have are left out.
    """
    names = set(rows.column_names)
    arrays = [
        rows.column(field.name)
        if field.name in names
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, names=schema.names).cast(schema)


def encode_parquet(table: pa.Table) -> bytes:
    """Return *table* as Parquet; see `write_parquet`."""
    sink = pa.BufferOutputStream()
    write_parquet(sink, table.schema, [table])
    return sink.getvalue().to_pybytes()


def write_parquet(
    sink: object,
    schema: pa.Schema,
    parts: Iterable[pa.Table],
    *,
    unlike: Collection[str] = (),
) -> None:
    """
    Write tables of one schema as the row groups of one Parquet file.

    Args:
        sink: A writable binary file.

        schema: Schema of all parts; the file has it also without any.

        parts: Written in order, one at a time.

        unlike: Columns of a flat schema whose values are mostly different. That they
            have no dictionary is found out only by making half of one.
    """
    repeating = [name for name in schema.names if name not in unlike]
    with pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        compression_level=1,
        store_decimal_as_integer=True,
        use_dictionary=repeating if unlike else True,
    ) as writer:
        for part in parts:
            writer.write_table(part)


def read_row_groups(
    source: Any,  # noqa: ANN401
    columns: list[str] | None,
    encoded: Sequence[str],
) -> Iterator[pa.Table]:
    """
    Read Parquet a row group at a time.

    Args:
        source: A path, or a readable binary file.

        columns: Those that are wanted of them that are there; null is all.

        encoded: Text columns to be read as dictionaries.
    """
    with pq.ParquetFile(source) as file:
        texts = [name for name in encoded if name in file.schema_arrow.names]
        with pq.ParquetFile(
            source, metadata=file.metadata, read_dictionary=texts
        ) as again:
            for place in range(again.num_row_groups):
                yield again.read_row_group(place, columns)


def etag_of(content: bytes) -> str:
    """Return a short name of the content: size and CRC32C."""
    return f"{len(content):x}-{google_crc32c.value(content):08x}"
