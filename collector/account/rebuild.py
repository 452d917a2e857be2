"""The ledger made again from the spans of the lake."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import structlog

from collector.account.findings import Rules
from collector.account.ledger import absorb, read_spans
from collector.account.publish import publish_empty_tables
from collector.account.segments import SPANS, trace_numbers
from collector.account.store import Store
from collector.account.tick import Account, open_store, store_schemas
from collector.alerts import AlertStore
from collector.config import Settings
from collector.files import locked
from collector.lake.books import Books
from collector.lake.commits import new_commits
from collector.lake.layout import Partition
from collector.lake.target import Target, open_target

_SPANS_AT_ONCE: Final = 1_000_000

log = structlog.get_logger(component="account")


def rebuild(settings: Settings) -> int:
    """
    Make ledger, findings and rollups again from ``lake/spans``.

    Recorded costs stay: every call is priced with the book in force when it was
    received. Alerts are not touched and nothing is told.

    Returns:
        Number of spans read.

    Raises:
        LockedError: The account role runs on this data directory.
    """
    target = open_target(settings.lake_url)
    with locked(settings.data_dir, "account"):
        root = settings.state_dir / "account"
        fresh = settings.state_dir / "account.rebuilding"
        shutil.rmtree(fresh, ignore_errors=True)
        store = Store(fresh, store_schemas(settings))
        spans = fill(store, settings, target)
        store.commit()
        shutil.rmtree(root, ignore_errors=True)
        fresh.rename(root)
        publish_empty_tables(target, tuple(settings.dimensions))
        _publish(settings, target)
    log.info("ledger_rebuilt", spans=spans)
    return spans


def fill(store: Store, settings: Settings, target: Target) -> int:
    """
    Fill an empty store from all spans of the lake; return how many were read.

    Whole traces at a time: the lake is read once per share of the trace ids that fits
    into memory.
    """
    # Commits named before the listing are surely in it; later ones are taken again.
    store.taken = dict(new_commits(target, {}))
    keys = [key for key in target.keys(SPANS) if not key.endswith("/empty.parquet")]
    books = Books(target)
    rules = Rules(settings)
    read = 0
    total = sum(target.read(key, ["span_id"]).num_rows for key in keys)
    shares = -(-total // _SPANS_AT_ONCE)
    for spans in _shares(target, keys, settings, shares):
        absorb(
            store,
            spans,
            books,
            rules,
            settings.dimensions,
            seen_unix=_last_seen(spans),
        )
        read += spans.num_rows
    _dirty_published(store, target)
    return read


def _shares(
    target: Target, keys: list[str], settings: Settings, shares: int
) -> Iterator[pa.Table]:
    for share in range(shares):
        parts = []
        for key in keys:
            spans = read_spans(target, [key], settings.dimensions)
            numbers = trace_numbers(spans.column("trace_id"))
            mine = numbers % np.uint64(shares) == np.uint64(share)
            parts.append(spans if mine.all() else spans.filter(pa.array(mine)))
        yield pa.concat_tables(parts)


def _last_seen(spans: pa.Table) -> float:
    return float(np.max(spans.column("received_unix_nano").to_numpy())) / 1e9


def _dirty_published(store: Store, target: Target) -> None:
    # A partition that was published and has no rows any more must become empty.
    for name in store.schemas:
        if name == SPANS:
            continue
        for key in target.keys(name):
            partition = Partition.parse(str(Path(key).parent))
            if partition is not None and key.endswith("/part.parquet"):
                store.dirty.add((name, partition))


def _publish(settings: Settings, target: Target) -> None:
    store = open_store(settings)
    alerts = AlertStore.open(settings.state_dir / "alerts.sqlite")
    try:
        account = Account(settings, target, store, alerts=alerts)
        account.look_back(datetime.fromtimestamp(0, UTC))
        account.finish(tell=False)
    finally:
        alerts.close()
