"""Alert states and the one function that moves them: look, decide, record."""

import dataclasses
import operator
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import structlog
from prometheus_client import Counter

from collector.alerts import outbox
from collector.alerts.alert import (
    SEVERITIES,
    Alert,
    Finding,
    rank,
    read_finding,
    unix_us,
)
from collector.alerts.database import connect, repair, transaction
from collector.alerts.lifecycle import Change, Policy, Step, advance
from collector.alerts.silences import Silence, active_silences, is_silenced
from collector.alerts.webhook import Endpoint, load_endpoints
from collector.config import AlertSettings
from collector.telemetry import RepeatingLog

_DAY_US: Final = 86_400_000_000
KEEP_RESOLVED_US: Final = 7 * _DAY_US
"""How long a resolved alert without a finding is remembered."""
MAX_RESOLVED: Final = 50_000
"""How many of these at most; the oldest are forgotten first."""
_LOGGED: Final = 20
KEEP_DEAD_US: Final = 30 * _DAY_US
_PRUNE_EVERY_US: Final = _DAY_US // 24
_COLUMNS: Final = tuple(field.name for field in dataclasses.fields(Alert))
_row: Final = operator.attrgetter(*_COLUMNS)

TRANSITIONS: Final = Counter(
    "spanledger_alert_transitions_total",
    "Changes in the life of alerts.",
    ["rule", "change"],
)
REFUSED_FINDINGS: Final = Counter(
    "spanledger_alert_findings_refused_total",
    "Findings that were not understood.",
    ["rule"],
)

log = structlog.get_logger(component="alerts")
repeating = RepeatingLog(log)

Key = tuple[str, str]


class Transition(NamedTuple):
    """What one look changed about one alert."""

    change: Change
    rule: str
    severity: str
    scope: str
    """Canonical JSON."""
    webhook_id: str | None
    """Id of the webhook that tells of it; none if nobody is told."""


