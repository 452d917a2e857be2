"""Which traces left the working tables, and in which hours of the lake they are."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np

from collector.account.segments import SPANS, Segment, Traces, is_among

_ENTRY: Final = np.dtype(
    [("trace", np.uint64), ("first", np.int32), ("last", np.int32)]
)


class Evicted:
    """An index of 16 bytes per trace, sorted by trace, kept in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries = np.load(path) if path.exists() else np.zeros(0, _ENTRY)

    def find(self, traces: Traces) -> tuple[Traces, set[int]]:
        """Return those of *traces* that were let go, and all hours they are in."""
        back = traces[is_among(traces, self._entries["trace"])]
        if not len(back):
            return back, set()
        rows = self._entries[np.isin(self._entries["trace"], back)]
        hours: set[int] = set()
        for entry in rows:
            hours |= set(range(int(entry["first"]), int(entry["last"]) + 1))
        return back, hours

    def add(self, gone: Traces, segments: Iterable[Segment]) -> None:
        """Remember traces that were let go, whose spans *segments* had."""
        if not len(gone):
            return
        numbers: Traces = np.unique(gone)
        first = np.full(len(numbers), np.iinfo(np.int32).max, np.int32)
        last = np.zeros(len(numbers), np.int32)
        for segment in segments:
            chosen = is_among(segment.traces[SPANS], numbers)
            places = np.searchsorted(numbers, segment.traces[SPANS][chosen])
            hours = segment.hours[SPANS][chosen].astype(np.int32)
            np.minimum.at(first, places, hours)
            np.maximum.at(last, places, hours)
        new = np.zeros(len(numbers), _ENTRY)
        new["trace"], new["first"], new["last"] = numbers, first, last
        kept = self._entries[~is_among(self._entries["trace"], numbers)]
        self._entries = np.sort(np.concatenate([kept, new]), order="trace")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp.npy")
        np.save(temporary, self._entries)
        temporary.replace(self._path)
