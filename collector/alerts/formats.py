"""Notices as the bodies that endpoints understand; pure functions."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from collector.alerts.alert import Notice, iso_time
from collector.alerts.webhook import Endpoint

_HOUR_US: Final = 3_600_000_000
_ALERTMANAGER_HOLD_US: Final = 24 * _HOUR_US
"""
How long Alertmanager shows an alert without hearing of it again.

It would drop one without an end after its ``resolve_timeout`` of five minutes.
"""
_TITLES: Final = {
    "context_growth": "context grows with every step",
    "runaway_loop": "run repeats itself",
    "context_jump": "one result fills the context",
    "run_too_long": "run goes on far longer than usual",
    "budget": "budget threshold crossed",
    "cost_spike": "cost far above its usual level",
    "cache_hit_drop": "cache is hit far less than usual",
    "latency_p95": "model answers slowly",
    "error_rate": "provider fails often",
    "retry_amplification": "retries multiply calls",
    "embedding_duplicates": "the same is embedded again",
    "unpriced_model": "calls without a price",
    "context_trend": "context grows from run to run",
    "digest": "more alerts than are told one by one",
}


def render(notice: Notice, endpoint: Endpoint) -> bytes:
    """Return the JSON body of *notice* in the format of *endpoint*."""
    document = _RENDERERS[endpoint.format](notice, endpoint)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def summary(notice: Notice) -> str:
    """Return one line that says what happened to whom."""
    title = _TITLES.get(notice.rule, notice.rule.replace("_", " "))
    scope = json.loads(notice.scope)
    named = [
        f"{key} {scope[key]}"
        for key in scope
        if key not in {"run_id", "trace_id", "tenant"}
    ]
    subject = ", ".join(named) or f"trace {scope.get('trace_id', 'unknown')}"
    word = "resolved" if notice.state == "resolved" else notice.severity
    return f"[{word}] {title}: {subject}"


def _generic(notice: Notice, _endpoint: Endpoint) -> dict[str, Any]:
    return {
        "type": notice.type,
        "timestamp": iso_time(notice.time_us),
        "data": {
            "rule": notice.rule,
            "state": notice.state,
            "severity": notice.severity,
            "scope": json.loads(notice.scope),
            "value": notice.value,
            "threshold": notice.threshold,
            "details": json.loads(notice.details),
        },
    }


def _slack(notice: Notice, _endpoint: Endpoint) -> dict[str, Any]:
    """
    Return a Block Kit message.

    Limits: header 150 characters, 10 fields a section, 2,000 characters a field
    (Slack, "Reference: blocks", read 2026-11).
    """
    line = summary(notice)
    facts = {
        "value": notice.value,
        "threshold": notice.threshold,
        **json.loads(notice.scope),
        **json.loads(notice.details),
    }
    fields = [
        {
            "type": "mrkdwn",
            "text": f"*{_escaped(key[:60])}*\n{_escaped(_shown(value)[:300])}",
        }
        for key, value in facts.items()
        if value is not None
    ]
    sections = [
        {"type": "section", "fields": fields[start : start + 10]}
        for start in range(0, min(len(fields), 40), 10)
    ]
    footer = f"{notice.type} · {iso_time(notice.time_us)} · {notice.webhook_id}"
    return {
        "text": _escaped(line),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": line[:150]}},
            *sections,
            {
                "type": "context",
                "elements": [{"type": "plain_text", "text": footer[:2000]}],
            },
        ],
    }


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _pagerduty(notice: Notice, endpoint: Endpoint) -> dict[str, Any]:
    """Return an event of PagerDuty's Events API v2: a summary has 1,024 characters."""
    event: dict[str, Any] = {
        "routing_key": endpoint.routing_key,
        "event_action": "resolve" if notice.state == "resolved" else "trigger",
        "dedup_key": notice.dedup_key,
    }
    if notice.state == "resolved":
        return event
    return event | {
        "client": "spanledger",
        "payload": {
            "summary": summary(notice)[:1024],
            "source": "spanledger",
            "severity": notice.severity,
            "timestamp": iso_time(notice.time_us),
            "class": notice.type,
            "custom_details": _generic(notice, endpoint)["data"],
        },
    }


def _alertmanager(notice: Notice, _endpoint: Endpoint) -> list[dict[str, Any]]:
    """
    Return alerts for Alertmanager's API v2.

    It knows an alert by its labels, so they are those of the episode's first finding;
    a higher severity is another alert there and ends the lower one.
    """
    is_over = notice.state == "resolved"
    end_us = notice.time_us if is_over else notice.time_us + _ALERTMANAGER_HOLD_US
    alerts = [_alertmanager_alert(notice, notice.severity, end_us)]
    previous = notice.previous_severity
    if previous and previous != notice.severity:
        alerts.insert(0, _alertmanager_alert(notice, previous, notice.time_us))
    return alerts


def _alertmanager_alert(notice: Notice, severity: str, end_us: int) -> dict[str, Any]:
    return {
        "labels": {
            **_labels(json.loads(notice.labels)),
            "alertname": notice.rule,
            "severity": severity,
        },
        "annotations": {
            "summary": summary(notice),
            "value": _shown(notice.value),
            "threshold": _shown(notice.threshold),
            "details": notice.details,
        },
        "startsAt": iso_time(notice.fired_us),
        "endsAt": iso_time(end_us),
    }


def _labels(scope: Mapping[str, object]) -> dict[str, str]:
    """Return *scope* as labels: a name has letters, digits and underscores."""
    return {
        "".join(char if char.isascii() and char.isalnum() else "_" for char in key): (
            _shown(value)
        )
        for key, value in scope.items()
        if value is not None and value != ""
    }


_RENDERERS: Final[dict[str, Callable[[Notice, Endpoint], object]]] = {
    "generic": _generic,
    "slack": _slack,
    "pagerduty": _pagerduty,
    "alertmanager": _alertmanager,
}
