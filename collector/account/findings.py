"""Rules over the ledger: which findings are true now."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final, NamedTuple

import duckdb
import pyarrow as pa
import structlog

from collector.account.own_rules import (
    LIVE_TABLES,
    is_about_lake,
    is_about_rollups,
    opened,
    views_named,
)
from collector.config import Settings
from collector.errors import ConfigError, LakeError
from collector.lake.restatements import RESTATEMENTS
from collector.query.views import Lake
from rollups.engine import RuleError, budget_table, run_rule
from rollups.registry import Rule, find_rules
from rollups.schema import FINDING_SCHEMA, call_schema

TRACE_RULES: Final = frozenset({"context_growth", "runaway_loop", "context_jump"})
"""Rules about single runs: asked about the traces of a tick, not about a window."""

HISTORY_RULES: Final = frozenset(
    {"context_trend", "run_too_long", "cost_spike", "cache_hit_drop"}
)
"""Rules that compare with earlier days, and are therefore asked less often."""

FAILED_RULE: Final = "rule_failed"


class Look(Enum):
    """Rules about windows that are asked together."""

    WINDOWS = "windows"
    HISTORY = "history"


class Need(NamedTuple):
    """A table that rules read."""

    table: str
    columns: list[str] | None = None
    """Those that are read; null for all."""
    back: timedelta = timedelta(0)
    """How far before the oldest window it is read."""
    is_rollup: bool = False


_WEEK: Final = timedelta(days=8)

_FOREVER: Final = (
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2262, 1, 1, tzinfo=UTC),
)
_CALL_COLUMNS: Final = (
    "timestamp",
    "trace_id",
    "span_id",
    "cost_usd",
    "cost_status",
    "cost_reason",
    "input_tokens",
    "output_tokens",
    "feature",
    "provider",
    "request_model",
    "response_model",
)
_RESTATED_COLUMNS: Final = (
    "restatement_id",
    "known_at",
    "trace_id",
    "span_id",
    "cost_usd",
    "cost_status",
    "recorded_cost_usd",
)
"""What budgets read of restatements."""

_COLUMNS_OF_RULES: Final = {
    "retry_amplification": ("tenant", "attempt", "error_type", "waste_reason"),
    "error_rate": ("error_type",),
    "latency_p95": ("error_type", "duration_ms", "time_to_first_token_ms"),
    "embedding_duplicates": (
        "tenant",
        "service_name",
        "operation",
        "error_type",
        "input_hash",
    ),
}
"""Columns of calls that only these rules read; a rule that is off costs nothing."""

_HOURS_COLUMNS: Final = {
    "cost_spike": ("cost_usd", "subscription_usd", "unpriced_calls"),
    "cache_hit_drop": ("cache_read_tokens", "cache_known_input_tokens"),
}
"""What rules that compare hours read of calls and of ``feature_hourly``."""

_OF_HOURS_ONLY: Final = frozenset(
    {"subscription_usd", "unpriced_calls", "cache_known_input_tokens"}
)
_HOUR_KEYS: Final = ("tenant", "project", "environment", "feature")

_BUDGET_FIELDS: Final = (
    "name",
    "dimension",
    "value",
    "period",
    "measure",
    "limit",
    "thresholds",
)

log = structlog.get_logger(component="account")


class Rules:
    """The rules in force; one that fails is disabled, and that is a finding."""

    def __init__(self, settings: Settings) -> None:
        self._parameters: Mapping[str, Mapping[str, float]] = settings.rules.parameters
        self._budgets = budget_table(
            {name: getattr(budget, name) for name in _BUDGET_FIELDS}
            for budget in settings.budgets
        )
        columns = call_schema(tuple(settings.dimensions)).names
        for budget in settings.budgets:
            if budget.dimension not in {"total", *columns}:
                message = (
                    f"budget {budget.name}: calls have no column {budget.dimension}"
                )
                raise ConfigError(message)
        off = set(settings.rules.disabled)
        if not settings.budgets:
            off.add("budget")
        self._rules = [r for r in find_rules(settings.rules.dir) if r.name not in off]
        self._own = [r for r in self._rules if r.path and r.name not in TRACE_RULES]
        self._lake = Lake.of(settings)
        self._memory_limit = settings.account.memory_limit
        self.failed: dict[str, str] = {}
        folder = settings.rules.dir
        if folder is not None and not folder.is_dir():
            self._set_aside("rules.dir", f"{folder} is no directory")
        self._connection = duckdb.connect(config={"threads": 1})

    def about_traces(self, tables: Mapping[str, pa.Table]) -> pa.Table:
        """Return what the rules about single runs find in the rows of whole traces."""
        rules = [rule for rule in self._rules if rule.name in TRACE_RULES]
        return self._run(rules, tables, _FOREVER)

    def about(
        self,
        look: Look,
        tables: Mapping[str, pa.Table],
        since: datetime,
        now: datetime,
    ) -> pa.Table:
        """
        Return what the rules of *look* find between *since* and *now*.

        Raises:
            LakeError: Rules of the user's need the lake, and it cannot be read.
        """
        window = since, now + timedelta(minutes=5)
        rules = [rule for rule in self._of(look) if rule not in self._own]
        found = self._run(rules, tables, window)
        if look is not Look.WINDOWS or not self._asked_own():
            return found
        with opened(
            self._lake,
            self._asked_own(),
            tables,
            since,
            memory_limit=self._memory_limit,
        ) as connection:
            own = self._run(self._asked_own(), {}, window, connection)
        return pa.concat_tables([found, own])

    def wants_rollups(self) -> bool:
        """Return whether a rule of the user's reads rollups, which come late."""
        return is_about_rollups(self._asked_own())

    def _asked_own(self) -> list[Rule]:
        return [rule for rule in self._own if rule.name not in self.failed]

    def needs(self, look: Look) -> list[Need]:
        """Return what the rules of *look* read."""
        return self._history() if look is Look.HISTORY else self._windows()

    def _windows(self) -> list[Need]:
        rules = self._of(Look.WINDOWS)
        named = views_named(self._asked_own()).intersection(LIVE_TABLES)
        needs = [Need(table) for table in sorted(named)]
        if any(rule.name == "budget" for rule in rules):
            needs.append(Need(RESTATEMENTS, list(_RESTATED_COLUMNS)))
        if "calls" in named:
            return needs
        dimensions = set(self._budgets.column("dimension").to_pylist()) - {"total"}
        columns = {*_CALL_COLUMNS, *dimensions}
        for rule in rules:
            columns |= set(_COLUMNS_OF_RULES.get(rule.name, ()))
        return [*needs, Need("calls", sorted(columns))]

    def _history(self) -> list[Need]:
        names = {rule.name for rule in self._of(Look.HISTORY)}
        needs = [Need("chains", back=_WEEK), Need("runs", back=_WEEK)]
        told = {column for name in names for column in _HOURS_COLUMNS.get(name, ())}
        if told:
            of_calls = {*_CALL_COLUMNS, *_HOUR_KEYS, *told} - _OF_HOURS_ONLY
            of_hours = ["window_start", *_HOUR_KEYS, *sorted(told)]
            needs.append(Need("calls", sorted(of_calls)))
            needs.append(Need("feature_hourly", of_hours, _WEEK, is_rollup=True))
        return needs

    def since(self, moment: datetime, look: Look) -> datetime:
        """Return the start of the oldest window of *look* that *moment* is in."""
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        starts = [day]
        if look is Look.WINDOWS:
            for period in self._budgets.column("period").to_pylist():
                if period == "month":
                    starts.append(day.replace(day=1))
                elif period == "week":
                    starts.append(day - timedelta(days=day.weekday()))
        return min(starts)

    def names(self, look: Look) -> tuple[str, ...]:
        """Return the names of the rules of *look*."""
        return tuple(rule.name for rule in self._of(look))

    def _of(self, look: Look) -> list[Rule]:
        wanted = look is Look.HISTORY
        return [
            rule
            for rule in self._rules
            if rule.name not in TRACE_RULES
            and (rule.name in HISTORY_RULES and rule.path is None) == wanted
        ]

    def _run(
        self,
        rules: Iterable[Rule],
        tables: Mapping[str, pa.Table],
        window: tuple[datetime, datetime],
        connection: duckdb.DuckDBPyConnection | None = None,
    ) -> pa.Table:
        found = []
        connection = connection or self._connection
        registered = {**tables, "budgets": self._budgets}
        for name, table in registered.items():
            connection.register(name, table)
        for rule in rules:
            if rule.name in self.failed:
                continue
            parameters: dict[str, Any] = {"since": window[0], "until": window[1]}
            parameters |= self._parameters.get(rule.name, {})
            try:
                found.append(run_rule(connection, rule, parameters))
            except RuleError as error:
                if is_about_lake(error):
                    raise LakeError(str(error)) from error
                self._set_aside(rule.name, str(error))
        for name in registered:
            connection.unregister(name)
        return pa.concat_tables(found) if found else FINDING_SCHEMA.empty_table()

    def _set_aside(self, name: str, reason: str) -> None:
        self.failed[name] = reason
        log.error("rule_failed", rule=name, reason=reason)

    def failures(self, now: datetime) -> pa.Table:
        """Return a finding per rule that is disabled because it failed."""
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        rows = [
            {
                "timestamp": day,
                "rule": FAILED_RULE,
                "severity": "warning",
                "scope": f'{{"rule":"{name}"}}',
                "window_start": day,
                "window_end": day + timedelta(days=1),
                "details": json.dumps({"reason": reason}),
            }
            for name, reason in sorted(self.failed.items())
        ]
        return pa.Table.from_pylist(rows, schema=FINDING_SCHEMA)
