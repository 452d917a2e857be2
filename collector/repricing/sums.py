"""Exact sums by group: what calls came to, part by part, then all parts together."""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

SUM_TYPE: Final = pa.decimal128(38, 12)


def sum_groups(rows: pa.Table, schema: pa.Schema, keys: Sequence[str]) -> pa.Table:
    """
    Return exact sums of all columns but *keys* by them.

    Args:
        rows: Columns of *schema*; money may be narrower, texts dictionaries.

        schema: What is returned: keys, counts as int64, money as `SUM_TYPE`.

        keys: Columns to group by; null is a value like others.

    Returns:
        One row per group, in no order. A sum of nothing but nulls is null.
    """
    added = [name for name in schema.names if name not in keys]
    grouped = rows.group_by([*keys]).aggregate([(name, "sum") for name in added])
    columns = [
        grouped.column(f"{field.name}_sum" if field.name in added else field.name)
        for field in schema
    ]
    return pa.table(
        [
            column.cast(field.type)
            for column, field in zip(columns, schema, strict=True)
        ],
        schema=schema,
    )


def merge_sums(
    parts: Sequence[pa.Table], schema: pa.Schema, keys: Sequence[str]
) -> pa.Table:
    """Return what `sum_groups` would have given of all rows at once."""
    whole = pa.concat_tables([schema.empty_table(), *parts])
    return sum_groups(whole, schema, keys)
