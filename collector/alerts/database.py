"""
The file ``state/alerts.sqlite``: tables, versions, connections.

It is not rebuildable from the lake, so it stands apart from the working database.
One process writes states (the account role); the command line may add silences and
put dead letters back at any time.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

from collector.errors import SpanledgerError

SCHEMA_VERSION: Final = 1
_BUSY_SECONDS: Final = 5.0

_TABLES: Final = """
CREATE TABLE alerts (
    rule TEXT NOT NULL,
    identity TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    severity TEXT NOT NULL,
    scope TEXT NOT NULL,
    value REAL,
    threshold REAL,
    details TEXT NOT NULL,
    run_id TEXT,
    trace_id TEXT,
    window_start_us INTEGER NOT NULL,
    window_end_us INTEGER NOT NULL,
    origin TEXT NOT NULL,
    labels TEXT NOT NULL,
    period_us INTEGER NOT NULL,
    episode INTEGER NOT NULL,
    opened_us INTEGER NOT NULL,
    changed_us INTEGER NOT NULL,
    absent_us INTEGER,
    fired_us INTEGER,
    resolved_us INTEGER,
    notified_us INTEGER,
    notified_severity TEXT,
    renotified INTEGER NOT NULL,
    PRIMARY KEY (rule, identity)
) WITHOUT ROWID;

CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY,
    webhook_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    endpoint_name TEXT NOT NULL,
    thread TEXT NOT NULL,
    notice TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    due_us INTEGER NOT NULL,
    finished_us INTEGER,
    last_error TEXT,
    UNIQUE (webhook_id, endpoint)
);
CREATE INDEX outbox_waiting ON outbox (endpoint, thread, sequence)
    WHERE state = 'waiting';
CREATE INDEX outbox_dead ON outbox (finished_us) WHERE state = 'dead';

CREATE TABLE silences (
    id INTEGER PRIMARY KEY,
    rule TEXT,
    scope TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    comment TEXT NOT NULL
);
"""

log = structlog.get_logger(component="alerts")


class AlertStoreError(SpanledgerError):
    """The alert store cannot be used."""


def connect(path: Path) -> sqlite3.Connection:
    """
    Open *path*, made if it is not there, with explicit transactions.

    A commit is on disk when it returns.

    Raises:
        AlertStoreError: It cannot be opened, is damaged, or a newer version of
            spanledger wrote it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _open(path)
    except sqlite3.Error as error:
        message = f"alert store: {path}: {error}"
        raise AlertStoreError(message) from None


def repair(path: Path) -> None:
    """
    Move *path* aside if it is no whole database any more.

    Losing which alerts were told is better than telling none: ids of webhooks do not
    depend on the file, so that receivers can still tell what they had before.
    """
    if not path.exists():
        return
    try:
        connection = _open(path)
        with contextlib.closing(connection):
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:
        return
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found == "ok":
        return
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    log.error("alert_store_damaged", kept_as=str(aside), reason=found)
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if _version(connection) == 0:
            with transaction(connection):
                _create(connection)
        _refuse_newer(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_newer(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection) > SCHEMA_VERSION:
        message = f"alert store: {path} was written by a newer version"
        raise AlertStoreError(message)


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _create(connection: sqlite3.Connection) -> None:
    if _version(connection) > 0:  # another process was faster
        return
    for statement in _TABLES.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block writes, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """Open *path* for the block."""
    connection = connect(path)
    try:
        yield connection
    finally:
        connection.close()
