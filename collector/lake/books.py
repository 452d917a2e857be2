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
from collector.lake.target import Target
from pricing import (
    PriceBook,
    PriceBookError,
    bundled_book,
    load_book,
    price_calls,
)

_FOLDER: Final = "_meta/books"
_TIMELINE: Final = f"{_FOLDER}/timeline.json"


def book_of(settings: Settings) -> PriceBook:
    """
    Return the book that the settings ask for, with their overlay.

    Raises:
        ConfigError: A file of it cannot be read; the message has file and line.
    """
    prices = settings.prices
    try:
        book = bundled_book() if prices.book is None else load_book(prices.book)
        return book if prices.overlay is None else book.with_overlay(prices.overlay)
    except (PriceBookError, OSError) as error:
        message = f"prices: {error}"
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

    @property
    def current(self) -> str | None:
        """Version of the newest book."""
        return self._timeline[-1][1] if self._timeline else None

    def adopt(self, book: PriceBook, *, since_unix_nano: int) -> bool:
        """
        Put *book* in force from *since_unix_nano* on, if it is not already.

        The first book of a lake is in force from the beginning of time.
        """
        self._loaded[book.version] = book
        if self.current == book.version:
            return False
        since = since_unix_nano if self._timeline else 0
        self._target.put(f"{_FOLDER}/{book.version}", book.artefact())
        self._timeline.append((since, book.version))
        entries = [
            {"since_unix_nano": start, "version": version}
            for start, version in self._timeline
        ]
        self._target.put(_TIMELINE, json.dumps(entries).encode())
        return True

    def book(self, version: str) -> PriceBook:
        """Return a book by its version; raises ``KeyError`` if the lake has it not."""
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
