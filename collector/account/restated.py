"""Restatements as rules see them: which are new, and their rows."""

import time
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa

from collector.account.store import Store
from collector.lake.layout import Partition, fit
from collector.lake.restatements import restatement_ids, rows_of
from collector.lake.target import Target
from rollups.schema import RESTATEMENT_SCHEMA

_EVERY_SECONDS: Final = 5.0
_BACK: Final = timedelta(days=8)
"""How old calls may be whose windows are looked at again when they are restated."""


class Restated:
    """What repricing wrote into the lake; the store remembers what was looked at."""

    def __init__(self, target: Target, store: Store) -> None:
        self._target = target
        self._store = store
        self._newest = store.restated
        self._due = 0.0

    def news(self, now: datetime, *, at_once: bool) -> datetime | None:
        """
        Return the first hour of calls that were restated since `looked_at`.

        Hours of more than a week ago are left to ``rebuild``: reading years of calls
        would stop everything else.

        Args:
            now: Time of asking.

            at_once: Ask the lake now, and not only every few seconds.

        Returns:
            The hour's start; null if nothing is new.
        """
        if not at_once and time.monotonic() < self._due:
            return None
        self._due = time.monotonic() + _EVERY_SECONDS
        new = {name for name in restatement_ids(self._target) if name > self._newest}
        if not new:
            return None
        self._newest = max(new)
        first = min((hour for hour, _ in rows_of(self._target, new)), default=None)
        return None if first is None else max(first.start, now - _BACK)

    def looked_at(self) -> None:
        """Remember that rules were asked about all that is known."""
        self._store.restated = self._newest

    def rows(self, first_hour: int, columns: list[str] | None) -> pa.Table:
        """Return restatements that count of calls from *first_hour* on."""
        counted = set(restatement_ids(self._target))
        names = columns or RESTATEMENT_SCHEMA.names
        parts = [RESTATEMENT_SCHEMA.empty_table().select(names)]
        for hour, key in rows_of(self._target, counted):
            if hour >= Partition(first_hour):
                parts.append(fit(self._target.read(key, columns), parts[0].schema))
        return pa.concat_tables(parts)
