"""Repricing: stored calls by another book, kept as a restatement beside what was."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.config import Settings
from collector.errors import LakeError
from collector.files import locked
from collector.lake.books import Books
from collector.lake.layout import Partition
from collector.lake.restatements import (
    Restatement,
    commit_restatement,
    list_restatements,
    name_restatement,
    restatement_key,
    rows_keys,
    sweep_restatements,
)
from collector.lake.target import Target, open_target
from collector.query.formats import plain_rows, plain_value
from collector.query.times import Period
from collector.repricing.restate import (
    Comparison,
    KnownCosts,
    compare,
    restatement_rows,
)
from collector.repricing.stored import (
    IncompleteCallsError,
    call_partitions,
    read_calls,
    read_hour,
    within,
)
from collector.repricing.sums import SUM_TYPE, merge_sums, sum_groups
from collector.repricing.texts import query_sums
from pricing import PriceBook, price_calls, share_hour
from rollups.schema import RESTATEMENT_SCHEMA

_WORKERS: Final = 2
"""Threads; Arrow and numpy let each other run while they work."""

_KEYS: Final = ("provider", "model", "feature")
_UNLIKE: Final = [
    field.name
    for field in RESTATEMENT_SCHEMA
    if field.name in ("timestamp", "trace_id", "span_id")
    or pa.types.is_decimal(field.type)
]
"""Columns of restatements whose values are mostly different."""


class SetAside(NamedTuple):
    """An object whose calls could not be priced again."""

    key: str
    reason: str


class Repriced(NamedTuple):
    """What calls cost by another book."""

    restatement: Restatement
    is_kept: bool
    """Whether it counts now; false if nothing changed, and for a dry run."""
    differences: pa.Table
    """A row per provider, model and feature in which something changed."""
    totals: dict[str, Any]
    """Sums over all calls looked at; as JSON has it."""
    set_aside: tuple[SetAside, ...]

    def notes(self) -> list[str]:
        """Return what people have to know beside the differences."""
        sums, about = self.totals, self.restatement
        counted = (
            f"{sums['calls']:,} calls priced by book {about.price_version}:"
            f" {sums['restated_calls']:,} changed, {sums['unchanged_calls']:,} did not"
        )
        cost = (
            f"cost ${sums['cost_usd'] or 0} -> ${sums['restated_usd'] or 0},"
            f" difference ${sums['difference_usd']}"
        )
        lines = [counted, cost]
        before, after = sums["unpriced_calls"], sums["restated_unpriced_calls"]
        if before or after:
            lines.append(f"calls without a price: {before:,} -> {after:,}")
        if self.is_kept:
            lines.append(
                f"restatement {about.restatement_id}; reports show it with --restated"
            )
        elif sums["restated_calls"]:
            lines.append("dry run: nothing was written")
        else:
            lines.append("nothing to restate")
        return lines

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        about = self.restatement
        return {
            "restatement_id": about.restatement_id if self.is_kept else None,
            "known_at": plain_value(about.known_at),
            "price_version": about.price_version,
            "since": plain_value(about.since),
            "until": plain_value(about.until),
            "totals": self.totals,
            "rows": plain_rows(self.differences),
            "set_aside": [one._asdict() for one in self.set_aside],
        }


def reprice(
    settings: Settings,
    period: Period,
    book: PriceBook,
    *,
    dry_run: bool = False,
    now: datetime | None = None,
) -> Repriced:
    """
    Price the calls of *period* by *book* and keep what changes as a restatement.

    Recorded costs stay as they are. A call is restated if its cost, a part of it, its
    status, reason or price row is not what is known until now: recorded, or restated
    before. A restatement counts as a whole or, until its last file is there, not at
    all; a repricing that did not come to its end is removed by the next.

    Args:
        settings: Say where the lake is.

        period: Calls that start in it.

        book: Any price book; it is kept in the lake.

        dry_run: Write nothing.

        now: When the restatement is known; default is the clock's.

    Raises:
        LockedError: Another repricing is at work on the data directory.
    """
    target = open_target(settings.lake_url)
    known_at = now or datetime.now(UTC)
    job = _Job(
        target,
        period,
        book,
        restatement_id=name_restatement(known_at, book.version),
        known_at=pa.scalar(known_at, pa.timestamp("us", tz="UTC")),
        writes=not dry_run,
    )
    if dry_run:
        return job.run()
    with locked(settings.data_dir, "reprice"):
        sweep_restatements(target)
        return job.run()


class _Hour(NamedTuple):
    """What one hour came to."""

    sums: pa.Table | None
    set_aside: SetAside | None = None


class _Job:
    """One repricing."""

    def __init__(
        self,
        target: Target,
        period: Period,
        book: PriceBook,
        *,
        restatement_id: str,
        known_at: pa.Scalar,
        writes: bool,
    ) -> None:
        self._target = target
        self._period = period
        self._book = book
        self._id = restatement_id
        self._known_at = known_at
        self._writes = writes
        self._counted = {one.restatement_id for one in list_restatements(target)}

    def run(self) -> Repriced:
        """Price all hours, two at a time, and let the restatement count."""
        hours = call_partitions(self._target, self._period)
        with ThreadPoolExecutor(_WORKERS) as pool:
            done = list(
                pool.map(self._hour, *zip(*hours, strict=True)) if hours else ()
            )
        parts = [hour.sums for hour in done if hour.sums is not None]
        compared = merge_sums(parts, _SUMS, _KEYS)
        totals = plain_rows(query_sums("totals", compared))[0]
        restatement = Restatement(
            self._id,
            self._known_at.as_py(),
            self._book.version,
            self._period.since,
            self._period.until,
            totals["calls"],
            totals["restated_calls"],
        )
        is_kept = self._writes and totals["restated_calls"] > 0
        if is_kept:
            Books(self._target).keep(self._book)
            commit_restatement(self._target, restatement)
        return Repriced(
            restatement,
            is_kept,
            query_sums("differences", compared),
            totals,
            tuple(hour.set_aside for hour in done if hour.set_aside),
        )

    def _hour(self, partition: Partition, key: str) -> _Hour:
        sums: list[pa.Table] = []
        try:
            changed = self._changed(partition, key, sums)
            first = next(changed, None)
            if first is not None:
                self._target.publish_parts(
                    restatement_key(partition, self._id),
                    RESTATEMENT_SCHEMA,
                    itertools.chain([first], changed),
                    unlike=_UNLIKE,
                )
        except (LakeError, IncompleteCallsError) as error:
            return _Hour(None, SetAside(key, str(error)))
        return _Hour(merge_sums(sums, _SUMS, _KEYS))

    def _changed(
        self, partition: Partition, key: str, sums: list[pa.Table]
    ) -> Iterator[pa.Table]:
        """Yield rows of the restatement; adds to *sums* what all calls came to."""
        known = self._known_costs(partition)
        for calls, costs in self._priced(partition, key):
            if not calls.num_rows:
                continue
            compared = compare(calls, costs, known)
            sums.append(_sums(compared))
            if self._writes and compared.changed.any():
                yield restatement_rows(
                    compared, restatement_id=self._id, known_at=self._known_at
                )

    def _priced(
        self, partition: Partition, key: str
    ) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield calls and what they cost by the book."""
        is_over = partition.start + timedelta(hours=1) <= self._known_at.as_py()
        if not (self._book.shares_hours and is_over):
            for calls in read_calls(self._target, key, self._period):
                yield calls, price_calls(calls, self._book)
            return
        # Shares need the whole hour, also where the period has a part of it.
        calls = read_hour(self._target, key)
        costs = share_hour(calls, price_calls(calls, self._book), self._book)
        inside = pa.array(within(calls, self._period))
        yield calls.filter(inside), costs.filter(inside)

    def _known_costs(self, partition: Partition) -> KnownCosts | None:
        keys = rows_keys(self._target, partition, self._counted)
        if not keys:
            return None
        return KnownCosts.of(pa.concat_tables(self._target.read(key) for key in keys))


