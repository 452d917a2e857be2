"""Silences: alerts that nobody wants to hear of for a while."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from collector.alerts.alert import unix_us


@dataclass(frozen=True, slots=True)
class Silence:
    """
    Mutes alerts of *rule* (none: any) whose scope has all items of *scope*.

    Times are UTC microseconds since 1970.
    """

    id: int
    rule: str | None
    scope: Mapping[str, str]
    created_us: int
    until_us: int
    comment: str


def add_silence(
    connection: sqlite3.Connection,
    *,
    now: datetime,
    until: datetime,
    rule: str | None = None,
    scope: Mapping[str, str] | None = None,
    comment: str = "",
) -> int:
    """Mute matching alerts from now *until* then; return the silence's id."""
    values = (
        rule,
        json.dumps(dict(scope or {}), sort_keys=True),
        unix_us(now),
        unix_us(until),
        comment,
    )
    statement = (
        "INSERT INTO silences (rule, scope, created_us, until_us, comment)"
        " VALUES (?, ?, ?, ?, ?)"
    )
    return int(connection.execute(statement, values).lastrowid or 0)


def end_silence(connection: sqlite3.Connection, silence_id: int) -> bool:
    """Remove a silence; return whether there was one of that id."""
    statement = "DELETE FROM silences WHERE id = ?"
    return connection.execute(statement, (silence_id,)).rowcount > 0


def active_silences(connection: sqlite3.Connection, now_us: int) -> list[Silence]:
    """Return the silences that hold at *now_us*, the oldest first."""
    rows = connection.execute(
        "SELECT * FROM silences WHERE until_us > ? ORDER BY id", (now_us,)
    )
    return [Silence(**{**dict(row), "scope": json.loads(row["scope"])}) for row in rows]


def is_silenced(silences: Sequence[Silence], rule: str, scope: str) -> bool:
    """Tell whether a silence covers an alert of *rule* with *scope* (JSON)."""
    if not silences:
        return False
    said: dict[str, Any] = json.loads(scope)
    return any(
        silence.rule in {None, rule}
        and all(str(said.get(key)) == value for key, value in silence.scope.items())
        for silence in silences
    )
