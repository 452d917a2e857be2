"""The rules as people see them, and what they would find now."""

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import pyarrow as pa

from collector.config import Settings
from collector.errors import QueryError
from collector.query.times import Period
from collector.query.views import Lake, open_lake
from rollups.engine import RuleError, budget_table, run_rule
from rollups.registry import BUDGET_SCHEMA, Rule, find_rules
from rollups.schema import FINDING_SCHEMA

RULE_SCHEMA: Final = pa.schema(
    [
        ("rule", pa.string()),
        ("enabled", pa.bool_()),
        ("severity", pa.string()),
        ("parameters", pa.map_(pa.string(), pa.float64())),
        ("source", pa.string()),
    ]
)
"""Rules as people see them."""

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_END: Final = datetime(2262, 1, 1, tzinfo=UTC)


class Tried(NamedTuple):
    """What rules found, and which could not be run."""

    findings: pa.Table
    failures: tuple[str, ...]


def list_rules(settings: Settings) -> pa.Table:
    """Return the rules in force with their parameters, built-in ones first."""
    rows = [
        {
            "rule": rule.name,
            "enabled": _is_enabled(settings, rule),
            "severity": rule.severity,
            "parameters": list(_parameters(settings, rule).items()),
            "source": str(rule.path) if rule.path else "built in",
        }
        for rule in find_rules(settings.rules.dir)
    ]
    return pa.Table.from_pylist(rows, schema=RULE_SCHEMA)


def try_rules(settings: Settings, names: list[str], period: Period) -> Tried:
    """
    Evaluate rules over the lake; nothing is recorded and nobody is told.

    Args:
        settings: Name the lake, the user's rules, parameters and budgets.

        names: Only these rules; none means all that are enabled.

        period: What the rules look at.

    Raises:
        QueryError: There is no such rule, or the lake cannot be read.
    """
    rules = {rule.name: rule for rule in find_rules(settings.rules.dir)}
    for name in names:
        if name not in rules:
            error = QueryError(f"rules: no rule {name!r}")
            error.hint = f"there are {', '.join(rules)}"
            raise error
    chosen = [rules[name] for name in names] or [
        rule for rule in rules.values() if _is_enabled(settings, rule)
    ]
    found, failures = [], []
    with open_lake(Lake.of(settings)) as connection:
        connection.register("budgets", budgets_of(settings))
        for rule in chosen:
            parameters: dict[str, Any] = {
                "since": period.since or _BEGINNING,
                "until": period.until or _END,
                **settings.rules.parameters.get(rule.name, {}),
            }
            try:
                found.append(run_rule(connection, rule, parameters))
            except RuleError as error:
                failures.append(str(error))
    table = pa.concat_tables(found) if found else FINDING_SCHEMA.empty_table()
    return Tried(table, tuple(failures))


def budgets_of(settings: Settings) -> pa.Table:
    """Return the budgets of *settings* as the table that the rule reads."""
    names = {*BUDGET_SCHEMA.names, "limit"} - {"limit_amount"}
    return budget_table(
        {name: getattr(budget, name) for name in names} for budget in settings.budgets
    )


def _is_enabled(settings: Settings, rule: Rule) -> bool:
    return rule.name not in settings.rules.disabled


def _parameters(settings: Settings, rule: Rule) -> dict[str, float]:
    return {**rule.parameters, **settings.rules.parameters.get(rule.name, {})}
