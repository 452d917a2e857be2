"""One version of each span: the one with the later end, then the larger content."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rollups.ledger.columns import (
    NONE,
    Ints,
    Mask,
    integers,
    known,
    one_chunk,
    ranks_of,
    take,
)


class Versions(NamedTuple):
    """
    The winning row of each span, ascending, and what is known of the others.

    ``received_unix_nano`` is the earliest arrival of any version. ``replaced`` is the
    row of the best version that differs from the winner, `NONE` if none does.
    """

    rows: Ints
    received_unix_nano: Ints
    replaced: Ints


def choose_versions(table: pa.Table, key: Ints) -> Versions:
    """
    Choose a row for each span, whatever the order of rows.

    Args:
        table: Spans, some of them several times.

        key: For each row a number that is equal for versions of one span.

    The version with the later end wins, then the one with the larger content, column
    by column in order of their names, arrival apart. Equal versions count once.
    """
    received = integers(one_chunk(table, "received_unix_nano"))
    size = len(key)
    ordered = np.sort(key)
    if (ordered[1:] != ordered[:-1]).all():
        return Versions(np.arange(size), received, np.full(size, NONE))
    _, span, versions = np.unique(key, return_inverse=True, return_counts=True)
    rows = np.flatnonzero(versions[span] > 1)
    rows, changed = _by_content(table, rows, span)
    last = np.r_[span[rows[1:]] != span[rows[:-1]], True]
    fresh = np.r_[True, last[:-1]]
    places = np.arange(len(rows))
    start = np.maximum.accumulate(np.where(fresh, places, 0))
    change = np.maximum.accumulate(np.where(changed, places, 0))
    loser = np.where(change > start, rows[change - 1], NONE)
    replaced = np.full(size, NONE)
    replaced[rows[last]] = loser[last]
    least = np.full(len(versions), np.iinfo(np.int64).max)
    np.minimum.at(least, span, received)
    alone = np.flatnonzero(versions[span] == 1)
    chosen = np.sort(np.r_[alone, rows[last]])
    return Versions(chosen, least[span[chosen]], replaced[chosen])


def _by_content(table: pa.Table, rows: Ints, span: Ints) -> tuple[Ints, Mask]:
    """
    Sort *rows* by span, then end, then content, so that the winner comes last.

    Also returns where a row differs from the row before it in more than its span.
    """
    end = integers(one_chunk(table, "end_unix_nano"))
    rows = rows[np.argsort(span[rows], kind="stable")]
    follows = np.flatnonzero(span[rows[1:]] == span[rows[:-1]]) + 1
    names = sorted(set(table.column_names) - {"received_unix_nano"})
    columns = (take(one_chunk(table, name), rows) for name in names)
    ranks = [_ranks(column) for column in columns if _differs(column, follows)]
    order = np.lexsort((*reversed(ranks), end[rows], span[rows]))
    changed = np.zeros(len(rows), np.bool_)
    for rank in ranks:
        changed[1:] |= rank[order[1:]] != rank[order[:-1]]
    return rows[order], changed


def _differs(column: pa.Array, follows: Ints) -> bool:
    if column.null_count == len(column):
        return False
    valid = known(column)
    one, other = take(column, follows), take(column, follows - 1)
    equal = pc.fill_null(pc.equal(one, other), False).to_numpy(zero_copy_only=False)
    return bool((~equal & (valid[follows] | valid[follows - 1])).any())


def _ranks(column: pa.Array) -> Ints:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return ranks_of(column)[0]