class AlertStore:
    """
    The states of all alerts; for one thread at a time.

    They are kept in memory as well: only what changes is written.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        rows = connection.execute("SELECT * FROM alerts")
        alerts = (Alert(**dict(row)) for row in rows)
        self._alerts = {(alert.rule, alert.identity): alert for alert in alerts}
        self._watched = {key for key, it in self._alerts.items() if _is_watched(it)}
        self._pruned_us = 0

    @classmethod
    def open(cls, path: Path) -> Self:
        """
        Open the store at *path*, made if it is not there, moved aside if damaged.

        Raises:
            AlertStoreError: It cannot be opened.
        """
        repair(path)
        return cls(connect(path))

    def close(self) -> None:
        """Close the store; closing it again does nothing."""
        self._connection.close()

    def observe(
        self,
        findings: Iterable[Mapping[str, Any]],
        *,
        now: datetime,
        settings: AlertSettings,
        rules: Collection[str] | None = None,
    ) -> list[Transition]:
        """
        Take one look: record what changed and what is to be told, as one transaction.

        Looking again with the same findings changes nothing, so a tick that is
        repeated after a crash tells nothing twice. Look also when there is no news:
        recovery and reminders depend on the time alone.

        Args:
            findings: All that are true now, as rows of the findings table. A row may
                have ``quiet`` set: it is recorded and not told. A row that is not
                understood is counted, logged and left out.

            now: Time of the look.

            settings: Waiting times and endpoints.

            rules: Names of the rules that were looked at, if not all: alerts of other
                rules stay as they are.

        Returns:
            What changed, in the order of the findings, then alerts without one.

        Raises:
            ConfigError: A webhook of the settings has a bad URL or secret.

            sqlite3.Error: Nothing was recorded.
        """
        now_us = unix_us(now)
        endpoints = load_endpoints(settings)
        current = self._read(findings, endpoints)
        with transaction(self._connection):
            silences = active_silences(self._connection, now_us)
            renamed = self._adopt(current)
            steps = self._look(current, renamed, now_us, settings, silences, rules)
            self._write(steps, renamed)
            notices = [step.notice for _, step in steps if step.notice]
            outbox.put(
                self._connection,
                notices,
                endpoints,
                now_us=now_us,
                per_minute=settings.max_per_minute,
            )
            self._prune(now_us)
        self._remember(steps, renamed)
        return _report(steps)

    def _read(
        self, findings: Iterable[Mapping[str, Any]], endpoints: Iterable[Endpoint]
    ) -> dict[Key, Finding]:
        """Return what somebody could want to know; of several windows the newest."""
        floor = min(
            (rank(endpoint.min_severity) for endpoint in endpoints),
            default=len(SEVERITIES),
        )
        floor = min(floor, rank("warning"))
        current: dict[Key, Finding] = {}
        for row in findings:
            try:
                finding = read_finding(row)
            except ValueError as error:
                rule = str(row.get("rule"))
                REFUSED_FINDINGS.labels(rule).inc()
                repeating.warning(
                    "finding_refused", about=rule, rule=rule, reason=str(error)
                )
                continue
            if rank(finding.severity) < floor:
                continue
            key = finding.rule, finding.identity
            known = current.get(key)
            if known is None or known.window_start_us <= finding.window_start_us:
                current[key] = finding
        return current

    def _adopt(self, current: Mapping[Key, Finding]) -> dict[Key, Key]:
        """
        Find alerts whose run is known by another id now: old key by new key.

        The span of an agent ends last: before it arrives, its run goes by a makeshift
        id. Then the finding of the old id is gone and one of the same rule and trace
        is new, at the same look.
        """
        new = {
            key: finding
            for key, finding in current.items()
            if finding.kind == "run" and key not in self._alerts
        }
        if not new:
            return {}
        traces = {(finding.rule, finding.trace_id) for finding in new.values()}
        lost: dict[tuple[str, str | None], list[Key]] = {}
        for key in sorted(self._watched - current.keys()):
            alert = self._alerts[key]
            about = alert.rule, alert.trace_id
            if alert.kind == "run" and alert.absent_us is None and about in traces:
                lost.setdefault(about, []).append(key)
        renamed = {}
        for key, finding in new.items():
            if candidates := lost.get((finding.rule, finding.trace_id)):
                renamed[key] = candidates.pop(0)
        return renamed

    def _look(
        self,
        current: Mapping[Key, Finding],
        renamed: Mapping[Key, Key],
        now_us: int,
        settings: AlertSettings,
        silences: list[Silence],
        rules: Collection[str] | None,
    ) -> list[tuple[Key, Step]]:
        policy = Policy.of(settings)
        steps = []
        for key, finding in current.items():
            alert = self._alerts.get(renamed.get(key, key))
            if alert is not None and key in renamed:
                alert = dataclasses.replace(
                    alert, identity=finding.identity, run_id=finding.run_id
                )
            is_muted = finding.is_quiet or is_silenced(
                silences, finding.rule, finding.scope
            )
            step = advance(alert, finding, now_us=now_us, policy=policy, muted=is_muted)
            if step.alert is not alert or key in renamed:
                steps.append((key, step))
        gone = self._watched - current.keys() - set(renamed.values())
        for key in sorted(gone):
            alert = self._alerts[key]
            if rules is not None and alert.rule not in rules:
                continue
            step = advance(alert, None, now_us=now_us, policy=policy)
            if step.alert is not alert:
                steps.append((key, step))
        return steps

    def _write(
        self, steps: Iterable[tuple[Key, Step]], renamed: Mapping[Key, Key]
    ) -> None:
        removed = [key for key, step in steps if step.alert is None]
        self._connection.executemany(
            "DELETE FROM alerts WHERE rule = ? AND identity = ?",
            [*removed, *renamed.values()],
        )
        places = ", ".join("?" * len(_COLUMNS))
        self._connection.executemany(
            f"INSERT OR REPLACE INTO alerts ({', '.join(_COLUMNS)})"  # noqa: S608
            f" VALUES ({places})",
            [_row(step.alert) for _, step in steps if step.alert],
        )

    def _remember(
        self, steps: Iterable[tuple[Key, Step]], renamed: Mapping[Key, Key]
    ) -> None:
        for old in renamed.values():
            self._alerts.pop(old, None)
            self._watched.discard(old)
        for key, step in steps:
            self._watched.discard(key)
            if step.alert is None:
                self._alerts.pop(key, None)
                continue
            self._alerts[key] = step.alert
            if _is_watched(step.alert):
                self._watched.add(key)

    def _prune(self, now_us: int) -> None:
        """Forget, about once an hour, what is long over."""
        if now_us - self._pruned_us < _PRUNE_EVERY_US:
            return
        self._pruned_us = now_us
        before_us = now_us - KEEP_RESOLVED_US
        resolved = sorted(
            (alert.absent_us, key)
            for key, alert in self._alerts.items()
            if alert.state == "resolved" and alert.absent_us is not None
        )
        many = max(0, len(resolved) - MAX_RESOLVED)
        over = [key for _, key in resolved[:many]]
        over += [key for absent_us, key in resolved[many:] if absent_us < before_us]
        self._connection.executemany(
            "DELETE FROM alerts WHERE rule = ? AND identity = ?", over
        )
        for key in over:
            del self._alerts[key]
        outbox.prune(
            self._connection, delivered_us=before_us, dead_us=now_us - KEEP_DEAD_US
        )
        self._connection.execute(
            "DELETE FROM silences WHERE until_us < ?", (before_us,)
        )


def _is_watched(alert: Alert) -> bool:
    return alert.state != "resolved" or alert.absent_us is None


def _report(steps: Iterable[tuple[Key, Step]]) -> list[Transition]:
    transitions: list[Transition] = []
    for (rule, _), step in steps:
        if step.change is None:
            continue
        TRANSITIONS.labels(rule, step.change).inc()
        notice, alert = step.notice, step.alert
        transition = Transition(
            change=step.change,
            rule=rule,
            severity=alert.severity if alert else "info",
            scope=alert.scope if alert else "{}",
            webhook_id=notice.webhook_id if notice else None,
        )
        transitions.append(transition)
        if len(transitions) <= _LOGGED:
            log.info("alert_changed", **transition._asdict())
    if len(transitions) > _LOGGED:
        log.info("alerts_changed", alerts=len(transitions), logged=_LOGGED)
    return transitions
