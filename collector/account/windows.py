"""Findings about windows of time: their rules are asked again when something is new."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from collector.account.findings import FAILED_RULE, Look, Need, Rules
from collector.account.pace import due_after
from collector.account.restated import Restated
from collector.account.segments import trace_numbers
from collector.account.store import Store
from collector.lake.layout import Partition, fit, part_key, rollup_key
from collector.lake.restatements import RESTATEMENTS
from collector.lake.target import Target
from rollups.registry import find_rollup

_SHARES: Final = {Look.WINDOWS: 0.1, Look.HISTORY: 0.02}
"""Part of the time that each look may take: history reads a week of chains."""
_BEHIND: Final = 0.4
"""Part of that share which is left while rows wait to be taken."""


@dataclass
class _Pace:
    oldest_new: datetime
    due: float = 0.0
    is_wanted: bool = False


class Windows:
    """Looks at windows at two paces, and keeps what was found in the store."""

    def __init__(
        self, rules: Rules, target: Target, store: Store, *, now: datetime
    ) -> None:
        self._rules = rules
        self._target = target
        self._store = store
        self._paces = {look: _Pace(now) for look in Look}
        self._restated = Restated(target, store)
        needs = rules.needs(Look.WINDOWS)
        self._reads_restated = any(need.table == RESTATEMENTS for need in needs)

    def look_back(self, moment: datetime) -> None:
        """Let the next looks begin with the windows that *moment* is in."""
        for pace in self._paces.values():
            pace.oldest_new = min(pace.oldest_new, moment)

    def published(self, days: Collection[str], now: datetime) -> None:
        """
        Let rules that compare with earlier days be asked again about *days*.

        So are the user's that read rollups.

        Args:
            days: Dates whose rollups were published.

            now: Hours of its day are compared with earlier ones only.
        """
        if days and self._rules.wants_rollups():
            self._want(Look.WINDOWS, _start(min(days)))
        earlier = [day for day in days if day < now.date().isoformat()]
        if earlier:
            self._want(Look.HISTORY, _start(min(earlier)))

    def _want(self, look: Look, first: datetime) -> None:
        pace = self._paces[look]
        pace.oldest_new = min(pace.oldest_new, first)
        pace.is_wanted = True

    def look(
        self,
        now: datetime,
        *,
        changed: bool,
        is_behind: bool = False,
        at_once: bool = False,
    ) -> bool:
        """
        Ask rules again whose tables changed, as often as their pace allows.

        Args:
            now: Time of the look.

            changed: Whether there are new rows since the last call.

            is_behind: Whether more rows wait; then rules take less of the time.

            at_once: Ask without regard to their pace, however long it takes.

        Returns:
            Whether any rule was asked.
        """
        if self._reads_restated:
            first = self._restated.news(now, at_once=at_once)
            if first is not None:
                self._want(Look.WINDOWS, first)
        looked = False
        for look, pace in self._paces.items():
            pace.is_wanted |= changed
            started = time.monotonic()
            if pace.is_wanted and (at_once or started >= pace.due):
                self._ask(look, pace, now)
                share = _SHARES[look] * (_BEHIND if is_behind else 1.0)
                pace.due = due_after(started, share)
                looked = True
        return looked

    def _ask(self, look: Look, pace: _Pace, now: datetime) -> None:
        since = self._rules.since(min(pace.oldest_new, now), look)
        pace.oldest_new, pace.is_wanted = now, False
        tables = {
            need.table: self._days_since(need, since, now)
            if need.is_rollup
            else self._restated.rows(_hour(since), need.columns)
            if need.table == RESTATEMENTS
            else self._rows_since(need.table, since - need.back, need.columns)
            for need in self._rules.needs(look)
        }
        found = self._rules.about(look, tables, since, now)
        older = self._store.window_findings
        asked = pa.array([FAILED_RULE, *self._rules.names(look)])
        kept = pc.or_(
            pc.invert(pc.is_in(older.column("rule"), asked)),
            pc.and_(
                pc.less_equal(older.column("window_end"), since),
                pc.not_equal(older.column("rule"), FAILED_RULE),
            ),
        )
        self._store.replace_window_findings(
            pa.concat_tables([older.filter(kept), found, self._rules.failures(now)])
        )
        if RESTATEMENTS in tables:
            self._restated.looked_at()

    def _rows_since(
        self, name: str, since: datetime, columns: list[str] | None
    ) -> pa.Table:
        first = _hour(since)
        rows = self._store.rows(name, since_hour=first, columns=columns)
        parts = [rows]
        for hour in sorted(self._store.settled):
            key = part_key(name, Partition(hour))
            if hour < first or not self._target.has(key):
                continue
            older = self._target.read(key, columns)
            known = self._store.knows(trace_numbers(older.column("trace_id")))
            parts.append(fit(older.filter(pa.array(~known)), rows.schema))
        return pa.concat_tables(parts)

    def _days_since(self, need: Need, since: datetime, now: datetime) -> pa.Table:
        """Return a rollup as it is published, without the days that are not."""
        schema = find_rollup(need.table).schema
        names = need.columns or schema.names
        parts = [schema.empty_table().select(names)]
        first = rollup_key(need.table, (since - need.back).date().isoformat())
        last = rollup_key(need.table, now.date().isoformat())
        for key in self._target.keys(f"rollups/{need.table}"):
            if first <= key <= last:
                parts.append(fit(self._target.read(key, names), parts[0].schema))
        return pa.concat_tables(parts)


def _start(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def _hour(moment: datetime) -> int:
    return int(moment.timestamp()) // 3600