def _sums(compared: Comparison) -> pa.Table:
    """Return exact sums by provider, model and feature."""
    calls, known, costs = compared.calls, compared.known, compared.costs
    table = pa.table(
        {
            "provider": calls.column("provider"),
            "model": pc.coalesce(
                calls.column("response_model"), calls.column("request_model")
            ),
            "feature": calls.column("feature"),
            "known_usd": known.column("cost_usd"),
            "restated_usd": costs.column("cost_usd"),
            "changed_calls": pa.array(compared.changed).cast(pa.int64()),
            "known_unpriced": pc.is_null(known.column("cost_usd")).cast(pa.int64()),
            "restated_unpriced": pc.is_null(costs.column("cost_usd")).cast(pa.int64()),
            "calls": pa.array(np.ones(calls.num_rows, np.int64)),
        }
    )
    return sum_groups(table, _SUMS, _KEYS)


_SUMS: Final = pa.schema(
    [
        *((name, pa.string()) for name in _KEYS),
        ("known_usd", SUM_TYPE),
        ("restated_usd", SUM_TYPE),
        ("changed_calls", pa.int64()),
        ("known_unpriced", pa.int64()),
        ("restated_unpriced", pa.int64()),
        ("calls", pa.int64()),
    ]
)
"""What all calls of a key came to; nulls in sums of money are left out."""
