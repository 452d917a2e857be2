"""Lakes in a directory, written as the service writes them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from collector.lake.layout import (
    by_partition,
    empty_key,
    encode_parquet,
    part_key,
    rollup_key,
    span_key,
    table_schemas,
)
from proto_handlers.schema import SPAN_SCHEMA
from rollups.registry import ROLLUPS

_SPAN = {
    "flags": 0,
    "kind": "CLIENT",
    "status_code": "UNSET",
    "is_call": False,
    "attributes": {},
    "resource_attributes": {},
    "events": [],
    "links": [],
}


def spans(rows: list[dict[str, Any]]) -> pa.Table:
    """Return a table of spans; ``timestamp``, ``trace_id``, ``span_id``, ``name``."""
    filled = []
    for row in rows:
        start = int(row["timestamp"].timestamp() * 1_000_000) * 1000
        whole = {
            **_SPAN,
            "start_unix_nano": start,
            "end_unix_nano": start + 10**9,
            "received_unix_nano": start + 2 * 10**9,
            **row,
        }
        for name in ("attributes", "resource_attributes"):
            whole[name] = list(whole[name].items())
        filled.append(whole)
    return pa.Table.from_pylist(filled, schema=SPAN_SCHEMA)


def write(root: Path, key: str, table: pa.Table) -> Path:
    """Write one object."""
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_parquet(table))
    return path


def build_lake(
    root: Path,
    *,
    dimensions: tuple[str, ...] = (),
    rollups: dict[str, pa.Table] | None = None,
    **tables: pa.Table,
) -> Path:
    """Write a lake with an empty typed file per table and the rows of *tables*."""
    for name, schema in table_schemas(dimensions).items():
        write(root, empty_key(name), schema.empty_table())
    for rollup in ROLLUPS:
        key = rollup_key(rollup.name, "1970-01-01").replace("part", "empty")
        write(root, key, rollup.schema.empty_table())
    for name, table in tables.items():
        for partition, rows in by_partition(table).items():
            key = (
                span_key(partition, "journal-00000001-0000000000")
                if name == "spans"
                else part_key(name, partition)
            )
            write(root, key, rows)
    for name, table in (rollups or {}).items():
        write(root, rollup_key(name, f"{datetime.now(UTC):%Y-%m-%d}"), table)
    return root


def read(path: Path) -> pa.Table:
    """Read one object."""
    return pq.ParquetFile(path).read()
