"""Segments of the account role's state: tables in files that never change."""

import binascii
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.lake.arrow_files import read_arrow, write_arrow
from collector.lake.layout import hours_of

Traces = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

SPANS: Final = "spans"
_RESPONSE: Final = "response_id"
_KEYS: Final = ("trace_id", "timestamp")
_MIXER: Final = np.uint64(0x9E3779B97F4A7C15)


def trace_numbers(trace_ids: pa.Array | pa.ChunkedArray) -> Traces:
    """
    Return the lower 64 bits of each trace id, 0 for what is none.

    Two traces with the same number are always read, recomputed and replaced together,
    so a collision costs work, never a row.
    """
    if isinstance(trace_ids, pa.ChunkedArray):
        trace_ids = trace_ids.combine_chunks()
    if not len(trace_ids):
        return np.zeros(0, np.uint64)
    is_id = pc.equal(pc.fill_null(pc.binary_length(trace_ids), 0), 32)
    if not pc.all(is_id).as_py():
        # Findings about no single trace, and what rules of the user's may return.
        trace_ids = pc.if_else(is_id, trace_ids, pa.scalar("0" * 32))
    _, offsets, data = trace_ids.buffers()
    start = np.frombuffer(offsets, np.int32)[trace_ids.offset]
    digits = np.frombuffer(data, np.uint8)[start : start + 32 * len(trace_ids)]
    tails = digits.reshape(-1, 32)[:, 16:].tobytes()
    numbers = np.frombuffer(binascii.unhexlify(tails), ">u8")
    return numbers.astype(np.uint64)


def is_among(numbers: Traces, ordered: Traces) -> Mask:
    """Return which *numbers* are in the sorted array *ordered*."""
    if not len(ordered) or not len(numbers):
        return np.zeros(len(numbers), np.bool_)
    places = np.searchsorted(ordered, numbers)
    places[places == len(ordered)] = 0
    found: Mask = ordered[places] == numbers
    return found


def response_numbers(ids: pa.Array | pa.ChunkedArray) -> Traces:
    """
    Return a number for each response id, made from its last 16 bytes.

    Ids of up to eight characters are a library's own and give 0, as does null. Two ids
    with one number bring traces together that share nothing: work, no error.
    """
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    if ids.null_count == len(ids):
        return np.zeros(len(ids), np.uint64)
    texts = ids.cast(pa.binary())
    long = pc.fill_null(pc.greater(pc.binary_length(texts), 8), False)
    padded = pc.binary_join_element_wise(bytes(16), pc.fill_null(texts, b""), b"")
    tails = pc.binary_slice(padded, -16).cast(pa.binary(16))
    halves = np.frombuffer(
        tails.buffers()[1], np.uint64, len(tails) * 2, tails.offset * 16
    ).reshape(-1, 2)
    numbers: Traces = halves[:, 0] * _MIXER ^ halves[:, 1]
    numbers[~long.to_numpy(zero_copy_only=False)] = 0
    return numbers


class Segment:
    """
    The spans of a tick, or of several merged ones, and their traces' ledger rows.

    In memory are only numbers, hours and masks; rows are read when they are asked for.
    """

    def __init__(
        self,
        number: int,
        folder: Path,
        touched: Traces,
        names: Iterable[str],
        last_seen_unix: float,
        *,
        same_rows: Mapping[str, pa.Table] | None = None,
    ) -> None:
        self.number = number
        self.folder = folder
        self.touched = touched
        self.last_seen_unix = last_seen_unix
        self.traces: dict[str, Traces] = {}
        self.hours: dict[str, npt.NDArray[np.int64]] = {}
        self.alive: dict[str, Mask] = {}
        for name in names:
            rows = same_rows[name] if same_rows else self._read(name, _KEYS)
            self.traces[name] = trace_numbers(rows.column("trace_id"))
            self.hours[name] = hours_of(rows.column("timestamp"))
            self.alive[name] = np.ones(rows.num_rows, np.bool_)
        self._links: tuple[Traces, Traces] | None = None

    def _read(self, name: str, columns: Iterable[str] | None = None) -> pa.Table:
        return read_arrow(self.folder / f"{name}.arrow", columns)

    @property
    def spans(self) -> int:
        """Number of span rows."""
        return len(self.traces[SPANS])

    @classmethod
    def write(
        cls,
        root: Path,
        number: int,
        touched: Traces,
        tables: Mapping[str, pa.Table],
        last_seen_unix: float,
    ) -> Self:
        """Write a segment and open it; an earlier attempt at *number* is replaced."""
        folder = root / f"{number:08d}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        np.save(folder / "touched.npy", touched)
        for name, table in tables.items():
            write_arrow(folder / f"{name}.arrow", table, always=_KEYS)
        return cls.open(root, number, tables.keys(), last_seen_unix, same_rows=tables)

    @classmethod
    def open(
        cls,
        root: Path,
        number: int,
        names: Iterable[str],
        last_seen_unix: float,
        *,
        same_rows: Mapping[str, pa.Table] | None = None,
    ) -> Self:
        """Open a segment; raises ``OSError`` or ``pa.ArrowException`` if damaged."""
        folder = root / f"{number:08d}"
        touched = np.load(folder / "touched.npy")
        return cls(number, folder, touched, names, last_seen_unix, same_rows=same_rows)

    def supersede(self, touched: Traces) -> dict[str, set[int]]:
        """
        Let ledger rows of *touched* traces count no more.

        Returns:
            Per table the hours that lost rows. Spans always stay.
        """
        lost: dict[str, set[int]] = {}
        mine = touched[is_among(touched, self.touched)]
        if not len(mine):
            return lost
        for name, alive in self.alive.items():
            if name == SPANS:
                continue
            dying = alive & is_among(self.traces[name], mine)
            if dying.any():
                lost[name] = set(np.unique(self.hours[name][dying]).tolist())
                alive[dying] = False
        return lost

    def rows(
        self, name: str, chosen: Mask, columns: list[str] | None = None
    ) -> pa.Table:
        """Return the *chosen* rows of a table, without columns that are all null."""
        table = self._read(name, columns)
        if chosen.all():
            return table
        return table.take(pa.array(np.flatnonzero(chosen)))

    def spans_of(self, touched: Traces) -> pa.Table | None:
        """Return the spans of *touched* traces; null if there are none."""
        mine = touched[is_among(touched, self.touched)]
        if not len(mine):
            return None
        chosen = is_among(self.traces[SPANS], mine)
        return self.rows(SPANS, chosen) if chosen.any() else None

    def traces_with(self, responses: Traces) -> Traces:
        """Return traces that have a span with one of the sorted *responses*."""
        if self._links is None:
            self._links = self._link()
        numbers, traces = self._links
        return traces[is_among(numbers, responses)]

    def _link(self) -> tuple[Traces, Traces]:
        spans = self._read(SPANS, [_RESPONSE])
        if _RESPONSE not in spans.column_names:
            return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
        numbers = response_numbers(spans.column(_RESPONSE))
        there = numbers != 0
        return numbers[there], self.traces[SPANS][there]

    def remove(self) -> None:
        """Delete the segment's files."""
        shutil.rmtree(self.folder, ignore_errors=True)
