"""What account does with idle time: put small objects together, delete old ones."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Final

import structlog
from prometheus_client import Counter

from collector.account.store import Store
from collector.config import Settings
from collector.errors import LakeError
from collector.lake.commits import is_taken, read_commit
from collector.lake.compaction import compact, finish_compactions, plan_compaction
from collector.lake.layout import SPANS, Partition
from collector.lake.objects import retire_hours, spans_by_hour, spans_of_hour
from collector.lake.target import Target

_CALM_SECONDS: Final = 900.0
_RETAIN_EVERY_SECONDS: Final = 3600.0
_FINISH_EVERY_SECONDS: Final = 60.0
_HOUR_SECONDS: Final = 3600

OBJECTS_COMPACTED: Final = Counter(
    "spanledger_objects_compacted", "spans objects that a larger one replaced"
)
OBJECTS_DELETED: Final = Counter(
    "spanledger_objects_deleted", "objects deleted because of their age", ["table"]
)

log = structlog.get_logger(component="housekeeping")


class Housekeeping:
    """Steps of a second or so, each of which leaves the lake whole."""

    def __init__(self, settings: Settings, target: Target, store: Store) -> None:
        self._retention = settings.retention
        self._target = target
        self._store = store
        self._hours: set[int] | None = None
        self._finish_due = 0.0
        self._retain_due = 0.0

    def saw(self, keys: Iterable[str]) -> None:
        """Note that there are new objects."""
        if self._hours is not None:
            self._hours |= spans_by_hour_of(keys)

    def once(self, now: datetime) -> bool:
        """
        Do one step; return whether another may follow at once.

        An object is left alone that a drain may write again after a crash, and an hour
        to which spans still come.
        """
        started = time.monotonic()
        if started >= self._finish_due:
            self._finish_due = started + _FINISH_EVERY_SECONDS
            finish_compactions(self._target, now_unix=now.timestamp())
        if started >= self._retain_due:
            if self._retain(now):
                return True
            self._retain_due = started + _RETAIN_EVERY_SECONDS
        return self._compact(now)

    def _compact(self, now: datetime) -> bool:
        if self._hours is None:
            self._hours = set(spans_by_hour(self._target))
        calm = int(now.timestamp() - _CALM_SECONDS) // _HOUR_SECONDS
        over = [hour for hour in self._hours if hour < calm]
        if not over:
            return False
        hour = max(over)
        firm = self._firm_positions()
        keys = [k for k in spans_of_hour(self._target, hour) if is_taken(k, firm)]
        try:
            planned = plan_compaction(self._target, keys)
            if planned is None:
                self._hours.discard(hour)
                return True
            rows = compact(self._target, planned, now_unix=now.timestamp())
        except LakeError as error:
            self._hours.discard(hour)
            log.warning(
                "compaction_failed", hour=Partition(hour).folder, reason=str(error)
            )
            return True
        OBJECTS_COMPACTED.inc(len(planned.replaces))
        log.info(
            "objects_compacted",
            objects=len(planned.replaces),
            spans=rows,
            key=planned.output,
        )
        return True

    def _firm_positions(self) -> dict[str, str]:
        """Return where the last batch of each journal starts: it may come once more."""
        firm = {}
        for journal_id, end in self._store.taken.items():
            try:
                firm[journal_id] = read_commit(self._target, journal_id, end).start
            except LakeError:
                continue
        return firm

    def _retain(self, now: datetime) -> bool:
        days, ledger_days = self._retention.spans_days, self._retention.ledger_days
        if days is not None and self._delete_spans(now - timedelta(days=days)):
            return True
        if ledger_days is None:
            return False
        return self._delete_ledger(now - timedelta(days=ledger_days))

    def _delete_spans(self, before: datetime) -> bool:
        """Delete the spans of the oldest day that is over since *before*."""
        keys = _older(self._target.keys(SPANS), before)
        if not keys:
            return False
        day, old = keys
        hours = spans_by_hour_of(old)
        # First the record: from now on, what is published of these hours stays.
        retire_hours(self._target, hours)
        self._store.retired |= hours
        self._delete(SPANS, day, old)
        return True

    def _delete_ledger(self, before: datetime) -> bool:
        tables = (*self._store.schemas, "rollups", "restatements")
        for table in tables:
            keys = None if table == SPANS else _older(self._target.keys(table), before)
            if keys:
                self._delete(table, *keys)
                return True
        return False

    def _delete(self, table: str, day: str, keys: list[str]) -> None:
        for key in keys:
            self._target.delete(key)
        OBJECTS_DELETED.labels(table).inc(len(keys))
        log.info("day_deleted", table=table, day=day, objects=len(keys))


def spans_by_hour_of(keys: Iterable[str]) -> set[int]:
    """Return the hours that *keys* lie in."""
    found = (Partition.parse(str(PurePosixPath(key).parent)) for key in keys)
    return {partition.hour for partition in found if partition is not None}


def _older(keys: Iterable[str], before: datetime) -> tuple[str, list[str]] | None:
    """Return the oldest day that ended before *before*, and its keys; empties stay."""
    days: dict[str, list[str]] = {}
    limit = f"{before.astimezone(UTC):%Y-%m-%d}"
    for key in keys:
        day = key.partition("date=")[2][:10]
        if day and day < limit and not key.endswith("/empty.parquet"):
            days.setdefault(day, []).append(key)
    return min(days.items()) if days else None
