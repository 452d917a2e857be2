"""What stands in the lake, read as any reader would: DuckDB on Parquet files."""

from importlib.resources import files
from typing import Any, NamedTuple

import duckdb

Row = dict[str, Any]


class Seen(NamedTuple):
    """The tables that the demo shows and checks."""

    features: list[Row]
    steps: list[Row]
    traces: list[Row]
    verdicts: list[Row]
    prompts: list[Row]


def read_lake(lake: str, *, prompt: str) -> Seen:
    """Read all tables of `Seen` from the lake at *lake*."""
    parameters = {"prompts": {"lake": lake, "prompt": prompt}}
    with duckdb.connect() as connection:
        return Seen(
            *(
                _query(connection, name, parameters.get(name, {"lake": lake}))
                for name in Seen._fields
            )
        )


def count_calls(lake: str) -> int:
    """Return how many calls the rollup by feature has; 0 if it is replaced just now."""
    try:
        with duckdb.connect() as connection:
            rows = _query(connection, "features", {"lake": lake})
    except duckdb.Error:
        return 0
    return sum(row["calls"] for row in rows)


def _query(
    connection: duckdb.DuckDBPyConnection, name: str, parameters: dict[str, str]
) -> list[Row]:
    text = (files("collector.demo") / "sql" / f"{name}.sql").read_text()
    rows: list[Row] = (
        connection.sql(text, params=parameters).to_arrow_table().to_pylist()
    )
    return rows
