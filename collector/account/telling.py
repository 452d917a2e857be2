"""Which findings are told: runs of one kind one by one at first, then together."""

import functools
import importlib.resources
from datetime import datetime, timedelta
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

QUIET_AFTER: Final = timedelta(hours=1)
"""A finding about older times is recorded and not told: it was backfilled."""

_LATE: Final = timedelta(hours=2)
"""How long after midnight the day before is still looked at."""


@functools.cache
def _told_sql() -> str:
    folder = importlib.resources.files("collector.account")
    return (folder / "told.sql").read_text()


def still_alive(findings: pa.Table, now: datetime) -> pa.Table:
    """Return findings about windows, and those about runs that may still go on."""
    lately = pc.greater_equal(findings.column("timestamp"), now - QUIET_AFTER)
    return findings.filter(pc.or_(pc.is_null(findings.column("run_id")), lately))


class Teller:
    """Picks from all findings of some days those that alerts are made of."""

    def __init__(self, *, runs_told: int, tell_all: bool) -> None:
        self._runs_told = runs_told
        self._tell_all = tell_all
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute("SET TimeZone = 'UTC'")

    def since_hour(self, now: datetime) -> int:
        """Return the first hour whose findings `told` wants: days come whole."""
        if self._tell_all:
            return 0
        day = (now - _LATE).replace(hour=0, minute=0, second=0, microsecond=0)
        return int(day.timestamp()) // 3600

    def told(self, findings: pa.Table, now: datetime) -> list[dict[str, Any]]:
        """
        Return findings as rows of the findings table, and ``quiet`` beside them.

        Args:
            findings: Rows of `FINDING_SCHEMA`.

            now: Rows about older times than `QUIET_AFTER` before it are quiet, unless
                all are told.

        Returns:
            Findings about no run as they are; of those about runs what ``told.sql``
            says. A few rows however many runs there are: the same for the same
            findings in any order.
        """
        single = pc.is_null(findings.column("run_id"))
        about_runs = findings.filter(pc.invert(single))
        rows: list[dict[str, Any]] = findings.filter(single).to_pylist()
        if about_runs.num_rows:
            self._connection.register("findings", about_runs)
            told = self._connection.sql(
                _told_sql(), params={"runs_told": self._runs_told}
            ).to_arrow_table()
            self._connection.unregister("findings")
            rows += told.to_pylist()
        for row in rows:
            row["quiet"] = not self._tell_all and row["timestamp"] < now - QUIET_AFTER
        return rows
