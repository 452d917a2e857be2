"""Calls as they are stored, ready to be priced again."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.lake.books import STORED_FACTS
from collector.lake.layout import Partition
from collector.lake.target import Target
from collector.query.times import ALWAYS, Period
from pricing.book import CallKey
from rollups.schema import COST_COLUMNS

CALLS: Final = "calls"

ENCODED: Final = (
    *CallKey._fields,
    "operation",
    "usage_convention",
    "cost_status",
    "cost_reason",
    "price_provider",
    "price_model",
    "price_match",
    "price_version",
)
"""Columns of few different texts, read as dictionaries."""

_DAY_SECONDS: Final = 86_400
_HOUR_SECONDS: Final = 3600

Mask = npt.NDArray[np.bool_]


class IncompleteCallsError(ValueError):
    """Stored calls lack columns on which their price depends."""


def call_partitions(target: Target, period: Period) -> list[tuple[Partition, str]]:
    """Return the hours with calls that touch *period*, and their keys, in order."""
    found = []
    for key in target.keys(CALLS):
        partition = Partition.parse(key.rpartition("/")[0])
        if partition is None or key.endswith("/empty.parquet"):
            continue
        start = partition.hour * _HOUR_SECONDS
        since, until = period
        is_after = until is not None and start >= until.timestamp()
        is_before = since is not None and start + _HOUR_SECONDS <= since.timestamp()
        if not is_after and not is_before:
            found.append((partition, key))
    return found


def read_calls(
    target: Target, key: str, period: Period, *, columns: tuple[str, ...] = ()
) -> Iterator[pa.Table]:
    """
    Read the calls of one object that start in *period*, part by part.

    Args:
        target: The lake.

        key: A key of ``calls``.

        period: Rows outside of it are left out.

        columns: Wanted beside `STORED_FACTS`, `COST_COLUMNS`, ``span_id`` and
            ``trace_id``.

    Raises:
        LakeError: The object is damaged.
        IncompleteCallsError: An older version wrote it, without all of `STORED_FACTS`.
    """
    needed = (*STORED_FACTS, *COST_COLUMNS, "trace_id", "span_id")
    wanted = list(dict.fromkeys((*needed, *columns)))
    for calls in target.read_parts(key, wanted, encoded=ENCODED):
        missing = set(needed) - set(calls.column_names)
        if missing:
            message = f"{key}: no column {', '.join(sorted(missing))}"
            raise IncompleteCallsError(message)
        inside = within(calls, period)
        # Filtering copies, and most objects are inside whole.
        yield calls if inside.all() else calls.filter(pa.array(inside))


def read_hour(target: Target, key: str) -> pa.Table:
    """Return all calls of one object as `read_calls` does, by time and ids."""
    parts = list(read_calls(target, key, ALWAYS))
    order = [(name, "ascending") for name in ("timestamp", "trace_id", "span_id")]
    return pa.concat_tables(parts).sort_by(order).unify_dictionaries()


def within(calls: pa.Table, period: Period) -> Mask:
    """Return which calls start in *period*."""
    times = calls.column("timestamp")
    mask = np.ones(calls.num_rows, np.bool_)
    for test, end in ((pc.greater_equal, period.since), (pc.less, period.until)):
        if end is not None:
            mask &= test(times, pa.scalar(end, times.type)).to_numpy()
    return mask


def differ(one: pa.ChunkedArray, other: pa.ChunkedArray) -> Mask:
    """Return where two columns differ; null equals null and nothing else."""
    unequal = pc.not_equal(one, other)
    if unequal.null_count:
        unequal = pc.coalesce(unequal, pc.xor(pc.is_null(one), pc.is_null(other)))
    mask: Mask = unequal.to_numpy()
    return mask
