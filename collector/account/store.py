"""The account role's state: segments, what is taken, and what is not published yet."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import structlog

from collector.account.segments import (
    SPANS,
    Mask,
    Segment,
    Traces,
    is_among,
    trace_numbers,
)
from collector.files import boot_id, sync_tree
from collector.lake.layout import Partition, fit, hours_of
from rollups.schema import FINDING_SCHEMA

STATE_VERSION: Final = 2
_WINDOW_FINDINGS: Final = "window_findings.arrow"
_MERGE_AT: Final = 8
_SMALL_SPANS: Final = 512
_LARGE_SPANS: Final = 1 << 15
_MAX_SEGMENTS: Final = 256

log = structlog.get_logger(component="account")

Dirty = set[tuple[str, Partition]]


class Store:
    """Working tables of the traces seen lately; see the package docstring."""

    def __init__(self, root: Path, schemas: Mapping[str, pa.Schema]) -> None:
        self.root = root
        self.schemas = dict(schemas)
        self.segments: list[Segment] = []
        self.taken: dict[str, str] = {}
        self.dirty: Dirty = set()
        self.dirty_days: set[str] = set()
        self.settled: set[int] = set()
        self.retired: set[int] = set()
        self.unindexed: set[int] = set()
        self.restated = ""
        self.window_findings: pa.Table = FINDING_SCHEMA.empty_table()
        self._next = 1
        self._garbage: list[Segment] = []

    @classmethod
    def open(cls, root: Path, schemas: Mapping[str, pa.Schema]) -> "Store | None":
        """
        Open the state in *root*.

        Returns:
            The state; null if there is none that fits: none was written, the machine
            went down before it was synced, or tables have other columns now. It is
            then to be made again from the lake.
        """
        store = cls(root, schemas)
        try:
            manifest = json.loads((root / "manifest.json").read_text())
            if manifest["fits"] != store._fits():
                return None
            if not manifest["synced"] and manifest["boot"] != boot_id():
                return None
            store._load(manifest)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            log.warning("state_unreadable", path=str(root), reason=str(error))
            return None
        return store

    def _fits(self) -> list[str]:
        columns = [
            f"{name}:{field.name}:{field.type}"
            for name, schema in self.schemas.items()
            for field in schema
        ]
        return [str(STATE_VERSION), *columns]

    def _load(self, manifest: dict[str, Any]) -> None:
        for entry in manifest["segments"]:
            segment = Segment.open(
                self.root, entry["number"], self.schemas, entry["last_seen_unix"]
            )
            for earlier in self.segments:
                earlier.supersede(segment.touched)
            self.segments.append(segment)
        self.taken = manifest["taken"]
        self.settled = set(manifest["settled"])
        self.unindexed = set(manifest["unindexed"])
        self.restated = manifest.get("restated", "")
        self.dirty = {(name, Partition(hour)) for name, hour in manifest["dirty"]}
        self.dirty_days = set(manifest["dirty_days"])
        self._next = manifest["next"]
        path = self.root / _WINDOW_FINDINGS
        if path.exists():
            with pa.ipc.open_file(str(path)) as reader:
                self.window_findings = reader.read_all()

    def commit(self, *, sync: bool = False) -> None:
        """
        Make everything since the last commit count, as one step.

        Args:
            sync: Let it outlive a boot of the machine, too; takes a while.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        if sync:
            sync_tree(self.root)
        manifest = {
            "fits": self._fits(),
            "boot": boot_id(),
            "synced": sync,
            "segments": [
                {
                    "number": segment.number,
                    "last_seen_unix": segment.last_seen_unix,
                    "spans": segment.spans,
                }
                for segment in self.segments
            ],
            "taken": self.taken,
            "settled": sorted(self.settled),
            "unindexed": sorted(self.unindexed),
            "restated": self.restated,
            "dirty": sorted([name, partition.hour] for name, partition in self.dirty),
            "dirty_days": sorted(self.dirty_days),
            "next": self._next,
        }
        temporary = self.root / "manifest.json.tmp"
        temporary.write_text(json.dumps(manifest))
        if sync:
            sync_tree(self.root, below=False)
        temporary.replace(self.root / "manifest.json")
        for segment in self._garbage:
            segment.remove()
        self._garbage.clear()

    def replace_window_findings(self, findings: pa.Table) -> None:
        """Keep what rules about windows found; hours that changed become dirty."""
        before, after = _row_set(self.window_findings), _row_set(findings)
        if before == after:
            return
        self.dirty |= {("findings", Partition(row[0])) for row in before ^ after}
        self.window_findings = findings
        path = self.root / _WINDOW_FINDINGS
        temporary = path.with_suffix(".tmp")
        self.root.mkdir(parents=True, exist_ok=True)
        with pa.ipc.new_file(str(temporary), findings.schema) as writer:
            writer.write_table(findings)
        temporary.replace(path)

    def spans_of(self, touched: Traces) -> list[pa.Table]:
        """Return the spans of *touched* traces, all columns, any order."""
        found = (segment.spans_of(touched) for segment in self.segments)
        return [self._whole(SPANS, table) for table in found if table is not None]

    def linked(self, responses: Traces) -> Traces:
        """Return the traces that have a span with one of the sorted *responses*."""
        found = [segment.traces_with(responses) for segment in self.segments]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, np.uint64)

    def knows(self, numbers: Traces) -> Mask:
        """Return which traces any segment has touched."""
        known = np.zeros(len(numbers), np.bool_)
        for segment in self.segments:
            known |= is_among(numbers, segment.touched)
        return known

    def put(
        self, touched: Traces, tables: Mapping[str, pa.Table], now_unix: float
    ) -> None:
        """
        Add new spans and the ledger rows of all *touched* traces.

        Args:
            touched: Sorted numbers of the traces.

            tables: ``spans`` with the new rows, and every ledger table.

            now_unix: When these spans were seen.
        """
        for earlier in self.segments:
            for name, lost in earlier.supersede(touched).items():
                self.dirty |= {(name, Partition(hour)) for hour in lost}
        segment = Segment.write(self.root, self._next, touched, tables, now_unix)
        self._next += 1
        self.segments.append(segment)
        for name, hours in segment.hours.items():
            if name != SPANS:
                self.dirty |= {(name, Partition(int(h))) for h in np.unique(hours)}
        while (count := self._mergeable()) > 1:
            self._merge(count)

    def partition(self, name: str, hour: int) -> pa.Table:
        """Return the rows of a ledger table that start in *hour*, all columns."""
        parts = list(self.partition_parts(name, hour))
        return pa.concat_tables(parts) if parts else self.schemas[name].empty_table()

    def partition_parts(self, name: str, hour: int) -> Iterator[pa.Table]:
        """Yield the rows of `partition` segment by segment."""
        for segment in self.segments:
            chosen = segment.alive[name] & (segment.hours[name] == hour)
            if chosen.any():
                yield self._whole(name, segment.rows(name, chosen))
        if name == "findings" and self.window_findings.num_rows:
            hours = hours_of(self.window_findings.column("timestamp"))
            yield self.window_findings.filter(pa.array(hours == hour))

    def rows(
        self, name: str, *, since_hour: int, columns: list[str] | None = None
    ) -> pa.Table:
        """Return the rows of a ledger table that start in *since_hour* or later."""
        return self._gather(
            name, lambda s: s.alive[name] & (s.hours[name] >= since_hour), columns
        )

    def hours(self, name: str) -> set[int]:
        """Return the hours in which a ledger table has rows."""
        found = [np.unique(s.hours[name][s.alive[name]]) for s in self.segments]
        return {int(hour) for hours in found for hour in hours}

    def count(self, name: str, hour: int) -> int:
        """Return how many rows `partition` would have."""
        return sum(
            int((segment.alive[name] & (segment.hours[name] == hour)).sum())
            for segment in self.segments
        )

    def _gather(
        self,
        name: str,
        choose: Callable[[Segment], Mask],
        columns: list[str] | None = None,
    ) -> pa.Table:
        parts = []
        for segment in self.segments:
            chosen = choose(segment)
            if chosen.any():
                part = segment.rows(name, chosen, columns)
                parts.append(self._whole(name, part, columns))
        schema = self._schema(name, columns)
        return pa.concat_tables(parts) if parts else schema.empty_table()

    def _schema(self, name: str, columns: list[str] | None) -> pa.Schema:
        schema = self.schemas[name]
        if columns is None:
            return schema
        return pa.schema([schema.field(column) for column in columns])

    def _whole(
        self, name: str, part: pa.Table, columns: list[str] | None = None
    ) -> pa.Table:
        return fit(part, self._schema(name, columns))

    def _mergeable(self) -> int:
        # Segments of one size class are merged eight at a time, so that a row is
        # copied once per class and their number grows with the logarithm of the rows.
        classes = [_size_class(segment.spans) for segment in self.segments]
        count = 0
        for size in reversed(classes):
            if size != classes[-1]:
                break
            count += 1
        is_large = self.segments[-1].spans >= _LARGE_SPANS
        return count if count >= _MERGE_AT and not is_large else 0

    def _merge(self, count: int) -> None:
        old = self.segments[-count:]
        tables = {}
        for name in self.schemas:
            parts = [
                self._whole(name, segment.rows(name, segment.alive[name]))
                for segment in old
            ]
            tables[name] = pa.concat_tables(parts)
        touched: Traces = np.unique(np.concatenate([s.touched for s in old]))
        last_seen = max(segment.last_seen_unix for segment in old)
        merged = Segment.write(self.root, self._next, touched, tables, last_seen)
        self._next += 1
        self.segments[-count:] = [merged]
        self._garbage += old

    def evict(self, before_unix: float) -> Traces:
        """
        Let go of traces that were silent since *before_unix*.

        When segments become too many, the most silent traces go before that.

        Their published rows stay in the lake, and the hours they are in are settled:
        publishing such an hour again starts from what the lake has.

        Returns:
            Numbers of the traces that are gone.
        """
        gone: list[Traces] = []
        while self.is_evictable(before_unix):
            gone.append(self._evict_first())
        return np.concatenate(gone) if gone else np.zeros(0, np.uint64)

    def is_evictable(self, before_unix: float) -> bool:
        """Return whether `evict` would let go of something."""
        if len(self.segments) <= 1:
            return False
        is_silent = self.segments[0].last_seen_unix < before_unix
        return is_silent or len(self.segments) > _MAX_SEGMENTS

    def _evict_first(self) -> Traces:
        first = self.segments.pop(0)
        self._garbage.append(first)
        still = np.zeros(len(first.touched), np.bool_)
        for segment in self.segments:
            still |= is_among(first.touched, segment.touched)
        for name, alive in first.alive.items():
            if name != SPANS:
                self.settled |= set(np.unique(first.hours[name][alive]).tolist())
        living = first.touched[still]
        spans = first.spans_of(living)
        if spans is not None:
            self._prepend_spans(self._whole(SPANS, spans))
        return first.touched[~still]

    def _prepend_spans(self, spans: pa.Table) -> None:
        second = self.segments[0]
        tables = {
            name: self._whole(name, second.rows(name, second.alive[name]))
            for name in self.schemas
        }
        tables[SPANS] = pa.concat_tables([spans, tables[SPANS]])
        touched = np.union1d(second.touched, trace_numbers(spans.column("trace_id")))
        # Superseded rows are gone already, so touching more traces here is harmless.
        moved = Segment.write(
            self.root, self._next, touched, tables, second.last_seen_unix
        )
        self._next += 1
        self.segments[0] = moved
        self._garbage.append(second)


def _row_set(findings: pa.Table) -> set[tuple[int, str]]:
    hours = hours_of(findings.column("timestamp")).tolist()
    rows = findings.to_pylist()
    return {(hour, repr(row)) for hour, row in zip(hours, rows, strict=True)}


def _size_class(spans: int) -> int:
    size = 0
    while spans > _SMALL_SPANS:
        spans //= _MERGE_AT
        size += 1
    return size
