"""What people ask and tell the alert store: lists, tests, retries, silences."""

import asyncio
import json
import time
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa

from collector.alerts import outbox, silences
from collector.alerts.alert import Notice, digest, unix_us
from collector.alerts.attempt import Outcome, attempt, open_client
from collector.alerts.database import connected
from collector.alerts.formats import render
from collector.alerts.webhook import Endpoint, load_endpoints
from collector.config import AlertSettings

_TEXT: Final = pa.string()
_TIME: Final = pa.timestamp("us", tz="UTC")

ALERT_SCHEMA: Final = pa.schema(
    [
        pa.field("rule", _TEXT),
        pa.field("state", _TEXT),
        pa.field("severity", _TEXT),
        pa.field("scope", _TEXT),
        pa.field("value", pa.float64()),
        pa.field("threshold", pa.float64()),
        pa.field("details", _TEXT),
        pa.field("fired_at", _TIME),
        pa.field("resolved_at", _TIME),
        pa.field("notified_at", _TIME),
        pa.field("silenced", pa.bool_()),
    ]
)
"""Alerts as people see them."""

DELIVERY_SCHEMA: Final = pa.schema(
    [
        pa.field("webhook_id", _TEXT),
        pa.field("endpoint", _TEXT),
        pa.field("state", _TEXT),
        pa.field("type", _TEXT),
        pa.field("alert_state", _TEXT),
        pa.field("attempts", pa.int64()),
        pa.field("created_at", _TIME),
        pa.field("due_at", _TIME),
        pa.field("finished_at", _TIME),
        pa.field("last_error", _TEXT),
    ]
)
"""Letters of the outbox as people see them."""

SILENCE_SCHEMA: Final = pa.schema(
    [
        pa.field("id", pa.int64()),
        pa.field("rule", _TEXT),
        pa.field("scope", _TEXT),
        pa.field("created_at", _TIME),
        pa.field("until", _TIME),
        pa.field("comment", _TEXT),
    ]
)
"""Silences as people see them."""


class Tried(NamedTuple):
    """How one endpoint took a test alert."""

    endpoint: str
    delivered: bool
    status: int | None
    error: str
    duration_seconds: float


def list_alerts(
    store_path: Path, *, now: datetime, states: Collection[str] = ("firing", "pending")
) -> pa.Table:
    """
    Return alerts in *states*, the newest first; none if there is no store.

    Args:
        store_path: File of the alert store.

        now: Time at which silences count.

        states: ``pending``, ``firing``, ``resolved``.
    """
    if not store_path.exists():
        return ALERT_SCHEMA.empty_table()
    with connected(store_path) as connection:
        muted = silences.active_silences(connection, unix_us(now))
        rows = connection.execute(
            "SELECT * FROM alerts WHERE state IN (SELECT value FROM json_each(?))"
            " ORDER BY coalesce(fired_us, opened_us) DESC, rule, identity",
            (json.dumps(list(states)),),
        )
        alerts = [
            {
                **dict(row),
                "fired_at": row["fired_us"],
                "resolved_at": row["resolved_us"],
                "notified_at": row["notified_us"],
                "silenced": silences.is_silenced(muted, row["rule"], row["scope"]),
            }
            for row in rows
        ]
    return _table(alerts, ALERT_SCHEMA)


def list_deliveries(
    store_path: Path, *, states: Collection[str] = ("waiting", "dead")
) -> pa.Table:
    """
    Return letters of the outbox in *states*, the newest first.

    Args:
        store_path: File of the alert store.

        states: ``waiting``, ``delivered``, ``dead``.
    """
    if not store_path.exists():
        return DELIVERY_SCHEMA.empty_table()
    with connected(store_path) as connection:
        rows = connection.execute(
            "SELECT webhook_id, endpoint_name AS endpoint, state,"
            " notice ->> '$.type' AS type, notice ->> '$.state' AS alert_state,"
            " attempts, created_us AS created_at, due_us AS due_at,"
            " finished_us AS finished_at, last_error FROM outbox"
            " WHERE state IN (SELECT value FROM json_each(?)) ORDER BY sequence DESC",
            (json.dumps(list(states)),),
        )
        letters = [dict(row) for row in rows]
    return _table(letters, DELIVERY_SCHEMA)


