"""The life of an alert as a pure function: pending, firing, resolved."""

from dataclasses import replace
from typing import Final, Literal, NamedTuple

from collector.alerts.alert import (
    Alert,
    Finding,
    Notice,
    State,
    digest,
    event_type,
    rank,
)
from collector.config import AlertSettings

_SECOND_US: Final = 1_000_000
_LAG_US: Final = 120 * _SECOND_US
"""How long after its end a window still counts as now: ticks come late."""

Change = Literal["pending", "firing", "escalated", "renotified", "resolved", "dropped"]


class Policy(NamedTuple):
    """How patient the life cycle is, in microseconds."""

    pending_us: int
    cooldown_us: int
    renotify_us: int

    @classmethod
    def of(cls, settings: AlertSettings) -> "Policy":
        """Return the policy that *settings* describe."""
        return cls(
            pending_us=round(settings.pending_seconds * _SECOND_US),
            cooldown_us=round(settings.cooldown_seconds * _SECOND_US),
            renotify_us=round(settings.renotify_seconds * _SECOND_US),
        )


class Step(NamedTuple):
    """Result of one look: the alert's next state (none: forget it) and what changed."""

    alert: Alert | None
    change: Change | None = None
    notice: Notice | None = None


def advance(
    alert: Alert | None,
    finding: Finding | None,
    *,
    now_us: int,
    policy: Policy,
    muted: bool = False,
) -> Step:
    """
    Take one look at an alert.

    Args:
        alert: Its state so far; none if nothing is known.

        finding: What its rule says now; none if the rule no longer says it.

        now_us: Time of the look, UTC microseconds since 1970.

        policy: Waiting times.

        muted: A silence covers it: it lives on, but is told only when the silence
            ends. What was told before is still taken back.

    Returns:
        The next state. It is the very same object if nothing changed.
    """
    if alert and finding and not _is_news(alert, finding, now_us):
        finding = None
    if finding is not None:
        followed = _follow(alert or _open(finding, now_us), finding, now_us)
        return _tell(
            alert.state if alert else None,
            _fire(followed, now_us, policy),
            now_us=now_us,
            policy=policy,
            muted=muted,
        )
    if alert is None:
        return Step(None)
    return _miss(alert, now_us, policy)


def _is_news(alert: Alert, finding: Finding, now_us: int) -> bool:
    """
    Tell whether *finding* keeps *alert* alive.

    Rules go on returning windows that are over: what was true then is not true now.
    A window that the alert has not seen yet is news even when it is over.
    """
    if alert.kind == "run" or now_us < finding.window_end_us + _LAG_US:
        return True
    is_done = alert.state == "resolved" and alert.kind == "condition"
    return is_done and finding.window_start_us > alert.window_start_us


def _open(finding: Finding, now_us: int) -> Alert:
    return Alert(
        rule=finding.rule,
        identity=finding.identity,
        kind=finding.kind,
        state="pending",
        severity=finding.severity,
        scope=finding.scope,
        value=finding.value,
        threshold=finding.threshold,
        details=finding.details,
        run_id=finding.run_id,
        trace_id=finding.trace_id,
        window_start_us=finding.window_start_us,
        window_end_us=finding.window_end_us,
        origin=finding.identity,
        labels=finding.scope,
        period_us=finding.window_start_us,
        episode=0,
        opened_us=now_us,
        changed_us=now_us,
    )


def _follow(alert: Alert, finding: Finding, now_us: int) -> Alert:
    """
    Take over what the finding says.

    A condition that came back opens anew; anything else fires again only when it got
    worse than it ever was.
    """
    if alert.state == "resolved" and alert.kind == "condition":
        return replace(_open(finding, now_us), episode=alert.episode)
    severity = max(alert.severity, finding.severity, key=rank)
    said = (alert.scope, alert.value, alert.threshold, alert.details, alert.severity)
    says = (finding.scope, finding.value, finding.threshold, finding.details, severity)
    is_worse = rank(severity) > rank(alert.severity)
    if alert.state == "resolved" and is_worse:
        alert = replace(alert, state="firing", resolved_us=None)
    is_same_window = alert.window_end_us == finding.window_end_us
    if said == says and is_same_window and alert.absent_us is None:
        return alert
    return replace(
        alert,
        severity=severity,
        scope=finding.scope,
        value=finding.value,
        threshold=finding.threshold,
        details=finding.details,
        window_start_us=finding.window_start_us,
        window_end_us=finding.window_end_us,
        changed_us=alert.changed_us if said == says else now_us,
        absent_us=None,
    )


