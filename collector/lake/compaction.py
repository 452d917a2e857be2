"""
Few large spans objects out of many small ones, without a moment of loss.

    _meta/compactions/<name>.json   what an output replaces, and when that was done

One order: the record says what the output will replace, the output is published, its
inputs are retired (a reader by pattern sees them no more), and after a grace they are
deleted with the record. An output lists in its metadata what it replaces, too.
Whoever lists objects between publishing and retiring leaves out `replaced_keys`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Final, NamedTuple

import pyarrow as pa

from collector.lake.layout import fit
from collector.lake.target import Target
from proto_handlers.schema import SPAN_SCHEMA

GRACE_SECONDS: Final = 600.0
"""How long replaced objects are kept after readers see them no more."""
SMALL_ROWS: Final = 50_000
SMALL_BYTES: Final = 16 << 20
"""Objects of fewer rows and bytes before compression are worth being put together."""
_MIN_OBJECTS: Final = 8
_MAX_OBJECTS: Final = 64
_MAX_ROWS: Final = 200_000
_MAX_BYTES: Final = 32 << 20
_ROW_GROUP: Final = 25_000
_RECORDS: Final = "_meta/compactions"
_PREFIX: Final = "compacted-"
REPLACES: Final = b"spanledger.replaces"
"""Key of an output's metadata: JSON list of the names of its inputs."""


class Compaction(NamedTuple):
    """One output and its inputs, as keys of one hour."""

    output: str
    replaces: tuple[str, ...]
    retired_unix: float | None = None
    """When the inputs were retired; none while they may still be seen."""

    @property
    def key(self) -> str:
        """Key of its record."""
        return f"{_RECORDS}/{PurePosixPath(self.output).stem}.json"


def plan_compaction(target: Target, keys: Iterable[str]) -> Compaction | None:
    """
    Return what to put together of one hour's objects; null if that is not worth it.

    Args:
        target: The lake.

        keys: Objects of the hour that nobody will write again, sorted.
    """
    chosen: list[str] = []
    rows = encoded_bytes = 0
    for key in keys:
        footer = target.footer(key)
        if footer.rows >= SMALL_ROWS or footer.encoded_bytes >= SMALL_BYTES:
            continue
        rows += footer.rows
        encoded_bytes += footer.encoded_bytes
        is_full = rows > _MAX_ROWS or encoded_bytes > _MAX_BYTES
        if is_full or len(chosen) == _MAX_OBJECTS:
            break
        chosen.append(key)
    if len(chosen) < _MIN_OBJECTS:
        return None
    named = hashlib.sha256("\n".join(chosen).encode()).hexdigest()[:16]
    folder = PurePosixPath(chosen[0]).parent
    return Compaction(f"{folder}/{_PREFIX}{named}.parquet", tuple(chosen))


def compact(target: Target, planned: Compaction, *, now_unix: float) -> int:
    """
    Put the inputs of *planned* together; return the number of rows.

    Cut short at any point, `finish_compactions` brings it to one end or the other.

    Raises:
        LakeError: An input cannot be read; nothing was changed.
    """
    tables = [fit(target.read(key), SPAN_SCHEMA) for key in planned.replaces]
    spans = pa.concat_tables(tables).sort_by(
        [("trace_id", "ascending"), ("start_unix_nano", "ascending")]
    )
    names = [PurePosixPath(key).name for key in planned.replaces]
    schema = SPAN_SCHEMA.with_metadata({REPLACES: json.dumps(names)})
    _record(target, planned)
    target.publish_parts(planned.output, schema, _slices(spans, schema))
    _retire(target, planned, now_unix)
    return spans.num_rows


def _slices(spans: pa.Table, schema: pa.Schema) -> Iterator[pa.Table]:
    for start in range(0, spans.num_rows, _ROW_GROUP):
        part = spans.slice(start, _ROW_GROUP).combine_chunks()
        yield part.replace_schema_metadata(schema.metadata)


def finish_compactions(target: Target, *, now_unix: float) -> None:
    """
    Finish what was begun: for who starts to use a lake, and now and then.

    An output that was published takes its inputs' place, one that was not never was.
    What has been retired for `GRACE_SECONDS` is deleted.
    """
    for begun in _records(target):
        if begun.retired_unix is None:
            if target.has(begun.output):
                _retire(target, begun, now_unix)
            else:
                target.delete(begun.key)
        elif begun.retired_unix + GRACE_SECONDS <= now_unix:
            for key in begun.replaces:
                target.purge(key)
            target.delete(begun.key)


def replaced_keys(target: Target) -> set[str]:
    """
    Return objects whose rows are in another object, too.

    To be asked after objects were listed: an output that was seen has its record.
    """
    return {
        key
        for begun in _records(target)
        if begun.retired_unix is None and target.has(begun.output)
        for key in begun.replaces
    }


def _retire(target: Target, done: Compaction, now_unix: float) -> None:
    for key in done.replaces:
        target.retire(key)
    _record(target, done._replace(retired_unix=now_unix))


def _record(target: Target, compaction: Compaction) -> None:
    target.put(compaction.key, json.dumps(compaction._asdict()).encode())


def _records(target: Target) -> Iterator[Compaction]:
    for key in target.keys(_RECORDS):
        content = target.get(key)
        if content is not None:
            fields = json.loads(content)
            yield Compaction(
                fields["output"], tuple(fields["replaces"]), fields["retired_unix"]
            )
