"""The lake as any reader has it: DuckDB on the Parquet files, nothing of ours."""

import contextlib
from pathlib import Path

import duckdb

TABLES = ("spans", "calls", "excluded", "tool_calls", "runs", "chains", "findings")
PICO = 10**12
ATTEMPTS = 3


def query(lake: str, sql: str):
    """
    Return the rows of *sql*, which may name every table of the lake.

    DuckDB reads a file's end first and opens it again for its rows. When the file is
    replaced in between, it says so by an error (docs/decisions/0082), and asking again
    is what every reader may do.
    """
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(duckdb.Error):
            return _query(lake, sql)
    return _query(lake, sql)


def _query(lake, sql):
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name in TABLES:
            connection.execute(
                f"CREATE VIEW {name} AS SELECT * FROM read_parquet("
                f"'{lake}/{name}/**/*.parquet', union_by_name = true)"
            )
        for folder in Path(lake).glob("rollups/*"):
            connection.execute(
                f"CREATE VIEW {folder.name} AS SELECT * FROM read_parquet("
                f"'{folder}/**/*.parquet', union_by_name = true)"
            )
        return connection.sql(sql).fetchall()


def pico_usd(amount) -> int | None:
    """Return a decimal of the lake in pico-USD."""
    return None if amount is None else int(amount * PICO)


def count_calls(lake: str) -> int:
    """Return how many calls the ledger has."""
    return query(lake, "SELECT count(*) FROM calls")[0][0]


def stored_spans(lake: str) -> list[str]:
    """Return the id of every stored span, repeats included."""
    return [row[0] for row in query(lake, "SELECT span_id FROM spans")]


def ledger(lake: str) -> dict[str, list[tuple]]:
    """Return every derived table in canonical order, without partition columns."""
    return {
        name: query(
            lake,
            f"SELECT COLUMNS(* EXCLUDE (date, hour))::VARCHAR FROM {name} ORDER BY ALL",
        )
        for name in TABLES[1:]
    }


def rollups(lake: str) -> dict[str, list[tuple]]:
    """Return every rollup in canonical order."""
    names = sorted(folder.name for folder in Path(lake).glob("rollups/*"))
    return {
        name: query(
            lake,
            f"SELECT COLUMNS(* EXCLUDE (date))::VARCHAR FROM {name} ORDER BY ALL",
        )
        for name in names
    }
