"""Rates of the cheapest and dearest models, for calls that have no price."""

import functools
from decimal import Decimal
from typing import Final

import duckdb
import pyarrow as pa

from collector.lake.books import Books
from collector.lake.target import open_target
from collector.query.texts import query_text
from pricing import PriceBook, bundled_book
from pricing.bounds import Bounds, TokenRates, price_bounds

_RATE: Final = pa.decimal128(18, 12)
_RATES: Final = pa.list_(pa.struct([(name, _RATE) for name in TokenRates._fields]))
BOUNDS_SCHEMA: Final = pa.schema(
    [
        ("provider", pa.string()),
        ("kind", pa.string()),
        ("above", pa.int64()),
        ("upto", pa.int64()),
        ("lowest", _RATES),
        ("highest", _RATES),
    ]
)
"""Rows of ``price_bounds``: USD per token by provider as sent, kind and size."""

_DAY_MICROS: Final = 86_400_000_000


def bounds_table(connection: duckdb.DuckDBPyConnection, url: str) -> pa.Table:
    """
    Return the bounds of all providers of calls without a price.

    Args:
        connection: Sees ``calls``.

        url: The lake, whose newest book has the lists; without one there is no bound.
    """
    found = connection.sql(query_text("unpriced_providers")).fetchall()
    version = Books(open_target(url)).current if found else None
    if version is None:
        return BOUNDS_SCHEMA.empty_table()
    rows = [
        {
            **bounds._asdict(),
            "provider": provider,
            "lowest": [_usd(rates) for rates in bounds.lowest],
            "highest": [_usd(rates) for rates in bounds.highest],
        }
        for provider, first, last in found
        for bounds in _bounds(url, version, provider, *_days(first, last))
    ]
    return pa.Table.from_pylist(rows, schema=BOUNDS_SCHEMA)


def _days(first: int, last: int) -> tuple[int, int]:
    """Return whole days, so that reports on a growing time find the same bounds."""
    return first // _DAY_MICROS * _DAY_MICROS, -(-last // _DAY_MICROS) * _DAY_MICROS


@functools.lru_cache(maxsize=256)
def _bounds(
    url: str, version: str, provider: str, first: int, last: int
) -> tuple[Bounds, ...]:
    return tuple(price_bounds(_book(url, version), provider, first, last))


@functools.lru_cache(maxsize=2)
def _book(url: str, version: str) -> PriceBook:
    bundled = bundled_book()
    if version == bundled.version:
        return bundled
    return Books(open_target(url)).book(version)


def _usd(rates: TokenRates) -> dict[str, Decimal]:
    return {name: Decimal(pico).scaleb(-12) for name, pico in rates._asdict().items()}
