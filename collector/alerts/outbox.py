"""
The outbox: what has to be delivered where, and how that went.

A row is ``waiting``, ``delivered`` or ``dead``. Rows of one alert go to one endpoint in
the order they were written; rows of other alerts do not wait for them.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from collector.alerts.alert import Notice
from collector.alerts.digests import (
    MINUTE_US,
    digest_id,
    minute_of,
    split_notices,
    write_digest,
)
from collector.alerts.webhook import Endpoint

MAX_WAITING: Final = 10_000
"""Letters that may wait for one endpoint; further alerts go into digests."""
MAX_FINISHED: Final = 10_000
"""Letters kept that were delivered, and as many that were given up."""


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
    per_minute: int = MAX_WAITING,
) -> int:
    """
    Write a row per notice and endpoint that wants it; return how many are new.

    Putting the same notice again changes nothing. Notices beyond *per_minute* of an
    endpoint, or while `MAX_WAITING` wait for it, become one row for that minute, which
    is due when the minute is over.
    """
    before = connection.total_changes
    told = list(notices)
    for endpoint in endpoints:
        wanted = [it for it in told if endpoint.wants(it.rule, it.severity)]
        if not wanted:
            continue
        allowed = _allowed(connection, endpoint, now_us, per_minute)
        single, many = split_notices(wanted, allowed)
        _insert(connection, endpoint, single, now_us=now_us, due_us=now_us)
        if many:
            _put_digest(connection, endpoint, many, now_us, per_minute)
    return connection.total_changes - before


def _allowed(
    connection: sqlite3.Connection, endpoint: Endpoint, now_us: int, per_minute: int
) -> int:
    since_us = now_us - MINUTE_US
    row = connection.execute(
        "SELECT (SELECT count(*) FROM outbox WHERE state = 'waiting' AND endpoint = ?)"
        " AS waiting, (SELECT count(*) FROM (SELECT created_us FROM outbox"
        " WHERE endpoint = ? ORDER BY sequence DESC LIMIT ?) WHERE created_us > ?)"
        " AS fresh",
        (endpoint.key, endpoint.key, per_minute, since_us),
    ).fetchone()
    room = MAX_WAITING - int(row["waiting"])
    return max(0, min(room, per_minute - int(row["fresh"])))


def _put_digest(
    connection: sqlite3.Connection,
    endpoint: Endpoint,
    notices: Sequence[Notice],
    now_us: int,
    per_minute: int,
) -> None:
    minute = minute_of(now_us)
    row = connection.execute(
        "SELECT notice FROM outbox WHERE webhook_id = ? AND endpoint = ?",
        (digest_id(endpoint.key, minute), endpoint.key),
    ).fetchone()
    earlier = Notice(**json.loads(row["notice"])) if row else None
    told = write_digest(
        notices,
        earlier,
        endpoint_key=endpoint.key,
        minute=minute,
        allowed=per_minute,
    )
    due_us = (minute + 1) * MINUTE_US
    _insert(connection, endpoint, [told], now_us=now_us, due_us=due_us)
    if row:
        connection.execute(
            "UPDATE outbox SET notice = ? WHERE webhook_id = ? AND endpoint = ?",
            (json.dumps(told._asdict()), told.webhook_id, endpoint.key),
        )


def _insert(
    connection: sqlite3.Connection,
    endpoint: Endpoint,
    notices: Iterable[Notice],
    *,
    now_us: int,
    due_us: int,
) -> None:
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
                due_us,
            )
            for notice in notices
        ],
    )


def prune(connection: sqlite3.Connection, *, delivered_us: int, dead_us: int) -> None:
    """Forget what was finished before these times, and all but the newest letters."""
    connection.execute(
        "DELETE FROM outbox WHERE (state = 'delivered' AND finished_us < ?)"
        " OR (state = 'dead' AND finished_us < ?)",
        (delivered_us, dead_us),
    )
    for state in ("delivered", "dead"):
        connection.execute(
            "DELETE FROM outbox WHERE state = ? AND sequence <= (SELECT sequence"
            " FROM outbox WHERE state = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?)",
            (state, state, MAX_FINISHED),
        )


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
