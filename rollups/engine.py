"""
Running the `.sql` files of this package on a DuckDB connection.

The connection has the ledger's tables (``calls``, ``runs``, ``chains``, ``tool_calls``,
``excluded``) and ``spans``, and ``budgets`` for the rule of that name.
"""

import contextlib
import functools
import importlib.resources
import json
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import duckdb
import pyarrow as pa

from rollups.registry import BUDGET_SCHEMA, Rollup, Rule
from rollups.schema import FINDING_SCHEMA

_SEVERITIES: Final = frozenset({"info", "warning", "critical"})
_REQUIRED: Final = ("scope", "value", "threshold", "severity", "details")
_FINDING_COLUMNS: Final = frozenset(FINDING_SCHEMA.names)

Parameters = Mapping[str, float | datetime]


class RuleError(ValueError):
    """A rule cannot be run or returns something that is no finding."""


@functools.cache
def sql_text(folder: str, name: str) -> str:
    """Return the text of ``rollups/<folder>/<name>.sql``."""
    return (importlib.resources.files("rollups") / folder / f"{name}.sql").read_text()


def run_rollup(
    connection: duckdb.DuckDBPyConnection,
    rollup: Rollup,
    since: datetime,
    until: datetime,
) -> pa.Table:
    """
    Work out the rows of *rollup* whose windows lie in [*since*, *until*).

    Args:
        connection: Has the tables that the file reads; is left with ``TimeZone`` UTC.

        rollup: One of `rollups.registry.ROLLUPS`.

        since: First moment, on the border of a window.

        until: First moment after, on the border of a window. A trace belongs to the
            moment of its first call.

    Returns:
        Rows with exactly ``rollup.schema``, ordered by time and keys; also for none.
    """
    _use_utc(connection)
    connection.execute(sql_text("sql", "measured_calls"))
    found = connection.sql(
        sql_text("sql", rollup.name), params={"since": since, "until": until}
    ).to_arrow_table()
    return found.select(rollup.schema.names).cast(rollup.schema)


def _use_utc(connection: duckdb.DuckDBPyConnection) -> None:
    # a connection whose configuration is locked is in UTC already
    zone = connection.sql("SELECT current_setting('TimeZone')").fetchall()
    if zone != [("UTC",)]:
        connection.execute("SET TimeZone = 'UTC'")


def budget_table(budgets: Iterable[Mapping[str, Any]]) -> pa.Table:
    """
    Return the table ``budgets`` from settings.

    Args:
        budgets: Mappings with the keys of a budget in the settings; ``limit`` is a
            decimal number as text.
    """
    rows = [{**budget, "limit_amount": Decimal(budget["limit"])} for budget in budgets]
    return pa.Table.from_pylist(rows, schema=BUDGET_SCHEMA)


def run_rule(
    connection: duckdb.DuckDBPyConnection, rule: Rule, parameters: Parameters
) -> pa.Table:
    """
    Evaluate *rule* over the ledger.

    Args:
        connection: Has the tables that the rule reads; is left with ``TimeZone`` UTC.

        rule: A built-in rule or one of the user's.

        parameters: ``since`` and ``until``, and values instead of the rule's defaults.
            A rule takes those that its text names.

    Returns:
        Rows of `FINDING_SCHEMA` in the order of the rule. A rule that says no window
        is about [since, until) and stamped with its end.

    Raises:
        RuleError: The text is not one query, it fails, or its result is no finding.
    """
    _use_utc(connection)
    try:
        text = rule.path.read_text() if rule.path else sql_text("rules", rule.name)
        given = _bind(connection, text, {**rule.parameters, **parameters})
        found = connection.sql(text, params=given).to_arrow_table()
    except (duckdb.Error, OSError, UnicodeDecodeError) as error:
        message = f"rule {rule.name}: {str(error).splitlines()[0]}"
        raise RuleError(message) from error
    missing = [name for name in _REQUIRED if name not in found.column_names]
    if missing:
        message = f"rule {rule.name}: no column {', '.join(missing)}"
        raise RuleError(message)
    rows = [_finding(rule, row, parameters) for row in found.to_pylist()]
    try:
        return pa.Table.from_pylist(rows, schema=FINDING_SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        message = f"rule {rule.name}: {error}"
        raise RuleError(message) from error


def _bind(
    connection: duckdb.DuckDBPyConnection, text: str, known: dict[str, Any]
) -> dict[str, Any]:
    statements = connection.extract_statements(text)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        message = "not one SELECT statement"
        raise duckdb.InvalidInputException(message)
    wanted = statements[0].named_parameters
    if "dimensions" in wanted:
        known["dimensions"] = _budget_dimensions(connection)
    unknown = sorted(wanted - known.keys())
    if unknown:
        message = f"no value for parameter ${unknown[0]}"
        raise duckdb.InvalidInputException(message)
    return {name: known[name] for name in wanted}


def _budget_dimensions(connection: duckdb.DuckDBPyConnection) -> list[str]:
    named = connection.sql("SELECT DISTINCT dimension FROM budgets").fetchall()
    columns = set(connection.table("calls").columns)
    return ["total", *sorted(name for (name,) in named if name in columns)]


def _finding(rule: Rule, row: dict[str, Any], parameters: Parameters) -> dict[str, Any]:
    window_start = row.get("window_start") or parameters["since"]
    window_end = row.get("window_end") or parameters["until"]
    return {
        "timestamp": row.get("timestamp") or window_end,
        "rule": rule.name,
        "severity": _severity(rule, row["severity"]),
        "scope": _canonical(_without_nulls(_mapping(row["scope"]))),
        "window_start": window_start,
        "window_end": window_end,
        "value": _real(row["value"]),
        "threshold": _real(row["threshold"]),
        "run_id": row.get("run_id"),
        "trace_id": row.get("trace_id"),
        "details": _canonical(_mapping(row["details"])),
    }


def _severity(rule: Rule, found: object) -> str:
    if found is None:
        return rule.severity
    if found not in _SEVERITIES:
        message = f"rule {rule.name}: severity {found!r} is not info, warning, critical"
        raise RuleError(message)
    return str(found)


def _real(value: object) -> float | None:
    return None if value is None else float(str(value))


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item is not None}


def _plain(value: object) -> object:
    """Turn what Arrow gives into what JSON has; money and times become text."""
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        value = dict(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    is_odd = isinstance(value, float) and not math.isfinite(value)
    return None if is_odd else value


def _mapping(value: object) -> dict[str, Any]:
    """Return a STRUCT, a MAP or a JSON object in text as a dictionary."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    plain = _plain(value)
    return plain if isinstance(plain, dict) else {"value": plain}


def _canonical(value: dict[str, Any]) -> str:
    return json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        default=str,
    )
