"""Running one statement over the lake: read-only, confined, within a time limit."""

import contextlib
import re
from typing import Final

import duckdb
import pyarrow as pa

from collector.errors import QueryError
from collector.query.again import asking_again
from collector.query.time_limit import TIMEOUT_SECONDS, time_limit
from collector.query.times import ALWAYS, Period
from collector.query.views import Lake, open_lake, view_names

_READING: Final = (duckdb.StatementType.SELECT, duckdb.StatementType.MULTI)
_EXPLAIN: Final = re.compile(
    r"\s*explain\s*(\([^)]*\)\s*)?(analyze\s)?\s*", re.IGNORECASE | re.DOTALL
)


@asking_again
def run_sql(
    lake: Lake,
    statement: str,
    *,
    period: Period = ALWAYS,
    timeout_seconds: float = TIMEOUT_SECONDS,
    memory_limit: str | None = None,
    max_rows: int | None = None,
) -> pa.Table:
    """
    Run one query over the views of *lake*.

    Args:
        lake: Where it is; nothing is written there, nothing else is read.

        statement: One ``SELECT`` (or ``DESCRIBE``, ``SHOW``, ``EXPLAIN`` and the like).

        period: Rows that start outside it are not seen.

        timeout_seconds: When the query is given up.

        memory_limit: In DuckDB's words, such as ``384MiB``; default is DuckDB's own.

        max_rows: Rows returned at most.

    Raises:
        QueryError: It is not one query, it fails, or takes too long.
    """
    needed = _check(statement)
    with open_lake(
        lake, period=period, needed=needed, memory_limit=memory_limit
    ) as connection:
        return fetch(
            connection,
            statement,
            timeout_seconds=timeout_seconds,
            max_rows=max_rows,
        )


def fetch(
    connection: duckdb.DuckDBPyConnection,
    statement: str,
    *,
    parameters: dict[str, object] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    max_rows: int | None = None,
) -> pa.Table:
    """Run a checked statement; see `run_sql` for errors."""
    try:
        with time_limit(connection, timeout_seconds):
            relation = connection.sql(statement, params=parameters or {})
            if max_rows is not None:
                relation = relation.limit(max_rows)
            return relation.to_arrow_table()
    except (duckdb.Error, pa.ArrowException) as error:
        raise QueryError(f"query: {_first_line(error)}") from error


def _check(statement: str) -> set[str] | None:
    """Return the views that *statement* names, null for all; refuse what writes."""
    with duckdb.connect() as connection:
        statements = _parse(connection, statement)
        if len(statements) != 1:
            message = f"query: {len(statements)} statements, not one"
            raise QueryError(message)
        kind = statements[0].type
        if kind == duckdb.StatementType.EXPLAIN:
            inner = _EXPLAIN.sub("", statement, count=1)
            kind = _parse(connection, inner)[0].type
        if kind not in _READING:
            message = f"query: {kind.name} is not allowed, the lake is only read"
            raise QueryError(message)
        # The names are those of tables that this empty connection does not have. A
        # statement that says nothing about tables may still list or describe them.
        with contextlib.suppress(duckdb.Error):
            named = connection.get_table_names(statement)
            if named and named <= set(view_names()) and "query" not in statement:
                return named
    return None


def _parse(
    connection: duckdb.DuckDBPyConnection, statement: str
) -> list[duckdb.Statement]:
    try:
        return connection.extract_statements(statement)
    except duckdb.Error as error:
        raise QueryError(f"query: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    hints = [line for line in lines if line.startswith(("Did you mean", "Candidate"))]
    return "; ".join([*lines[:1], *hints[:1]])
