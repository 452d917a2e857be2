"""
Working tables made again from the lake, when there are none that fit.

The newest hours are taken at once, whole; so are all objects that commit records still
name, since nobody knows whether they were accounted. Older hours stay as they are
published: which traces they have is looked up afterwards, hour by hour between ticks
(`Account.index_hour`), so that late spans still find what they belong to.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final, NamedTuple

import structlog

from collector.account.publish import published_in
from collector.account.tick import Account
from collector.config import Settings
from collector.errors import LakeError
from collector.lake.commits import is_taken, new_commits, read_commit
from collector.lake.layout import Partition
from collector.lake.objects import find_retired, published_hours, spans_by_hour
from collector.lake.target import Target

_FILL_HOURS: Final = 2
_SPANS_AT_ONCE: Final = 250_000

log = structlog.get_logger(component="account")


class Filled(NamedTuple):
    """How far filling came."""

    spans: int
    hours: int
    of_hours: int

    @property
    def share(self) -> float:
        """Part of the hours that are taken, from 0 to 1."""
        return self.hours / self.of_hours if self.of_hours else 1.0


def fill(
    account: Account,
    settings: Settings,
    target: Target,
    *,
    go_on: Callable[[Filled], bool] = lambda _: True,
) -> bool:
    """
    Fill the empty store of *account* with the newest spans of the lake.

    Args:
        account: Its store is committed when all is in it.

        settings: ``account.window_hours`` bounds how far back spans are taken.

        target: The lake.

        go_on: Asked every few seconds; filling is given up when it says no.

    Returns:
        Whether filling came to its end; if not, nothing counts.
    """
    store = account.store
    store.taken = dict(new_commits(target, {}))
    raw = taken_by_hour(target, store.taken)
    store.retired = find_retired(target, spans_by_hour(target))
    hours = min(_FILL_HOURS, math.ceil(settings.account.window_hours))
    first = int(time.time()) // 3600 - hours
    named = _hours_of_commits(target)
    wanted = [hour for hour in raw if hour >= first or hour in named]
    store.settled = (raw.keys() | published_hours(target, "calls")) - set(wanted)
    store.unindexed = raw.keys() - set(wanted)
    spans = 0
    for done, hour in enumerate(wanted):
        for keys in batches(target, raw[hour]):
            if not go_on(Filled(spans, done, len(wanted))):
                return False
            spans += account.intake.take(keys).spans
        store.dirty |= published_in(target, hour, store.schemas)
    store.commit()
    log.info(
        "state_filled", spans=spans, hours=len(wanted), later_hours=len(store.unindexed)
    )
    return True


def taken_by_hour(target: Target, taken: Mapping[str, str]) -> dict[int, list[str]]:
    """Return the spans objects behind *taken* positions, by hour; others come later."""
    raw = {
        hour: [key for key in keys if is_taken(key, taken)]
        for hour, keys in spans_by_hour(target).items()
    }
    return {hour: keys for hour, keys in raw.items() if keys}


def batches(target: Target, keys: list[str]) -> Iterator[list[str]]:
    """Yield *keys* in order, as many at once as have spans for one step."""
    batch: list[str] = []
    rows = 0
    for key in keys:
        more = _rows(target, key)
        if batch and rows + more > _SPANS_AT_ONCE:
            yield batch
            batch, rows = [], 0
        batch.append(key)
        rows += more
    if batch:
        yield batch


def _rows(target: Target, key: str) -> int:
    try:
        return target.footer(key).rows
    except LakeError:
        return 0  # whoever reads it will say what is wrong with it


def _hours_of_commits(target: Target) -> set[int]:
    hours = set()
    for journal_id, end in new_commits(target, {}):
        for stored in read_commit(target, journal_id, end).objects:
            partition = Partition.parse(str(PurePosixPath(stored.key).parent))
            if partition is not None:
                hours.add(partition.hour)
    return hours
