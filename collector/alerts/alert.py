"""What an alert, a finding and a notice are, and how they are identified."""

import functools
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

Kind = Literal["run", "period", "condition"]
"""
How an alert lives.

``run``: about one agent run, told once. ``period``: a threshold crossed in a period,
told once per period. ``condition``: true for a while, told again when it comes back.
"""

State = Literal["pending", "firing", "resolved"]

SEVERITIES: Final = ("info", "warning", "critical")
"""From least to most."""

PERIOD_RULES: Final = frozenset({"budget"})

EVENT_TYPES: Final = {
    "context_growth": "run.context_growth",
    "runaway_loop": "run.loop",
    "context_jump": "run.context_jump",
    "run_too_long": "run.too_long",
    "budget": "budget.threshold_crossed",
    "cost_spike": "cost.spike",
    "cache_hit_drop": "cache.hit_rate_drop",
    "latency_p95": "latency.p95",
    "error_rate": "errors.rate",
    "retry_amplification": "retry.amplification",
    "unpriced_model": "price.unpriced_model",
    "context_trend": "context.trend",
}
"""Webhook type of each built-in rule; any other is ``custom.<rule>``."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def unix_us(moment: datetime) -> int:
    """Return *moment* in UTC microseconds since 1970; without a zone it is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def iso_time(moment_us: int) -> str:
    """Return UTC microseconds since 1970 as ISO 8601 text with whole seconds."""
    moment = _EPOCH + timedelta(microseconds=moment_us)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def rank(severity: str | None) -> int:
    """Return the place of *severity* in `SEVERITIES`, -1 for any other word."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else -1


def event_type(rule: str) -> str:
    """Return the webhook type of *rule*."""
    return EVENT_TYPES.get(rule, f"custom.{rule}")


class Finding(NamedTuple):
    """One row of the findings table, checked; JSON columns as canonical text."""

    rule: str
    severity: str
    scope: str
    value: float | None
    threshold: float | None
    details: str
    run_id: str | None
    trace_id: str | None
    window_start_us: int
    window_end_us: int
    is_quiet: bool = False
    """Recorded but not told, such as one about backfilled spans."""

    @property
    def kind(self) -> Kind:
        """How an alert about this lives."""
        if self.rule in PERIOD_RULES:
            return "period"
        return "condition" if self.run_id is None else "run"

    @property
    def identity(self) -> str:
        """
        What makes this the same alert as another finding of the same rule.

        Not the whole scope for a run: its feature may become known only when the
        root span arrives, after the alert was sent.
        """
        match self.kind:
            case "run":
                return f"{self.trace_id}/{self.run_id}"
            case "period":
                return f"{self.scope}/{self.window_start_us}/{self.threshold!r}"
            case "condition":
                return self.scope


def read_finding(row: Mapping[str, Any]) -> Finding:
    """
    Check one row of the findings table; ``quiet`` may stand beside its columns.

    Raises:
        ValueError: A column is missing or has a value it cannot have.
    """
    try:
        finding = Finding(
            rule=str(row["rule"]),
            severity=str(row["severity"]),
            scope=_canonical(row["scope"]),
            value=_finite(row.get("value")),
            threshold=_finite(row.get("threshold")),
            details=_canonical(row.get("details") or {}),
            run_id=row.get("run_id"),
            trace_id=row.get("trace_id"),
            window_start_us=unix_us(row["window_start"]),
            window_end_us=unix_us(row["window_end"]),
            is_quiet=bool(row.get("quiet")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        message = f"finding: {type(error).__name__}: {error}"
        raise ValueError(message) from None
    if rank(finding.severity) < 0:
        message = f"finding: severity {finding.severity!r} is not one of {SEVERITIES}"
        raise ValueError(message)
    return finding


def _canonical(value: object) -> str:
    return _canonical_text(value if isinstance(value, str) else json.dumps(value))


@functools.lru_cache(maxsize=1 << 14)
def _canonical_text(text: str) -> str:
    document = json.loads(text)
    if not isinstance(document, dict):
        message = f"finding: {text!r} is not a JSON object"
        raise ValueError(message)  # noqa: TRY004  (one error for all bad findings)
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


@dataclass(frozen=True, slots=True)
class Alert:
    """
    State of one alert.

    Times are UTC microseconds since 1970. ``origin``, ``labels`` and ``period_us`` are
    those of the finding that opened the episode and stay, so that a recovery notice
    finds its alert at the receiver; the other columns follow the newest finding.
    """

    rule: str
    identity: str
    kind: Kind
    state: State
    severity: str
    """Highest in this episode."""
    scope: str
    value: float | None
    threshold: float | None
    details: str
    run_id: str | None
    trace_id: str | None
    window_start_us: int
    window_end_us: int
    origin: str
    labels: str
    period_us: int
    episode: int
    """How often it fired."""
    opened_us: int
    changed_us: int
    """When the finding last said something new."""
    absent_us: int | None = None
    """Since when there is no finding."""
    fired_us: int | None = None
    resolved_us: int | None = None
    notified_us: int | None = None
    notified_severity: str | None = None
    renotified: int = 0


class Notice(NamedTuple):
    """Something to tell about an alert, with what every format needs."""

    webhook_id: str
    type: str
    time_us: int
    rule: str
    state: Literal["firing", "resolved"]
    severity: str
    previous_severity: str | None
    scope: str
    labels: str
    value: float | None
    threshold: float | None
    details: str
    dedup_key: str
    """The same from firing to recovery."""
    thread: str
    """The same for all notices of an alert, which must arrive in order."""
    fired_us: int


def digest(*parts: object) -> str:
    """Return 32 hex digits that stand for *parts*."""
    text = json.dumps([str(part) for part in parts], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
