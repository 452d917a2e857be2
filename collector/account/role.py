"""The account role's loop."""

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from collector.account.fill import Filled, fill
from collector.account.publish import publish_empty_tables
from collector.account.tick import Account, open_store
from collector.alerts import AlertStore, Deliverer
from collector.alerts.decisions import Decisions
from collector.config import Settings
from collector.errors import SpanledgerError
from collector.lake.compaction import finish_compactions
from collector.lake.opening import open_when_there
from collector.lake.target import Target, open_target
from collector.telemetry import write_status

_POLL_SECONDS: Final = 0.05
_STATUS_SECONDS: Final = 1.0
_FRESH_SECONDS: Final = 5.0

log = structlog.get_logger(component="account")


class Freshness:
    """Lets a query wait until everything taken so far is published."""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._done = threading.Condition()
        self._round = 0
        self._works = False

    def work(self) -> None:
        """Say that somebody publishes from now on; before, nobody needs to wait."""
        self._works = True

    def ask(self) -> None:
        """Return when what is in the ledger now is published, or after a while."""
        if not self._works:
            return
        with self._done:
            # A round that has begun may have looked before this call.
            target = self._round + 2 if self._wanted.is_set() else self._round + 1
            self._wanted.set()
            self._done.wait_for(lambda: self._round >= target, _FRESH_SECONDS)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits."""
        return self._wanted.is_set()

    def begin(self) -> None:
        """Say that publishing begins: who asks from now on waits for the next."""
        self._wanted.clear()

    def end(self) -> None:
        """Say that everything is published."""
        with self._done:
            self._round += 1
            self._done.notify_all()


def run_account(
    settings: Settings,
    stop: threading.Event,
    ready: Callable[[], None],
    freshness: Freshness,
    decisions: Decisions,
) -> None:
    """
    Tick until *stop* is set, then once more for what was committed meanwhile.

    A new commit record wakes the loop at once, and so does a query that asks for fresh
    tables; without one it ticks every ``account.tick_seconds``. Working tables that do
    not fit are filled from the lake first, and a bucket may be away: *ready* waits for
    neither, and may be called twice. The caller holds the role's lock.
    """
    target = open_when_there(
        lambda: _open_lake(settings), settings, "account", away=ready, stop=stop
    )
    if target is None:
        return
    store = open_store(settings)
    alerts = AlertStore.open(settings.state_dir / "alerts.sqlite")
    deliverer = Deliverer(settings.state_dir / "alerts.sqlite", settings.alerts)
    deliverer.start()
    try:
        account = Account(
            settings,
            target,
            store,
            alerts=alerts,
            wake_alerts=deliverer.wake,
            decisions=decisions,
        )
        is_new = not store.segments and not store.taken
        _say(settings, "fills its tables from the lake" if is_new else None)
        ready()
        if is_new and not fill(
            account, settings, target, go_on=_filling(settings, stop)
        ):
            return
        freshness.work()
        account.prepare()
        _loop(account, settings, stop, freshness)
        account.finish()
        store.commit(sync=True)
    finally:
        deliverer.stop(settings.shutdown_seconds / 5)
        alerts.close()


def _open_lake(settings: Settings) -> Target:
    target = open_target(settings.lake_url)
    finish_compactions(target, now_unix=time.time())
    publish_empty_tables(target, tuple(settings.dimensions))
    return target


def _filling(settings: Settings, stop: threading.Event) -> Callable[[Filled], bool]:
    """Return what tells how far filling is, and gives it up when *stop* is set."""
    said_unix = 0.0

    def go_on(filled: Filled) -> bool:
        nonlocal said_unix
        if time.monotonic() >= said_unix + _STATUS_SECONDS:
            said_unix = time.monotonic()
            reason = f"fills its tables from the lake, {filled.share:.0%} done"
            _say(settings, reason, filled_spans=filled.spans)
        return not stop.is_set()

    return go_on


def _say(settings: Settings, reason: str | None, **figures: float) -> None:
    write_status(settings.state_dir, "account", ready=True, reason=reason, **figures)


def _loop(
    account: Account, settings: Settings, stop: threading.Event, freshness: Freshness
) -> None:
    status_due = settled_unix = idle_due = 0.0
    pause_seconds = _POLL_SECONDS
    while True:
        stopping = stop.is_set()
        more = False
        asked_unix = time.time()
        try:
            ticked = account.tick()
            if freshness.is_wanted:
                freshness.begin()
                account.publish_now()
                freshness.end()
            more = ticked.more
            if not ticked.spans and not account.is_dirty:
                settled_unix = asked_unix
            if not more and not stopping and time.monotonic() >= idle_due:
                idle_due = account.use_idle_time()
            pause_seconds = _POLL_SECONDS
        except (SpanledgerError, OSError) as error:
            log.error("tick_failed", reason=str(error), retry_seconds=pause_seconds)
            write_status(settings.state_dir, "account", ready=False, reason=str(error))
            if stop.wait(pause_seconds):
                return
            pause_seconds = min(2 * pause_seconds, 10.0)
            continue
        if time.monotonic() >= status_due:
            write_status(
                settings.state_dir,
                "account",
                ready=True,
                settled_unix=settled_unix,
                **account.status(),
            )
            status_due = time.monotonic() + _STATUS_SECONDS
        if stopping and not more:
            return
        if not more:
            _wait(account, stop, freshness, settings.account.tick_seconds)


def _wait(
    account: Account, stop: threading.Event, freshness: Freshness, seconds: float
) -> None:
    deadline = time.monotonic() + seconds
    while not (account.has_news() or freshness.is_wanted):
        left_seconds = deadline - time.monotonic()
        if left_seconds <= 0 or stop.wait(min(_POLL_SECONDS, left_seconds)):
            return
