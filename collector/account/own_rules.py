"""Rules of the user's own: they see every view, with what is not published yet."""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final

import duckdb
import pyarrow as pa

from collector.query.views import Lake, open_lake, view_names
from rollups.registry import ROLLUPS, Rule

LIVE_TABLES: Final = ("calls", "runs", "chains", "tool_calls", "excluded")
"""Views that have what account knows already, before it is published."""

_ROLLUP_NAMES: Final = frozenset(rollup.name for rollup in ROLLUPS)


def views_named(rules: Collection[Rule]) -> frozenset[str]:
    """Return the views that the texts of *rules* name; all, if one cannot be told."""
    known = frozenset(view_names())
    named: set[str] = set()
    for rule in rules:
        try:
            named |= _tables_in(rule.path.read_text() if rule.path else "")
        except (duckdb.Error, OSError, UnicodeDecodeError):
            return known  # who runs it will say what is wrong with it
    return known & named


@lru_cache(maxsize=256)
def _tables_in(text: str) -> frozenset[str]:
    # Asked several times a look, of texts that hardly ever change.
    with duckdb.connect() as connection:
        return frozenset(connection.get_table_names(text))


def is_about_rollups(rules: Collection[Rule]) -> bool:
    """Return whether some of *rules* read what is published later than calls."""
    return not _ROLLUP_NAMES.isdisjoint(views_named(rules))


@contextlib.contextmanager
def opened(
    lake: Lake,
    rules: Collection[Rule],
    live: Mapping[str, pa.Table],
    since: datetime,
    *,
    memory_limit: str,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """
    Open what *rules* see: the lake as `open_lake` shows it to everybody.

    Args:
        lake: Where it is.

        rules: Views that none of them names cost nothing.

        live: Rows of `LIVE_TABLES` that start at *since* or later; they stand for what
            is published of that time.

        since: Start of a day.

        memory_limit: In DuckDB's words.

    Raises:
        QueryError: The lake cannot be read.
    """
    named = views_named(rules)
    with open_lake(lake, needed=named, memory_limit=memory_limit) as connection:
        for name in named.intersection(LIVE_TABLES):
            connection.register(f"live_{name}", live[name])
            connection.execute(
                f"CREATE TEMP VIEW {name} AS FROM memory.main.{name}"  # noqa: S608
                f" WHERE timestamp < TIMESTAMPTZ '{since.isoformat()}'"
                f" UNION ALL BY NAME"
                f" SELECT *, timestamp::DATE AS date FROM live_{name}"
            )
        yield connection


def is_about_lake(error: Exception) -> bool:
    """Return whether a rule failed because the lake could not be read."""
    return isinstance(error.__cause__, duckdb.IOException)
