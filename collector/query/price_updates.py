"""New price books: what they would change, and putting them in force."""

import time
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

from collector.config import Settings
from collector.errors import ConfigError
from collector.lake.books import Books, base_book, book_of, choose_book
from collector.lake.target import open_target
from pricing import PriceBook, PriceBookError
from pricing.differences import JUMP, Change, compare_books
from pricing.refresh import refreshed

CHANGE_SCHEMA: Final = pa.schema(
    [
        ("change", pa.string()),
        ("source", pa.string()),
        ("provider", pa.string()),
        ("model", pa.string()),
        ("input_tokens_above", pa.int64()),
        ("item", pa.string()),
        ("old_usd", pa.decimal128(38, 12)),
        ("new_usd", pa.decimal128(38, 12)),
        ("unit", pa.string()),
        ("alarm", pa.string()),
    ]
)
"""A row per difference; rates are for a million tokens, fees for one."""

_FEES: Final = {"web_search": "search", "request": "request"}
_PICO: Final = Decimal("0.000000000001")


class Update(NamedTuple):
    """A book that could be put in force."""

    old: PriceBook
    new: PriceBook
    changes: list[Change]

    def table(self) -> pa.Table:
        """Return the changes in rows of `CHANGE_SCHEMA`, jumps first."""
        rows = [_row(change) for change in self.changes]
        return pa.Table.from_pylist(rows, schema=CHANGE_SCHEMA)

    def alarms(self) -> int:
        """Return how many rates jump."""
        return sum(change.is_jump for change in self.changes)

    def warnings(self) -> list[str]:
        """Return what to look at before the book is taken; none if all is ordinary."""
        lost = sum(change.what == "removed" for change in self.changes)
        said = []
        if jumps := self.alarms():
            said.append(f"look at {jumps:,} rates that jump")
        if lost:
            said.append(f"look at {lost:,} models that are in the list no more")
        return said

    def summary(self) -> str:
        """Return in one line how many models and rates change."""
        count = dict.fromkeys(("added", "removed", "rate", "elsewhere"), 0)
        for change in self.changes:
            count[change.what] += 1
        return (
            f"{count['added']} models added, {count['removed']} removed, "
            f"{count['rate']} rates changed, {count['elsewhere']} models changed "
            f"elsewhere; {self.alarms()} rates by more than {JUMP}x"
        )


def find_update(settings: Settings, file: Path | None) -> Update:
    """
    Return what a newer list would change of the book that the settings ask for.

    Args:
        settings: Say which book and which lake.

        file: As `refreshed` takes it.

    Raises:
        ConfigError: The settings name a book file, or something cannot be read.
    """
    if settings.prices.book is not None:
        message = f"prices: prices.book says {settings.prices.book}"
        error = ConfigError(message)
        error.hint = "change that file, then run spanledger prices reload"
        raise error
    now = datetime.now(UTC)
    try:
        old = base_book(settings)
        new = refreshed(old, file, now.date())
        return Update(old, new, compare_books(old, new, now))
    except PriceBookError as error:
        message = f"prices: {error}"
        raise ConfigError(message) from None


def take_update(settings: Settings, update: Update) -> str:
    """Choose the new book and put it in force as `reload_book` does."""
    if settings.prices.overlay is not None:
        try:
            update.new.with_overlay(settings.prices.overlay)
        except PriceBookError as error:
            message = f"prices: {error}"
            raise ConfigError(message) from None
    choose_book(settings, update.new)
    return reload_book(settings)


def reload_book(settings: Settings) -> str:
    """
    Put the book that the settings ask for in force, from now on.

    A running service prices what it receives from now on with it. A book that cannot
    be used changes nothing: the one in force stays.

    Returns:
        What happened, in one line.

    Raises:
        ConfigError: A file or a rule cannot be used; the message has file and line.
    """
    book = book_of(settings)
    books = Books(open_target(settings.lake_url))
    before = books.current or "none"
    if not books.adopt(book, since_unix_nano=time.time_ns()):
        return f"no price changes, price book {book.version}"
    return f"price book {book.version} is in force from now on, before {before}"


def _row(change: Change) -> dict[str, object]:
    unit = None if change.item is None else _FEES.get(change.item, "million tokens")
    return {
        "change": change.what,
        "source": change.source,
        "provider": change.provider,
        "model": change.model,
        "input_tokens_above": change.above,
        "item": change.item,
        "old_usd": _dollars(change.old, change.item),
        "new_usd": _dollars(change.new, change.item),
        "unit": unit,
        "alarm": f"more than {JUMP}x" if change.is_jump else None,
    }


def _dollars(rate: Fraction | None, item: str | None) -> Decimal | None:
    if rate is None:
        return None
    units = 1 if item in _FEES else 1_000_000
    picos = rate * units
    return (Decimal(picos.numerator) / picos.denominator * _PICO).quantize(_PICO)