def _fire(alert: Alert, now_us: int, policy: Policy) -> Alert:
    """Let a pending alert fire in time, a run's resolve when it says nothing new."""
    if alert.state == "pending":
        patience_us = policy.pending_us if alert.kind == "condition" else 0
        if now_us - alert.opened_us >= patience_us:
            episode = alert.episode + 1
            return replace(alert, state="firing", fired_us=now_us, episode=episode)
    if alert.state == "firing" and alert.kind == "run" and alert.changed_us != now_us:
        is_settled = now_us - alert.changed_us >= policy.cooldown_us
        if is_settled:
            return replace(alert, state="resolved", resolved_us=now_us)
    return alert


def _miss(alert: Alert, now_us: int, policy: Policy) -> Step:
    """Look at an alert without a finding."""
    absent_us = now_us if alert.absent_us is None else alert.absent_us
    if alert.state == "pending":
        if alert.episode == 0:
            return Step(None, "dropped")
        gone = replace(alert, state="resolved", resolved_us=now_us, absent_us=absent_us)
        return Step(gone, "dropped")
    is_over = alert.kind == "period" and now_us >= alert.window_end_us
    is_quiet = now_us - absent_us >= policy.cooldown_us
    if alert.state == "firing" and (is_over or is_quiet):
        done = replace(alert, state="resolved", resolved_us=now_us, absent_us=absent_us)
        return Step(done, "resolved", _recovery(done, now_us))
    if alert.absent_us is None:
        return Step(replace(alert, absent_us=absent_us))
    return Step(alert)


def _tell(
    before: State | None, alert: Alert, *, now_us: int, policy: Policy, muted: bool
) -> Step:
    """Decide what an alert with a finding has to say after it was in state *before*."""
    change: Change | None = None if before == alert.state else alert.state
    if change == "resolved":
        return Step(alert, change, _recovery(alert, now_us))
    if muted or alert.state != "firing":
        return Step(alert, change)
    if rank(alert.severity) > rank(alert.notified_severity):
        change = change or ("escalated" if alert.notified_severity else "firing")
        transition = f"firing:{alert.severity}"
    elif _is_due_again(alert, now_us, policy):
        change = "renotified"
        alert = replace(alert, renotified=alert.renotified + 1)
        transition = f"renotified:{alert.renotified}"
    else:
        return Step(alert, change)
    told = replace(alert, notified_us=now_us, notified_severity=alert.severity)
    notice = _notice(told, transition, now_us, alert.notified_severity)
    return Step(told, change, notice)


def _is_due_again(alert: Alert, now_us: int, policy: Policy) -> bool:
    return (
        alert.kind == "condition"
        and alert.notified_us is not None
        and now_us - alert.notified_us >= policy.renotify_us
    )


def _recovery(alert: Alert, now_us: int) -> Notice | None:
    """Take back what was told; nothing if nobody was told."""
    told = alert.notified_severity
    if told is None:
        return None
    return _notice(replace(alert, severity=told), f"resolved:{told}", now_us, told)


def _notice(
    alert: Alert, transition: str, now_us: int, previous_severity: str | None
) -> Notice:
    episode = (alert.rule, alert.origin, alert.period_us, alert.episode)
    return Notice(
        webhook_id=f"msg_{digest(*episode, transition)}",
        type=event_type(alert.rule),
        time_us=now_us,
        rule=alert.rule,
        state="resolved" if alert.state == "resolved" else "firing",
        severity=alert.severity,
        previous_severity=previous_severity,
        scope=alert.scope,
        labels=alert.labels,
        value=alert.value,
        threshold=alert.threshold,
        details=alert.details,
        dedup_key=digest(*episode),
        thread=digest(alert.rule, alert.origin),
        fired_us=alert.fired_us or now_us,
    )