def retry_dead(
    store_path: Path, *, now: datetime, webhook_ids: Collection[str] = ()
) -> int:
    """
    Put dead letters back into the outbox; return how many.

    A running service delivers them within a second, otherwise the next one does.
    Without ids, letters about alerts that were told of since are left out.
    """
    if not store_path.exists():
        return 0
    with connected(store_path) as connection:
        return outbox.revive(connection, now_us=unix_us(now), webhook_ids=webhook_ids)


def silence(
    store_path: Path,
    *,
    now: datetime,
    until: datetime,
    rule: str | None = None,
    scope: Mapping[str, str] | None = None,
    comment: str = "",
) -> int:
    """
    Mute matching alerts *until* then; return the id of the silence.

    Alerts live on meanwhile: one that still fires afterwards is told then, and what
    was told before is taken back when it is over.

    Args:
        store_path: File of the alert store.

        now: When it begins.

        until: When it ends.

        rule: Only alerts of this rule.

        scope: Only alerts with all these items in their scope.

        comment: Why, for people.
    """
    with connected(store_path) as connection:
        return silences.add_silence(
            connection, now=now, until=until, rule=rule, scope=scope, comment=comment
        )


def unsilence(store_path: Path, silence_id: int) -> bool:
    """End a silence; return whether there was one of that id."""
    with connected(store_path) as connection:
        return silences.end_silence(connection, silence_id)


def list_silences(store_path: Path, *, now: datetime) -> pa.Table:
    """Return the silences that hold at *now*, the oldest first."""
    if not store_path.exists():
        return SILENCE_SCHEMA.empty_table()
    with connected(store_path) as connection:
        found = silences.active_silences(connection, unix_us(now))
    rows = [
        {
            "id": one.id,
            "rule": one.rule,
            "scope": json.dumps(one.scope),
            "created_at": one.created_us,
            "until": one.until_us,
            "comment": one.comment,
        }
        for one in found
    ]
    return _table(rows, SILENCE_SCHEMA)


def send_test(settings: AlertSettings) -> list[Tried]:
    """
    Send a test alert to every endpoint now, past the outbox, and its recovery.

    Raises:
        ConfigError: A webhook of the settings has a bad URL or secret.
    """
    return asyncio.run(_send_tests(load_endpoints(settings)))


async def _send_tests(endpoints: tuple[Endpoint, ...]) -> list[Tried]:
    return list(await asyncio.gather(*map(_send_test, endpoints)))


async def _send_test(endpoint: Endpoint) -> Tried:
    start = time.time()
    opened = _test_notice(int(start * 1_000_000))
    closed_id = f"msg_{digest(opened.dedup_key, 'resolved')}"
    closed = opened._replace(state="resolved", webhook_id=closed_id)
    outcome = Outcome(is_delivered=False)
    async with open_client() as client:
        for notice in (opened, closed):
            outcome = await attempt(
                client,
                endpoint,
                webhook_id=notice.webhook_id,
                body=render(notice, endpoint),
                now=time.time(),
            )
            if not outcome.is_delivered:
                break
    return Tried(
        endpoint=endpoint.name,
        delivered=outcome.is_delivered,
        status=outcome.status,
        error=outcome.reason,
        duration_seconds=round(time.time() - start, 3),
    )


def _test_notice(now_us: int) -> Notice:
    key = digest("test", now_us)
    return Notice(
        webhook_id=f"msg_{key}",
        type="custom.test",
        time_us=now_us,
        rule="test",
        state="firing",
        severity="info",
        previous_severity=None,
        scope='{"test":"spanledger alerts test"}',
        labels='{"test":"spanledger alerts test"}',
        value=1.0,
        threshold=1.0,
        details="{}",
        dedup_key=key,
        thread=key,
        fired_us=now_us,
    )


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    columns = [
        pa.array([row[field.name] for row in rows], type=field.type) for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
