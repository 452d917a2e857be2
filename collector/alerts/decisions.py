"""
May a workflow go on: an answer for gateways, from memory.

A look at the findings replaces what is known as a whole, so that asking takes some
look-ups and no lock. A budget speaks for whoever has its value of the dimension until
its period ends; a runaway run speaks for itself, and for its feature, agent and the
like as long as it is new.
"""

import functools
import itertools
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from collector.alerts.alert import PERIOD_RULES, rank

Answer = Literal["allow", "warn", "deny"]

RUN_KEYS: Final = ("run_id", "trace_id")
"""What names one run; asked with one of them, other runs do not count."""
_FRESH: Final = timedelta(minutes=15)
_LOOK_FOR: Final = timedelta(hours=1)
_ABOUT_BUDGET: Final = frozenset({"budget", "threshold_percent"})
_TOTAL: Final = ("total", "all")
_MAX_REASONS: Final = 10


class Reason(NamedTuple):
    """A finding that speaks against going on."""

    rule: str
    severity: str
    scope: Mapping[str, str]
    value: float | None
    threshold: float | None
    until: datetime
    """When it speaks no more."""


class Decision(NamedTuple):
    """Whether to go on, and why not."""

    answer: Answer
    reasons: tuple[Reason, ...]
    looked_at: datetime
    """When findings were looked at last."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "decision": self.answer,
            "reasons": [
                {**reason._asdict(), "until": _text(reason.until)}
                for reason in self.reasons
            ],
            "as_of": _text(self.looked_at),
        }


Index = dict[tuple[str, str], list[Reason]]


class _Known(NamedTuple):
    """Reasons by what is asked for: a ledger column and its value."""

    looked_at: datetime
    budgets: Index
    runs: Index
    kin: Index
    """New runaway runs by what they share with others."""


class Decisions:
    """What the newest look says; one thread looks, any thread asks."""

    def __init__(self) -> None:
        self._known: _Known | None = None

    def learn(self, findings: Iterable[Mapping[str, Any]], *, now: datetime) -> None:
        """
        Replace what is known.

        Args:
            findings: All that are true now, as rows of the findings table.

            now: Time of the look.
        """
        known = _Known(now, {}, {}, {})
        for row in findings:
            _file(known, row, now)
        self._known = known

    def decide(self, asked: Mapping[str, str], *, now: datetime) -> Decision | None:
        """
        Return whether what is *asked* about may go on; null before the first look.

        Args:
            asked: Ledger columns and values, such as ``feature``, ``user_id`` or
                ``run_id``. A critical finding about them denies, any other warns;
                without a run, runaway runs among them only warn.

            now: Time of asking.
        """
        known = self._known
        if known is None:
            return None
        named = [(key, value) for key, value in asked.items() if key in RUN_KEYS]
        against = [
            reason
            for pair in (_TOTAL, *asked.items())
            for reason in known.budgets.get(pair, ())
        ]
        against += [reason for pair in named for reason in known.runs.get(pair, ())]
        against = [reason for reason in against if now < reason.until]
        kin = [] if named else _kin(known, asked, now)
        worst = max((rank(reason.severity) for reason in against), default=-1)
        answer: Answer = "allow"
        if worst >= rank("critical"):
            answer = "deny"
        elif worst >= 0 or kin:
            answer = "warn"
        every = sorted(against, key=lambda reason: -rank(reason.severity)) + kin
        return Decision(answer, tuple(every[:_MAX_REASONS]), known.looked_at)


def _kin(known: _Known, asked: Mapping[str, str], now: datetime) -> list[Reason]:
    """Return new runaway runs that have all that was asked for."""
    pairs = list(asked.items())
    if not pairs:
        return []
    fitting = (
        reason
        for reason in known.kin.get(pairs[0], ())
        if now < reason.until
        and all(reason.scope.get(key) == value for key, value in pairs[1:])
    )
    return list(itertools.islice(fitting, _MAX_REASONS))


def _file(known: _Known, row: Mapping[str, Any], now: datetime) -> None:
    """Put a finding where it is asked for, if it is one that speaks now."""
    is_budget, is_run = row["rule"] in PERIOD_RULES, bool(row.get("run_id"))
    if not (is_budget or is_run) or rank(row["severity"]) < rank("warning"):
        return
    scope = _scope(row["scope"])
    reason = Reason(
        rule=row["rule"],
        severity=row["severity"],
        scope=scope,
        value=row["value"],
        threshold=row["threshold"],
        until=row["window_end"] if is_budget else now + _LOOK_FOR,
    )
    if is_budget:
        if row["window_start"] <= now:
            pairs = [pair for pair in scope.items() if pair[0] not in _ABOUT_BUDGET]
            _put(known.budgets, pairs, reason)
        return
    _put(known.runs, [(key, row[key]) for key in RUN_KEYS if row.get(key)], reason)
    pairs = [pair for pair in scope.items() if pair[0] not in RUN_KEYS]
    _put(known.kin, pairs, reason._replace(until=row["timestamp"] + _FRESH))


def _put(index: Index, pairs: Iterable[tuple[str, str]], reason: Reason) -> None:
    for pair in pairs:
        index.setdefault(pair, []).append(reason)


@functools.lru_cache(maxsize=1 << 14)
def _scope(text: str) -> Mapping[str, str]:
    document = json.loads(text)
    return {key: str(value) for key, value in document.items() if value is not None}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
