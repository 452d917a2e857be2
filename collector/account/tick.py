"""One tick: new commits in, ledger rows, findings and publications out."""

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from collector.account.findings import Rules
from collector.account.housekeeping import Housekeeping
from collector.account.intake import Intake, Taken
from collector.account.lengths import Lengths
from collector.account.metrics import count_taken, show_costs
from collector.account.pace import due_after
from collector.account.publish import (
    outdated,
    publish_partitions,
    publish_rollups,
)
from collector.account.segments import SPANS
from collector.account.store import Store
from collector.account.telling import Teller, still_alive
from collector.account.windows import Windows
from collector.alerts import AlertStore
from collector.alerts.decisions import Decisions
from collector.config import Settings
from collector.lake.books import Books
from collector.lake.commits import forget_commits, new_commits, read_commit
from collector.lake.layout import table_schemas
from collector.lake.objects import retired_hours
from collector.lake.target import Target
from proto_handlers.schema import normalised_schema

_ROWS_PER_TICK: Final = 170_000
_KEPT_COMMITS: Final = 256
_FORGET_EVERY: Final = 512
_SMALL_HOUR_CALLS: Final = 250_000
_PUBLISH_SHARE: Final = 0.1
_INDEX_SHARE: Final = 0.3
_HOUSE_SHARE: Final = 0.2
_HOUSE_SECONDS: Final = 30.0
_SMALL_PUBLISH_SHARE: Final = 0.5
_BEHIND_PUBLISH_SHARE: Final = 0.03
_TELL_SHARE: Final = 0.2
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
        decisions: Decisions | None = None,
        tell_all: bool = False,
    ) -> None:
        self._settings = settings
        self._target = target
        self.store = store
        self._books = books or Books(target)
        self._rules = Rules(settings)
        self.intake = Intake(
            settings, target, store, books=self._books, rules=self._rules
        )
        store.retired = retired_hours(target)
        self._lengths = Lengths(target, store)
        self._house = Housekeeping(settings, target, store)
        self._alerts = alerts
        self._wake_alerts = wake_alerts
        self._teller = Teller(runs_told=settings.alerts.runs_told, tell_all=tell_all)
        self._decisions = decisions or Decisions()
        self._windows = Windows(self._rules, target, store, now=datetime.now(UTC))
        self._tell_due = self._tell_again = 0.0
        self._publish_due = 0.0
        self._rollups_due = 0.0
        self._forgotten = 0

    def prepare(self) -> None:
        """Do what the first tick would have to do first."""
        self._books.prepare()

    def tick(self, *, publish: bool = True) -> Ticked:
        """
        Take new commits, bring the ledger up to date, tell and publish.

        Returns:
            What was taken. Errors of the lake are raised before anything counts; the
            next tick starts from the same place.
        """
        now = datetime.now(UTC)
        ends, keys, more = self._new_objects()
        taken = self._take(keys) if keys else None
        self.store.taken |= ends
        looked = self._windows.look(now, changed=bool(keys), is_behind=more)
        if keys or looked:
            self._tell_due = self._tell_again
        if time.monotonic() >= self._tell_due:
            self._tell(now)
        if keys or looked or self.store.dirty:
            self.store.commit()
        if publish:
            self._publish(is_behind=more)
        self._tidy()
        if taken is None:
            return Ticked(0, 0, more)
        return Ticked(taken.spans, taken.traces, more)

    @property
    def is_dirty(self) -> bool:
        """Whether something changed that is not published."""
        return bool(self.store.dirty or self.store.dirty_days)

    def has_news(self) -> bool:
        """Return whether a commit record waits to be taken."""
        return any(True for _ in new_commits(self._target, self.store.taken))

    def _new_objects(self) -> tuple[dict[str, str], list[str], bool]:
        ends: dict[str, str] = {}
        keys: list[str] = []
        rows = 0
        for journal_id, end in new_commits(self._target, self.store.taken):
            commit = read_commit(self._target, journal_id, end)
            more = sum(stored.rows for stored in commit.objects)
            if keys and rows + more > _ROWS_PER_TICK:
                return ends, keys, True
            keys += [stored.key for stored in commit.objects]
            rows += more
            ends[journal_id] = end
        return ends, keys, False

    def _take(self, keys: list[str]) -> Taken:
        self._books.refresh()
        taken = self.intake.take(keys, seen_unix=time.time())
        self._house.saw(keys)
        count_taken(taken.spans, taken.calls)
        if taken.calls.num_rows:
            self.look_back(pc.min(taken.calls.column("timestamp")).as_py())
        pa.default_memory_pool().release_unused()
        return taken

    def _tell(self, now: datetime) -> None:
        started = time.monotonic()
        first = self._teller.since_hour(now)
        about_traces = self.store.rows("findings", since_hour=first)
        current = pa.concat_tables([about_traces, self.store.window_findings])
        self._decisions.learn(still_alive(current, now).to_pylist(), now=now)
        rows = self._teller.told(current, now)
        if self._alerts.observe(rows, now=now, settings=self._settings.alerts):
            self._wake_alerts()
        self._tell_again = due_after(started, _TELL_SHARE)
        self._tell_due = max(self._tell_again, time.monotonic() + _TELL_SECONDS)

    def _publish(self, *, is_behind: bool) -> None:
        store = self.store
        if not store.dirty and not store.dirty_days:
            return
        started = time.monotonic()
        files = 0
        if store.dirty and started >= self._publish_due:
            largest = max(store.count("calls", p.hour) for _, p in store.dirty)
            files += publish_partitions(store, self._target, self._lengths)
            is_small = largest < _SMALL_HOUR_CALLS
            share = _SMALL_PUBLISH_SHARE if is_small else _PUBLISH_SHARE
            share = _BEHIND_PUBLISH_SHARE if is_behind else share
            self._publish_due = due_after(started, share)
        started = time.monotonic()
        if store.dirty_days and started >= self._rollups_due:
            files += self._publish_rollups()
            show_costs(store, datetime.now(UTC))
            share = _BEHIND_PUBLISH_SHARE if is_behind else _PUBLISH_SHARE
            self._rollups_due = due_after(started, share)
        if files:
            store.commit()
            log.debug("tables_published", files=files)

    def _publish_rollups(self) -> int:
        limit = self._settings.account.memory_limit
        days = sorted(self.store.dirty_days)
        files = publish_rollups(self.store, self._target, memory_limit=limit)
        self._windows.published(days, datetime.now(UTC))
        return files

    def publish_now(self) -> None:
        """Publish everything that changed, whatever it takes."""
        publish_partitions(self.store, self._target, self._lengths)
        self._publish_rollups()
        self.store.commit()

    def finish(self, *, tell: bool = True) -> None:
        """Look at windows once more and publish everything, however long it takes."""
        now = datetime.now(UTC)
        changed = True
        while self._windows.look(now, changed=changed, at_once=True):
            if tell:
                self._tell(now)
            # Rules that compare with earlier days are asked again about those that
            # become readable here: once, because findings are in no rollup.
            self.publish_now()
            changed = False

    def look_back(self, moment: datetime) -> None:
        """Let the next look at windows begin with those that *moment* is in."""
        self._windows.look_back(moment)

    def _tidy(self) -> None:
        before = time.time() - self._settings.account.window_hours * 3600
        # Rows that are not published must not be let go.
        if not self.store.dirty:
            self.let_go(before)
        self._forgotten += 1
        if self._forgotten >= _FORGET_EVERY:
            self._forgotten = 0
            forget_commits(self._target, self.store.taken, keep=_KEPT_COMMITS)

    def let_go(self, before_unix: float) -> None:
        """Let traces that were silent since then leave the working tables."""
        if not self.store.is_evictable(before_unix):
            return
        if self.store.dirty:
            publish_partitions(self.store, self._target, self._lengths)
        spans_before = list(self.store.segments)
        gone = self.store.evict(before_unix)
        self.intake.evicted.add(gone, spans_before)
        self.store.commit()

    def use_idle_time(self) -> float:
        """
        Do one step of what may wait: index an hour, else keep house.

        Returns:
            When the next may follow, on the monotonic clock: this takes a part of the
            time only.
        """
        started = time.monotonic()
        if self.index_hour():
            return due_after(started, _INDEX_SHARE)
        if self._house.once(datetime.now(UTC)):
            return due_after(started, _HOUSE_SHARE)
        return started + _HOUSE_SECONDS

    def index_hour(self) -> bool:
        """
        Look into one hour of the lake that the working tables do not cover.

        Its traces are remembered for late spans, and partitions that have not all
        columns are published again. Does nothing while no such hour is left.

        Returns:
            Whether an hour was looked into.
        """
        store = self.store
        if not store.unindexed:
            return False
        hour = max(store.unindexed)
        self.intake.index_hour(hour)
        store.dirty |= outdated(store, self._target, hour)
        store.unindexed.discard(hour)
        store.commit()
        return True

    def status(self) -> dict[str, Any]:
        """Return figures for the role's status."""
        return {
            "segments": len(self.store.segments),
            "dirty_partitions": len(self.store.dirty),
            "unindexed_hours": len(self.store.unindexed),
            "taken": dict(self.store.taken),
        }


def store_schemas(settings: Settings) -> dict[str, pa.Schema]:
    """Return the tables that the working store keeps."""
    names = tuple(settings.dimensions)
    schemas = table_schemas(names)
    kept = ("calls", "excluded", "tool_calls", "runs", "chains", "findings")
    return {SPANS: normalised_schema(names)} | {name: schemas[name] for name in kept}


def open_store(settings: Settings, path: Path | None = None) -> Store:
    """
    Open the working store; an empty one if there is none that fits.

    What does not fit is removed: after a power cut any file of it may be cut off.
    """
    root = path or settings.state_dir / "account"
    schemas = store_schemas(settings)
    store = Store.open(root, schemas)
    if store is None:
        shutil.rmtree(root, ignore_errors=True)
    return store or Store(root, schemas)
