"""The calls of one hour by another book: which cost something else than is known."""

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.repricing.stored import Mask, differ
from rollups.schema import COST_COLUMNS, RESTATEMENT_SCHEMA

_COMPARED: Final = tuple(name for name in COST_COLUMNS if name != "price_version")
"""A call is restated if one of these becomes another; a new book alone says nothing."""


class KnownCosts(NamedTuple):
    """Rows of ``restatements`` of one hour, the newest of each call."""

    rows: pa.Table
    keys: pa.Array

    @classmethod
    def of(cls, rows: pa.Table) -> "KnownCosts":
        """
        Return the newest row of each call.

        Args:
            rows: Each restatement has a call once.
        """
        if len(pc.unique(rows.column("restatement_id"))) == 1:
            rows = rows.combine_chunks()
            return cls(rows, _keys(rows))
        order = [("restatement_id", "descending")]
        rows = rows.sort_by(order).combine_chunks()
        keys = _keys(rows)
        first = np.unique(_codes(keys), return_index=True)[1]
        newest = rows.take(pa.array(np.sort(first)))
        return cls(newest, _keys(newest))

    def over(self, calls: pa.Table) -> pa.Table:
        """Return the cost columns known of *calls*: restated, else as recorded."""
        recorded = calls.select(COST_COLUMNS)
        place = pc.index_in(_keys(calls), value_set=self.keys)
        found = self.rows.take(place)
        counts = place.is_valid().to_numpy(zero_copy_only=False)
        counts &= ~differ(found.column("recorded_cost_usd"), calls.column("cost_usd"))
        if not counts.any():
            return recorded
        chosen = pa.array(counts)
        columns = {
            name: pc.if_else(
                chosen,
                found.column(name),
                pc.cast(calls.column(name), found.column(name).type),
            )
            for name in COST_COLUMNS
        }
        return pa.table(columns)


def _keys(rows: pa.Table) -> pa.Array:
    joined = pc.binary_join_element_wise(
        rows.column("trace_id"), rows.column("span_id"), "/"
    )
    return joined.combine_chunks()


def _codes(keys: pa.Array) -> "np.ndarray[tuple[int], np.dtype[np.int32]]":
    return np.asarray(keys.dictionary_encode().indices)


class Comparison(NamedTuple):
    """Costs of n calls: as known until now, and by another book."""

    calls: pa.Table
    known: pa.Table
    """`COST_COLUMNS` as they count until now."""
    costs: pa.Table
    """`COST_COLUMNS` by the book."""
    changed: Mask
    """Where they differ, the version of the book apart."""


def compare(calls: pa.Table, costs: pa.Table, known: KnownCosts | None) -> Comparison:
    """Set what stored calls cost by a book beside what is known of them."""
    before = calls.select(COST_COLUMNS) if known is None else known.over(calls)
    changed = np.zeros(calls.num_rows, np.bool_)
    for name in _COMPARED:
        changed |= differ(before.column(name), costs.column(name))
    return Comparison(calls, before, costs, changed)


def restatement_rows(
    compared: Comparison, *, restatement_id: str, known_at: pa.Scalar
) -> pa.Table:
    """Return rows of ``restatements`` for the calls that changed."""
    changed = pa.array(compared.changed)
    calls = compared.calls.select(["timestamp", "trace_id", "span_id", "cost_usd"])
    calls, costs = calls.filter(changed), compared.costs.filter(changed)
    told = dict(zip(costs.column_names, costs.columns, strict=True)) | {
        "timestamp": calls.column("timestamp"),
        "trace_id": calls.column("trace_id"),
        "span_id": calls.column("span_id"),
        "recorded_cost_usd": calls.column("cost_usd"),
        "restatement_id": pa.repeat(restatement_id, calls.num_rows),
        "known_at": pa.repeat(known_at, calls.num_rows),
    }
    columns = [told[name] for name in RESTATEMENT_SCHEMA.names]
    return pa.table(columns, schema=RESTATEMENT_SCHEMA)
