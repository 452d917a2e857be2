"""One tick: new commits in, ledger rows, findings and publications out."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import structlog

from collector.account.evicted import Evicted
from collector.account.findings import Rules, as_told
from collector.account.ledger import absorb, read_spans
from collector.account.metrics import (
    OBJECTS_SET_ASIDE,
    count_taken,
    show_costs,
)
from collector.account.publish import publish_partitions, publish_rollups
from collector.account.segments import SPANS, Traces, trace_numbers
from collector.account.store import Store
from collector.alerts import AlertStore
from collector.config import Settings
from collector.errors import SpanledgerError
from collector.lake.books import Books
from collector.lake.commits import forget_commits, new_commits, read_commit
from collector.lake.layout import Partition, hours_of, part_key, table_schemas
from collector.lake.target import Target
from proto_handlers.schema import normalised_schema

_ROWS_PER_TICK: Final = 100_000
_KEPT_COMMITS: Final = 256
_FORGET_EVERY: Final = 512
_SMALL_HOUR_CALLS: Final = 250_000
_PUBLISH_SHARE: Final = 0.1
_SMALL_PUBLISH_SHARE: Final = 0.5
_TOLD_HOURS: Final = 24
_TELL_SECONDS: Final = 5.0

log = structlog.get_logger(component="account")


class Ticked(NamedTuple):
    """What one tick did."""

    spans: int
    traces: int
    more: bool
    """Whether commits are left for the next tick."""


class Account:
    """The steps from commit records to ledger, findings and publications."""

    def __init__(
        self,
        settings: Settings,
        target: Target,
        store: Store,
        *,
        alerts: AlertStore,
        books: Books | None = None,
        wake_alerts: Callable[[], None] = lambda: None,
        tell_all: bool = False,
    ) -> None:
        self._settings = settings
        self._target = target
        self._store = store
        self._books = books or Books(target)
        self._rules = Rules(settings)
        self._alerts = alerts
        self._wake_alerts = wake_alerts
        self._tell_all = tell_all
        self._evicted = Evicted(store.root / "evicted.npy")
        self._windows_due = 0.0
        self._tell_due = 0.0
        self._oldest_new = datetime.now(UTC)
        self._publish_due = 0.0
        self._rollups_due = 0.0
        self._forgotten = 0

    def tick(self, *, publish: bool = True) -> Ticked:
        """
        Take new commits, bring the ledger up to date, tell and publish.

        Returns:
            What was taken. Errors of the lake are raised before anything counts; the
            next tick starts from the same place.
        """
        now = datetime.now(UTC)
        ends, keys, more = self._new_objects()
        taken = self._take(keys) if keys else (0, 0)
        self._store.taken |= ends
        looked = self._look_at_windows(now, changed=bool(keys))
        if keys or looked or time.monotonic() >= self._tell_due:
            self._tell(now)
        if keys or looked or self._store.dirty:
            self._store.commit()
        if publish:
            self._publish(is_behind=more)
        self._tidy()
        return Ticked(*taken, more)

    @property
    def is_dirty(self) -> bool:
        """Whether something changed that is not published."""
        return bool(self._store.dirty or self._store.dirty_days)

    def has_news(self) -> bool:
        """Return whether a commit record waits to be taken."""
        return any(True for _ in new_commits(self._target, self._store.taken))

    def _new_objects(self) -> tuple[dict[str, str], list[str], bool]:
        ends: dict[str, str] = {}
        keys: list[str] = []
        rows = 0
        for journal_id, end in new_commits(self._target, self._store.taken):
            commit = read_commit(self._target, journal_id, end)
            more = sum(stored.rows for stored in commit.objects)
            if keys and rows + more > _ROWS_PER_TICK:
                return ends, keys, True
            keys += [stored.key for stored in commit.objects]
            rows += more
            ends[journal_id] = end
        return ends, keys, False

    def _take(self, keys: list[str]) -> tuple[int, int]:
        self._books.refresh()
        try:
            return self._absorb(keys)
        except (SpanledgerError, OSError):
            raise
        except Exception as error:  # noqa: BLE001  one object must not stop the others
            if len(keys) == 1:
                OBJECTS_SET_ASIDE.inc()
                log.error("object_skipped", key=keys[0], reason=repr(error))
                return 0, 0
        parts = [self._take([key]) for key in keys]
        return sum(spans for spans, _ in parts), sum(traces for _, traces in parts)

    def _absorb(self, keys: list[str]) -> tuple[int, int]:
        new = read_spans(self._target, keys, self._settings.dimensions)
        late = self._late_spans(new, set(keys))
        if late is not None:
            new = pa.concat_tables([late, new])
        absorbed = absorb(
            self._store,
            new,
            self._books,
            self._rules,
            self._settings.dimensions,
            seen_unix=time.time(),
        )
        count_taken(new.num_rows, absorbed.calls)
        if absorbed.calls.num_rows:
            self.look_back(pc.min(absorbed.calls.column("timestamp")).as_py())
        pa.default_memory_pool().release_unused()
        return new.num_rows, absorbed.traces

    def _late_spans(self, spans: pa.Table, new: set[str]) -> pa.Table | None:
        """Return earlier spans of traces that left the working tables."""
        touched: Traces = np.unique(trace_numbers(spans.column("trace_id")))
        back, hours = self._evicted.find(touched[~self._store.knows(touched)])
        if not len(back):
            return None
        keys = [
            key
            for hour in sorted(hours)
            for key in self._target.keys(f"{SPANS}/{Partition(hour).folder}")
            if key not in new
        ]
        found = read_spans(self._target, keys, self._settings.dimensions)
        chosen = np.isin(trace_numbers(found.column("trace_id")), back)
        earlier = found.filter(pa.array(chosen))
        # What is published of them is superseded, in whatever hour it stands.
        for name in self._store.schemas:
            if name != SPANS:
                self._store.dirty |= {
                    (name, Partition(int(hour)))
                    for hour in np.unique(hours_of(earlier.column("timestamp")))
                }
        return earlier

    def _look_at_windows(self, now: datetime, *, changed: bool) -> bool:
        started = time.monotonic()
        if not changed or started < self._windows_due:
            return False
        names, columns = self._rules.needs()
        since = self._rules.since(min(self._oldest_new, now))
        self._oldest_new = now
        tables = {name: self._rows_since(name, since, columns) for name in names}
        found = self._rules.about_windows(tables, since, now)
        older = self._store.window_findings
        kept = older.filter(pc.less_equal(older.column("window_end"), since))
        self._store.replace_window_findings(
            pa.concat_tables([kept, found, self._rules.failures(now)])
        )
        self._windows_due = _due_after(started, _PUBLISH_SHARE)
        return True

    def _rows_since(
        self, name: str, since: datetime, columns: list[str] | None
    ) -> pa.Table:
        first = int(since.timestamp()) // 3600
        rows = self._store.rows(name, since_hour=first, columns=columns)
        parts = [rows]
        for hour in sorted(self._store.settled):
            key = part_key(name, Partition(hour))
            if hour < first or self._target.get(key) is None:
                continue
            older = self._target.read(key)
            known = self._store.knows(trace_numbers(older.column("trace_id")))
            parts.append(
                older.select(rows.column_names)
                .filter(pa.array(~known))
                .cast(rows.schema)
            )
        return pa.concat_tables(parts)

    def _tell(self, now: datetime) -> None:
        first = 0 if self._tell_all else int(now.timestamp()) // 3600 - _TOLD_HOURS
        about_traces = self._store.rows("findings", since_hour=first)
        current = pa.concat_tables([about_traces, self._store.window_findings])
        rows = as_told(current, now, tell_all=self._tell_all)
        if self._alerts.observe(rows, now=now, settings=self._settings.alerts):
            self._wake_alerts()
        self._tell_due = time.monotonic() + _TELL_SECONDS

    def _publish(self, *, is_behind: bool) -> None:
        store = self._store
        if not store.dirty and not store.dirty_days:
            return
        started = time.monotonic()
        files = 0
        if store.dirty and started >= self._publish_due:
            largest = max(store.count("calls", p.hour) for _, p in store.dirty)
            files += publish_partitions(store, self._target)
            is_small = largest < _SMALL_HOUR_CALLS and not is_behind
            share = _SMALL_PUBLISH_SHARE if is_small else _PUBLISH_SHARE
            self._publish_due = _due_after(started, share)
        started = time.monotonic()
        if store.dirty_days and started >= self._rollups_due:
            files += self._publish_rollups()
            show_costs(store, datetime.now(UTC))
            self._rollups_due = _due_after(started, _PUBLISH_SHARE)
        if files:
            store.commit()
            log.debug("tables_published", files=files)

    def _publish_rollups(self) -> int:
        limit = self._settings.account.memory_limit
        return publish_rollups(self._store, self._target, memory_limit=limit)

    def publish_now(self) -> None:
        """Publish everything that changed, whatever it takes."""
        publish_partitions(self._store, self._target)
        self._publish_rollups()
        self._store.commit()

    def finish(self, *, tell: bool = True) -> None:
        """Look at windows once more and publish everything, however long it takes."""
        now = datetime.now(UTC)
        self._windows_due = 0.0
        self._look_at_windows(now, changed=True)
        if tell:
            self._tell(now)
        self.publish_now()

    def look_back(self, moment: datetime) -> None:
        """Let the next look at windows begin with those that *moment* is in."""
        self._oldest_new = min(self._oldest_new, moment)

    def _tidy(self) -> None:
        before = time.time() - self._settings.account.window_hours * 3600
        # Rows that are not published must not be let go.
        if not self._store.dirty and self._store.is_evictable(before):
            self._evict(before)
        self._forgotten += 1
        if self._forgotten >= _FORGET_EVERY:
            self._forgotten = 0
            forget_commits(self._target, self._store.taken, keep=_KEPT_COMMITS)

    def _evict(self, before: float) -> None:
        spans_before = list(self._store.segments)
        gone = self._store.evict(before)
        self._evicted.add(gone, spans_before)
        self._store.commit()

    def status(self) -> dict[str, Any]:
        """Return figures for the role's status."""
        return {
            "segments": len(self._store.segments),
            "dirty_partitions": len(self._store.dirty),
            "taken": dict(self._store.taken),
        }


def _due_after(started: float, share: float) -> float:
    """Return when work begun at *started* may be done again to take *share* of time."""
    now = time.monotonic()
    return now + (now - started) * (1 / share - 1)


def store_schemas(settings: Settings) -> dict[str, pa.Schema]:
    """Return the tables that the working store keeps."""
    names = tuple(settings.dimensions)
    schemas = table_schemas(names)
    kept = ("calls", "excluded", "tool_calls", "runs", "chains", "findings")
    return {SPANS: normalised_schema(names)} | {name: schemas[name] for name in kept}


def open_store(settings: Settings, path: Path | None = None) -> Store:
    """Open the working store; an empty one if there is none that fits."""
    root = path or settings.state_dir / "account"
    schemas = store_schemas(settings)
    return Store.open(root, schemas) or Store(root, schemas)
