"""Which traces left the working tables, and in which hours of the lake they are."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from collector.account.segments import SPANS, Segment, Traces, is_among

_MERGE_AT: Final = 8
_LAST_BITS: Final = np.uint64(32)
_LAST: Final = np.uint64(0xFFFFFFFF)

Entries = npt.NDArray[np.uint64]
"""Two rows: sorted traces; the first hour of each in the upper half, its last below.

Rows, not fields of a record: a look-up in a mapped row reads some pages of it.
"""


class Evicted:
    """
    An index of 16 bytes per trace: files of entries sorted by trace, in one folder.

    The files are mapped, not read: a look-up costs some pages of each, whatever their
    size. Eight files of one size class become one, so that an entry is copied once per
    class.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        paths = sorted(folder.glob("*.npy"))
        self._runs = {path: np.load(path, mmap_mode="r") for path in paths}
        self._next = max((int(path.stem) for path in paths), default=0) + 1

    def find(self, traces: Traces) -> tuple[Traces, set[int]]:
        """Return those of sorted *traces* that were let go, and their hours."""
        back = np.zeros(len(traces), np.bool_)
        hours: set[int] = set()
        for run in self._runs.values():
            known = is_among(traces, run[0])
            if not known.any():
                continue
            back |= known
            places = np.searchsorted(run[0], traces[known])
            for span in np.unique(run[1][places]).tolist():
                hours |= set(range(span >> 32, (span & 0xFFFFFFFF) + 1))
        return traces[back], hours

    def add(self, gone: Traces, segments: Iterable[Segment]) -> None:
        """Remember traces that were let go, whose spans *segments* had."""
        if not len(gone):
            return
        numbers: Traces = np.unique(gone)
        first = np.full(len(numbers), _LAST)
        last = np.zeros(len(numbers), np.uint64)
        for segment in segments:
            chosen = is_among(segment.traces[SPANS], numbers)
            places = np.searchsorted(numbers, segment.traces[SPANS][chosen])
            hours = segment.hours[SPANS][chosen].astype(np.uint64)
            np.minimum.at(first, places, hours)
            np.maximum.at(last, places, hours)
        self._put(_entries(numbers, first, last))

    def add_hour(self, traces: Traces, hour: int) -> None:
        """Remember traces that have spans in an hour of the lake."""
        numbers: Traces = np.unique(traces)
        if len(numbers):
            hours = np.full(len(numbers), hour, np.uint64)
            self._put(_entries(numbers, hours, hours))

    def _put(self, entries: Entries) -> None:
        merged = [entries]
        old: list[Path] = []
        while True:
            size = _size_class(sum(run.shape[1] for run in merged))
            peers = [
                path
                for path, run in self._runs.items()
                if path not in old and _size_class(run.shape[1]) <= size
            ]
            if len(peers) < _MERGE_AT - 1:
                break
            merged += [self._runs[path] for path in peers]
            old += peers
        self._write(_united(merged))
        for path in old:
            del self._runs[path]
            path.unlink()

    def _write(self, entries: Entries) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self._next:08d}.npy"
        self._next += 1
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            np.save(file, entries)
        temporary.replace(path)
        self._runs[path] = np.load(path, mmap_mode="r")


def _entries(numbers: Traces, first: Traces, last: Traces) -> Entries:
    return np.stack([numbers, first << _LAST_BITS | last])


def _united(runs: list[Entries]) -> Entries:
    """Return one entry per trace, from its first hour to its last."""
    if len(runs) == 1:
        return runs[0]
    every = np.concatenate(runs, axis=1)
    every = every[:, np.argsort(every[0], kind="stable")]
    starts = np.flatnonzero(np.concatenate([[True], every[0, 1:] != every[0, :-1]]))
    return _entries(
        every[0, starts],
        np.minimum.reduceat(every[1] >> _LAST_BITS, starts),
        np.maximum.reduceat(every[1] & _LAST, starts),
    )


def _size_class(entries: int) -> int:
    size = 0
    while entries >= _MERGE_AT:
        entries //= _MERGE_AT
        size += 1
    return size
