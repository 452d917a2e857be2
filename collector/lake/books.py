"""
Price books in the lake: every book ever in force, and since when.

A call is priced with the book in force when it was received, also when its trace is
recomputed or the ledger rebuilt. So a new book never changes a recorded cost.
"""

import json
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from collector.config import Settings
from collector.errors import ConfigError
from collector.lake.target import Target, open_target
from pricing import (
    INPUT_FIELDS,
    PriceBook,
    PriceBookError,
    bundled_book,
    load_book,
    price_calls,
)
from rollups.schema import call_schema

STORED_FACTS: Final = tuple(
    name for name in INPUT_FIELDS if name in call_schema().names
)
"""Columns of a stored call on which its price depends."""

_FOLDER: Final = "_meta/books"
_TIMELINE: Final = f"{_FOLDER}/timeline.json"
_CHOSEN: Final = f"{_FOLDER}/chosen.json"


def book_of(settings: Settings) -> PriceBook:
    """
    Return the book that the settings ask for, with their overlay.

    Raises:
        ConfigError: A file of it cannot be read; the message has file and line.
    """
    overlay = settings.prices.overlay
    try:
        book = base_book(settings)
        return book if overlay is None else book.with_overlay(overlay)
    except (PriceBookError, OSError) as error:
        message = f"prices: {error}"
        raise ConfigError(message) from None


def base_book(settings: Settings) -> PriceBook:
    """
    Return the book that the settings ask for, without their overlay.

    It is the file they name, else the book last chosen by ``prices update``, else the
    bundled one.

    Raises:
        PriceBookError: A file of it cannot be read.
    """
    if settings.prices.book is not None:
        return load_book(settings.prices.book)
    url = settings.lake_url
    if "://" not in url and not Path(url).is_dir():
        return bundled_book()
    target = open_target(url)
    chosen = target.get(_CHOSEN)
    if chosen is None:
        return bundled_book()
    version = str(json.loads(chosen)["version"])
    try:
        return Books(target).book(version)
    except KeyError:
        raise PriceBookError("is not in the lake", path=version) from None


def choose_book(settings: Settings, book: PriceBook) -> None:
    """Keep *book* in the lake as the one that `base_book` gives from now on."""
    target = open_target(settings.lake_url)
    Books(target).keep(book)
    chosen = {"version": book.version}
    target.put(_CHOSEN, json.dumps(chosen).encode())


def find_book(
    settings: Settings, name: str | None, *, overlay: Path | None
) -> PriceBook:
    """
    Return a book by the path of its file or folder, or by its version.

    Args:
        settings: Say where the lake is that keeps books, and what book to take if
            none is named: then with the settings' overlay.

        name: A path, or the version of a book that was ever in force in the lake.

        overlay: Rules to put on top.

    Raises:
        ConfigError: There is no such book, or a file of it cannot be read.
    """
    try:
        book = book_of(settings) if name is None else _named_book(settings, name)
        return book if overlay is None else book.with_overlay(overlay)
    except (PriceBookError, OSError) as error:
        message = f"prices: {error}"
        raise ConfigError(message) from None


def _named_book(settings: Settings, name: str) -> PriceBook:
    if Path(name).exists():
        return load_book(Path(name))
    try:
        return Books(open_target(settings.lake_url)).book(name)
    except KeyError:
        message = f"prices: {name}: neither a file nor a book that the lake keeps"
        raise ConfigError(message) from None


class Books:
    """The books of one lake."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._loaded: dict[str, PriceBook] = {}
        self._timeline: list[tuple[int, str]] = []
        self.refresh()

    def refresh(self) -> None:
        """Read the timeline again; another process may have added a book."""
        content = self._target.get(_TIMELINE)
        entries = json.loads(content) if content else []
        self._timeline = [
            (item["since_unix_nano"], item["version"]) for item in entries
        ]

    def prepare(self) -> None:
        """Load the newest book, so that the first calls need not wait for it."""
        self.refresh()
        if self.current is not None:
            self.book(self.current)

    @property
    def current(self) -> str | None:
        """Version of the newest book."""
        return self._timeline[-1][1] if self._timeline else None

    def adopt(self, book: PriceBook, *, since_unix_nano: int) -> bool:
        """
        Put *book* in force from *since_unix_nano* on, if it is not already.

        The first book of a lake is in force from the beginning of time.
        """
        if self.current == book.version:
            self._loaded[book.version] = book
            return False
        since = since_unix_nano if self._timeline else 0
        self.keep(book)
        self._timeline.append((since, book.version))
        entries = [
            {"since_unix_nano": start, "version": version}
            for start, version in self._timeline
        ]
        self._target.put(_TIMELINE, json.dumps(entries).encode())
        return True

    def keep(self, book: PriceBook) -> None:
        """Keep *book* in the lake without putting it in force."""
        self._loaded[book.version] = book
        self._target.put(f"{_FOLDER}/{book.version}", book.artefact())

    def book(self, version: str) -> PriceBook:
        """Return a book by its version; raises ``KeyError`` if the lake has it not."""
        if version == bundled_book().version:
            return bundled_book()
        if version not in self._loaded:
            content = self._target.get(f"{_FOLDER}/{version}")
            if content is None:
                raise KeyError(version)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / version
                path.write_bytes(content)
                self._loaded[version] = load_book(path)
        return self._loaded[version]

    def price(self, calls: pa.Table) -> pa.Table:
        """
        Price each call with the book in force when it was received.

        Args:
            calls: n rows with ``received_unix_nano`` and what pricing reads.

        Returns:
            The cost columns of the same n rows in the same order.
        """
        received = calls.column("received_unix_nano").to_numpy()
        since = np.array([start for start, _ in self._timeline], np.int64)
        places = np.maximum(np.searchsorted(since, received, side="right") - 1, 0)
        versions = np.unique(places)
        if len(versions) <= 1:
            place = int(versions[0]) if len(versions) else -1
            return price_calls(calls, self.book(self._timeline[place][1]))
        parts, rows = [], []
        for place in versions:
            chosen = np.flatnonzero(places == place)
            book = self.book(self._timeline[int(place)][1])
            parts.append(price_calls(calls.take(pa.array(chosen)), book))
            rows.append(chosen)
        order = np.argsort(np.concatenate(rows), kind="stable")
        return pa.concat_tables(parts).take(pa.array(order))
