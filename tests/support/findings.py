"""Findings as the rules return them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def growth(
    run_id: str = "b7ad6b7169203331",
    *,
    trace_id: str = "0af7651916cd43dd8448eb211c80319c",
    severity: str = "warning",
    value: float = 1.97,
    steps: int = 12,
    feature: str | None = "refund",
    start: datetime = NOON,
) -> dict[str, Any]:
    """Return a finding of ``context_growth`` about one run."""
    scope = {"agent_name": "triage-agent", "run_id": run_id, "trace_id": trace_id}
    if feature:
        scope["feature"] = feature
    details = {"steps": steps, "wasted_usd": "0.184200000000"}
    return _finding(
        "context_growth",
        severity,
        scope,
        (value, 1.6),
        (start, start + timedelta(hours=1)),
        details,
        run_id=run_id,
        trace_id=trace_id,
    )


def budget(
    percent: int, *, day: datetime = NOON, feature: str = "refund"
) -> dict[str, Any]:
    """Return a finding of ``budget``: a threshold crossed in a day."""
    start = day.replace(hour=0, minute=0, second=0, microsecond=0)
    return _finding(
        "budget",
        "critical" if percent >= 100 else "warning",
        {"budget": "daily", "feature": feature, "threshold_percent": str(percent)},
        (percent + 1.0, float(percent)),
        (start, start + timedelta(days=1)),
        {"spent": "8.100000000000"},
        trace_id="0af7651916cd43dd8448eb211c80319c",
    )


def spike(
    *,
    start: datetime = NOON,
    severity: str = "warning",
    value: float = 3.0,
    feature: str = "search",
) -> dict[str, Any]:
    """Return a finding of ``cost_spike`` about the hour from *start*."""
    return _finding(
        "cost_spike",
        severity,
        {"feature": feature},
        (value, 2.0),
        (start, start + timedelta(hours=1)),
        {},
    )


def _finding(
    rule: str,
    severity: str,
    scope: dict[str, str],
    numbers: tuple[float, float],
    window: tuple[datetime, datetime],
    details: dict[str, Any],
    *,
    run_id: str | None = None,
    trace_id: str | None = None,
) -> dict[str, Any]:
    return {
        "timestamp": window[0],
        "rule": rule,
        "severity": severity,
        "scope": json.dumps(scope, sort_keys=True),
        "window_start": window[0],
        "window_end": window[1],
        "value": numbers[0],
        "threshold": numbers[1],
        "run_id": run_id,
        "trace_id": trace_id,
        "details": json.dumps(details, sort_keys=True),
    }
