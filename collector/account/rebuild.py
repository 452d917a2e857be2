"""The ledger made again from the spans of the lake."""

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

import structlog

from collector.account.fill import Filled, batches, taken_by_hour
from collector.account.publish import publish_empty_tables, published_in
from collector.account.store import Store
from collector.account.tick import Account, store_schemas
from collector.alerts import AlertStore
from collector.config import Settings
from collector.files import locked
from collector.lake.commits import new_commits
from collector.lake.compaction import finish_compactions
from collector.lake.objects import find_retired, published_hours, spans_by_hour
from collector.lake.target import Target, open_target

_HOUR_SECONDS: Final = 3600

log = structlog.get_logger(component="account")


class Rebuilt(NamedTuple):
    """What a rebuild did."""

    spans: int
    """Spans that were read."""
    kept_hours: int
    """Hours that stay as published: their spans are gone."""


def rebuild(
    settings: Settings, *, report: Callable[[Filled], None] = lambda _: None
) -> Rebuilt:
    """
    Make ledger, findings and rollups again from ``lake/spans``.

    Recorded costs stay: every call is priced with the book in force when it was
    received. Alerts are not touched and nothing is told. Hours whose spans are gone
    keep what is published of them.

    Args:
        settings: All settings.

        report: Called between hours.

    Raises:
        LockedError: The account role runs on this data directory.
    """
    target = open_target(settings.lake_url)
    with locked(settings.data_dir, "account"):
        root = settings.state_dir / "account"
        fresh = settings.state_dir / "account.rebuilding"
        shutil.rmtree(fresh, ignore_errors=True)
        finish_compactions(target, now_unix=time.time())
        publish_empty_tables(target, tuple(settings.dimensions))
        store = Store(fresh, store_schemas(settings))
        alerts = AlertStore.open(settings.state_dir / "alerts.sqlite")
        try:
            account = Account(settings, target, store, alerts=alerts)
            rebuilt = _take_all(account, settings, target, report)
            # Rules that compare with earlier days read what is published of them.
            account.publish_now()
            account.look_back(datetime.fromtimestamp(0, UTC))
            account.finish(tell=False)
        finally:
            alerts.close()
        store.commit(sync=True)
        shutil.rmtree(root, ignore_errors=True)
        fresh.rename(root)
    log.info("ledger_rebuilt", **rebuilt._asdict())
    return rebuilt


def _take_all(
    account: Account,
    settings: Settings,
    target: Target,
    report: Callable[[Filled], None],
) -> Rebuilt:
    store = account.store
    window_seconds = settings.account.window_hours * _HOUR_SECONDS
    # Commits named before the listing are surely in it; later ones are taken by ticks.
    store.taken = dict(new_commits(target, {}))
    raw = taken_by_hour(target, store.taken)
    store.retired = find_retired(target, spans_by_hour(target))
    spans = 0
    for done, (hour, keys) in enumerate(sorted(raw.items())):
        report(Filled(spans, done, len(raw)))
        # A partition that was published and has no rows any more becomes empty.
        store.dirty |= published_in(target, hour, store.schemas)
        for batch in batches(target, keys):
            taken = account.intake.take(batch, seen_unix=float(hour * _HOUR_SECONDS))
            spans += taken.spans
        account.let_go(hour * _HOUR_SECONDS - window_seconds)
    kept = store.retired & published_hours(target, "calls")
    return Rebuilt(spans, len(kept))
