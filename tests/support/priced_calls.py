"""Tables of calls for pricing tests."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from pricing import INPUT_FIELDS, PriceBook, price_calls

NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)

FLAGS = ("cache_unknown", "usage_incomplete")


def column_type(name: str) -> pa.DataType:
    if name == "timestamp":
        return pa.timestamp("us", "UTC")
    if name == "reported_cost_usd":
        return pa.decimal128(18, 12)
    if name in FLAGS:
        return pa.bool_()
    if name.endswith(("_tokens", "_requests")):
        return pa.int64()
    return pa.string()


CALLS_SCHEMA = pa.schema([(name, column_type(name)) for name in INPUT_FIELDS])


def calls_table(calls: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return calls as a table with every column that pricing looks at."""
    rows = [
        {**dict.fromkeys(INPUT_FIELDS), "timestamp": NOON, **call} for call in calls
    ]
    return pa.Table.from_pylist(rows, schema=CALLS_SCHEMA)


def price_one(book: PriceBook, **call: Any) -> dict[str, Any]:
    """Return the cost columns of one call."""
    return price_calls(calls_table([call]), book).to_pylist()[0]


def usd(text: str | int) -> Decimal:
    return Decimal(text)
