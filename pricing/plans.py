"""
Plans: which rate card is in force when, for one kind of call.

Times are UTC microseconds since 1970 and intervals are half-open.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pricing.rate_cards import RateCard

Times = npt.NDArray[np.int64]

ALWAYS: Final = (-(2**63), 2**63 - 1)
"""An interval without bounds."""

_DAY: Final = 86_400_000_000
_THURSDAY: Final = 3
"""Weekday of 1970-01-01, with Monday as 0."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    Recurring hours.

    Attributes:
        hours: Intervals of the UTC day in microseconds; one that ends before it
            starts goes over midnight. Empty means the whole day.

        weekdays: UTC weekdays on which the hours hold, Monday is 0.

        except_days: UTC days since 1970 on which they do not.
    """

    hours: tuple[tuple[int, int], ...] = ()
    weekdays: frozenset[int] = frozenset(range(7))
    except_days: frozenset[int] = frozenset()

    def holds(self, times: Times) -> npt.NDArray[np.bool_]:
        """Return for each time whether it is inside the hours."""
        days = times // _DAY
        first, last = int(days.min()), int(days.max())
        inside = self._on_days(first, last).take(days - first, mode="clip")
        if self.hours:
            inside &= self._in_hours(times - days * _DAY)
        return inside

    def _on_days(self, first: int, last: int) -> npt.NDArray[np.bool_]:
        days = np.arange(first, last + 1)
        on = np.isin((days + _THURSDAY) % 7, sorted(self.weekdays))
        if self.except_days:
            on &= ~np.isin(days, sorted(self.except_days))
        return on

    def _in_hours(self, clock: Times) -> npt.NDArray[np.bool_]:
        inside = np.zeros(len(clock), np.bool_)
        for start, end in self.hours:
            after, before = clock >= start, clock < end
            inside |= (after & before) if start <= end else (after | before)
        return inside


class Entry(NamedTuple):
    """A card and when it is in force: within the bounds and on every schedule."""

    card: RateCard
    start: int = ALWAYS[0]
    end: int = ALWAYS[1]
    schedules: tuple[Schedule, ...] = ()

    def within(
        self, start: int, end: int, schedules: tuple[Schedule, ...] = ()
    ) -> "Entry | None":
        """Return the entry narrowed to the given time, or None if never in force."""
        narrow = self._replace(
            start=max(self.start, start),
            end=min(self.end, end),
            schedules=self.schedules + schedules,
        )
        return narrow if narrow.start < narrow.end else None


Plan = tuple[Entry, ...]
"""Entries in order of precedence; the last is always in force."""


def narrowed(
    entries: Iterable[Entry],
    start: int,
    end: int,
    schedules: tuple[Schedule, ...] = (),
) -> list[Entry]:
    """Return those of *entries* that are in force in the given time, narrowed."""
    kept = (entry.within(start, end, schedules) for entry in entries)
    return [entry for entry in kept if entry is not None]


def only_card(plan: Plan, first: int, last: int) -> RateCard | None:
    """
    Return the card in force from *first* to *last* inclusive, if it is one.

    None if it may change in between.
    """
    for entry in plan:
        if entry.end <= first or entry.start > last:
            continue
        whole = entry.start <= first and last < entry.end
        return entry.card if whole and not entry.schedules else None
    return None


def choose_entries(plan: Plan, times: Times) -> npt.NDArray[np.intp]:
    """Return for each time the position in *plan* of the entry in force."""
    chosen = np.full(len(times), len(plan) - 1, np.intp)
    if not len(times):
        return chosen
    first, last = int(times.min()), int(times.max())
    open_ = np.ones(len(times), np.bool_)
    for position, entry in enumerate(plan[:-1]):
        if entry.end <= first or entry.start > last:
            continue
        holds = open_ & (times >= entry.start) & (times < entry.end)
        for schedule in entry.schedules:
            holds &= schedule.holds(times)
        chosen[holds] = position
        open_ &= ~holds
    return chosen
