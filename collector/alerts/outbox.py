"""
The outbox: what has to be delivered where, and how that went.

A row is ``waiting``, ``delivered`` or ``dead``. Rows of one alert go to one endpoint in
the order they were written; rows of other alerts do not wait for them.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from collector.alerts.alert import Notice
from collector.alerts.webhook import Endpoint


@dataclass(frozen=True, slots=True)
class Letter:
    """A row of the outbox that is due; times are UTC microseconds since 1970."""

    sequence: int
    webhook_id: str
    notice: str
    attempts: int
    created_us: int

    def read_notice(self) -> Notice:
        """Return what it tells; `TypeError` if another version wrote it."""
        return Notice(**json.loads(self.notice))


def put(
    connection: sqlite3.Connection,
    notices: Iterable[Notice],
    endpoints: Iterable[Endpoint],
    *,
    now_us: int,
) -> int:
    """
    Write a row per notice and endpoint that wants it; return how many are new.

    Putting the same notice again changes nothing.
    """
    endpoints = tuple(endpoints)
    before = connection.total_changes
    connection.executemany(
        "INSERT OR IGNORE INTO outbox (webhook_id, endpoint, endpoint_name, thread,"
        " notice, state, attempts, created_us, due_us)"
        " VALUES (?, ?, ?, ?, ?, 'waiting', 0, ?, ?)",
        [
            (
                notice.webhook_id,
                endpoint.key,
                endpoint.name,
                notice.thread,
                json.dumps(notice._asdict()),
                now_us,
                now_us,
            )
            for notice in notices
            for endpoint in endpoints
            if endpoint.wants(notice.rule, notice.severity)
        ],
    )
    return connection.total_changes - before


def due_letters(
    connection: sqlite3.Connection,
    endpoint: Endpoint,
    *,
    now_us: int,
    busy: Collection[int] = (),
    limit: int,
) -> list[Letter]:
    """
    Return up to *limit* letters for *endpoint* that may be sent now, oldest first.

    Args:
        connection: An open store.

        endpoint: Where they go.

        now_us: UTC microseconds since 1970.

        busy: Sequence numbers of letters that are being sent.

        limit: Most letters returned.
    """
    rows = connection.execute(
        "SELECT sequence, webhook_id, notice, attempts, created_us"
        " FROM outbox AS letter"
        " WHERE state = 'waiting' AND endpoint = ? AND due_us <= ? AND NOT EXISTS ("
        "  SELECT 1 FROM outbox AS earlier WHERE earlier.state = 'waiting'"
        "  AND earlier.endpoint = letter.endpoint"
        "  AND earlier.thread = letter.thread"
        "  AND earlier.sequence < letter.sequence)"
        " ORDER BY sequence LIMIT ?",
        (endpoint.key, now_us, limit + len(busy)),
    )
    return [
        Letter(
            sequence=row["sequence"],
            webhook_id=row["webhook_id"],
            notice=row["notice"],
            attempts=row["attempts"],
            created_us=row["created_us"],
        )
        for row in rows
        if row["sequence"] not in busy
    ][:limit]


def next_due_us(connection: sqlite3.Connection, after_us: int) -> int | None:
    """Return when the next waiting letter after *after_us* becomes due, if any."""
    statement = "SELECT min(due_us) FROM outbox WHERE state = 'waiting' AND due_us > ?"
    (moment,) = connection.execute(statement, (after_us,)).fetchone()
    return None if moment is None else int(moment)


def mark_delivered(
    connection: sqlite3.Connection, letter: Letter, *, now_us: int
) -> None:
    """Note that the endpoint took *letter*."""
    connection.execute(
        "UPDATE outbox SET state = 'delivered', attempts = ?, finished_us = ?,"
        " last_error = NULL WHERE sequence = ?",
        (letter.attempts + 1, now_us, letter.sequence),
    )


def mark_failed(
    connection: sqlite3.Connection, letter: Letter, *, reason: str, due_us: int
) -> None:
    """Note a failed attempt; the next is due at *due_us*."""
    connection.execute(
        "UPDATE outbox SET attempts = ?, due_us = ?, last_error = ? WHERE sequence = ?",
        (letter.attempts + 1, due_us, reason, letter.sequence),
    )


def mark_dead(
    connection: sqlite3.Connection, letter: Letter, *, reason: str, now_us: int
) -> None:
    """Give *letter* up after another failed attempt; it stays to be retried by hand."""
    connection.execute(
        "UPDATE outbox SET state = 'dead', attempts = ?, finished_us = ?,"
        " last_error = ? WHERE sequence = ?",
        (letter.attempts + 1, now_us, reason, letter.sequence),
    )


def bury(
    connection: sqlite3.Connection,
    known: Collection[str],
    *,
    reason: str,
    now_us: int,
) -> int:
    """Make dead letters of what waits for endpoints not in *known*; return how many."""
    values = {"known": json.dumps(sorted(known)), "reason": reason, "now": now_us}
    (is_any,) = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM outbox WHERE state = 'waiting'"
        " AND endpoint NOT IN (SELECT value FROM json_each(:known)))",
        values,
    ).fetchone()
    if not is_any:  # an UPDATE of nothing would still wait for other writers
        return 0
    return connection.execute(
        "UPDATE outbox SET state = 'dead', finished_us = :now, last_error = :reason"
        " WHERE state = 'waiting'"
        " AND endpoint NOT IN (SELECT value FROM json_each(:known))",
        values,
    ).rowcount


def revive(
    connection: sqlite3.Connection, *, now_us: int, webhook_ids: Collection[str] = ()
) -> int:
    """
    Let dead letters wait again, due now, with all their attempts before them.

    Args:
        connection: An open store.

        now_us: UTC microseconds since 1970.

        webhook_ids: Only these; none means all whose alert has not been told of later:
            after a recovery notice, an old alarm would only mislead.

    Returns:
        How many.
    """
    return connection.execute(
        "UPDATE outbox SET state = 'waiting', attempts = 0, due_us = :now,"
        " finished_us = NULL WHERE state = 'dead' AND CASE WHEN :is_all"
        " THEN NOT EXISTS (SELECT 1 FROM outbox AS later"
        "  WHERE later.state = 'delivered' AND later.endpoint = outbox.endpoint"
        "  AND later.thread = outbox.thread AND later.sequence > outbox.sequence)"
        " ELSE webhook_id IN (SELECT value FROM json_each(:ids)) END",
        {
            "now": now_us,
            "is_all": not webhook_ids,
            "ids": json.dumps(sorted(webhook_ids)),
        },
    ).rowcount


def count_letters(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the numbers of letters that are ``waiting`` and ``dead``."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM outbox WHERE state = 'waiting') AS waiting,"
        " (SELECT count(*) FROM outbox WHERE state = 'dead') AS dead"
    ).fetchone()
    return dict(row)
