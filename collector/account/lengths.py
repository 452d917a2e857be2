"""Usual lengths of workflows, hour by hour, as the published chains tell them."""

import operator
from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from collector.account.store import Store
from collector.lake.layout import Partition, part_key
from collector.lake.target import Target
from rollups.growth.lengths import (
    EARLIER_HOURS,
    LENGTH_SCHEMA,
    WORKFLOW,
    count_lengths,
    tell_lengths,
    usual_lengths,
)

CALLS_OF: Final = {"chains": "calls", "runs": "verdict_calls"}
"""Tables with ``too_long``, and the column with the calls that are judged."""

_KEPT_HOURS: Final = 200


class Lengths:
    """
    Fills ``too_long`` as partitions are published, and says what is outdated by that.

    An hour is compared with the hours before it as they are published, whatever came
    first. Nothing is stored: what is not known in this process is read from the lake.
    """

    def __init__(self, target: Target, store: Store) -> None:
        self._target = target
        self._store = store
        self._counts: dict[int, pa.Table] = {}
        self._used: dict[int, pa.Table | None] | None = None
        self._changed: set[int] = set()
        self._worked_out: dict[int, tuple[list[pa.Table], pa.Table]] = {}

    def fill(
        self, name: str, hour: int, parts: Iterator[pa.Table]
    ) -> Iterator[pa.Table]:
        """Yield *parts* of a partition of chains or runs, with ``too_long``."""
        usual = self._usual(hour)
        counts = []
        for part in parts:
            if name == "chains":
                counts.append(count_lengths(part))
            yield tell_lengths(part, usual, calls=CALLS_OF[name])
        if name == "chains":
            self._known()[hour] = usual
            self._keep(hour, count_lengths(_joined(counts)))
            self._changed.add(hour)

    def outdated(self) -> set[int]:
        """
        Return hours that were compared with others than are published now.

        Only hours behind those that were filled since the last call are looked at.
        """
        after = {
            hour
            for changed in self._changed
            for hour in range(changed + 1, changed + EARLIER_HOURS + 1)
        }
        self._changed.clear()
        known = self._known()
        return {
            hour
            for hour in after
            if (hour in known or hour in self._store.settled)
            and known.get(hour) != self._usual(hour)
            and self._target.has(part_key("chains", Partition(hour)))
        }

    def _known(self) -> dict[int, pa.Table | None]:
        """Return what hours were compared with; null where an earlier process did."""
        if self._used is None:
            self._used = dict.fromkeys(self._store.hours("chains"))
        return self._used

    def _usual(self, hour: int) -> pa.Table:
        counts = [self._counted(at) for at in range(hour - EARLIER_HOURS, hour)]
        before = self._worked_out.get(hour)
        if before is None or any(map(operator.is_not, before[0], counts)):
            # Mostly the same hour is asked for again, and no hour before it changed.
            self._worked_out = {hour: (counts, usual_lengths(_joined(counts)))}
        return self._worked_out[hour][1]

    def _counted(self, hour: int) -> pa.Table:
        if hour not in self._counts:
            key = part_key("chains", Partition(hour))
            there = self._target.has(key)
            columns = [*WORKFLOW, "calls"]
            found = self._target.read(key, columns) if there else _joined([])
            self._keep(hour, count_lengths(found))
        return self._counts[hour]

    def _keep(self, hour: int, counts: pa.Table) -> None:
        self._counts.pop(hour, None)
        while len(self._counts) >= _KEPT_HOURS:
            del self._counts[next(iter(self._counts))]
        self._counts[hour] = counts


def _joined(counts: list[pa.Table]) -> pa.Table:
    return pa.concat_tables([LENGTH_SCHEMA.empty_table(), *counts])
