"""Spans objects into the store: what ticks, refilling and rebuilding share."""

import contextlib
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import structlog

from collector.account.evicted import Evicted
from collector.account.findings import Rules
from collector.account.ledger import absorb, read_spans
from collector.account.metrics import OBJECTS_SET_ASIDE
from collector.account.segments import SPANS, Traces, is_among, trace_numbers
from collector.account.store import Store
from collector.config import Settings
from collector.errors import DamagedObjectError, SpanledgerError
from collector.lake.books import Books
from collector.lake.commits import is_taken
from collector.lake.handoff import Handoff
from collector.lake.layout import Partition, hours_of
from collector.lake.objects import spans_of_hour
from collector.lake.target import Target
from rollups.schema import call_schema

log = structlog.get_logger(component="account")


class Taken(NamedTuple):
    """What some objects brought."""

    spans: int
    traces: int
    calls: pa.Table
    """The ledger rows made of them."""


class Intake:
    """Takes objects, with the earlier spans of traces that were let go before."""

    def __init__(
        self,
        settings: Settings,
        target: Target,
        store: Store,
        *,
        books: Books,
        rules: Rules,
    ) -> None:
        self._dimensions = settings.dimensions
        self._target = target
        self._store = store
        self._books = books
        self._rules = rules
        self._nothing = call_schema(tuple(settings.dimensions)).empty_table()
        self.evicted = Evicted(store.root / "evicted")
        self._handoff = Handoff(settings.handoff_dir, settings.dimensions)
        self._handoff.clear()

    def take(self, keys: list[str], *, seen_unix: float | None = None) -> Taken:
        """
        Absorb objects into the store; one that cannot be is set aside and counted.

        Args:
            keys: Objects that were not taken before.

            seen_unix: When their spans were seen; default is when they were received.

        Raises:
            LakeError: The lake cannot be reached; nothing was absorbed.
        """
        try:
            taken = self._absorb(keys, seen_unix)
        except Exception as error:
            # One object must not stop the others; a lake that is away stops them all.
            is_about_lake = isinstance(error, (SpanledgerError, OSError))
            if is_about_lake and not isinstance(error, DamagedObjectError):
                raise
            if len(keys) == 1:
                OBJECTS_SET_ASIDE.inc()
                log.error("object_skipped", key=keys[0], reason=repr(error))
                self._handoff.forget(keys)
                return Taken(0, 0, self._nothing)
        else:
            self._handoff.forget(keys)
            return taken
        parts = [self.take([key], seen_unix=seen_unix) for key in keys]
        return Taken(
            sum(part.spans for part in parts),
            sum(part.traces for part in parts),
            pa.concat_tables([part.calls for part in parts]),
        )

    def _absorb(self, keys: list[str], seen_unix: float | None) -> Taken:
        new = self._read_new(keys)
        late = self._late_spans(new, set(keys))
        spans = new.num_rows
        if late is not None:
            new = pa.concat_tables([late, new])
        return self._put(new, spans, seen_unix)

    def _read_new(self, keys: list[str]) -> pa.Table:
        """Return the normalised spans of objects, from the handoff where they wait."""
        handed = {key: self._handoff.take(key) for key in keys}
        rest = [key for key, part in handed.items() if part is None]
        parts = [part for part in handed.values() if part is not None]
        if rest or not parts:
            parts.append(read_spans(self._target, rest, self._dimensions))
        return pa.concat_tables(parts)

    def _put(self, new: pa.Table, spans: int, seen_unix: float | None) -> Taken:
        if not new.num_rows:
            return Taken(0, 0, self._nothing)
        absorbed = absorb(
            self._store,
            new,
            self._books,
            self._rules,
            self._dimensions,
            seen_unix=_last_received(new) if seen_unix is None else seen_unix,
        )
        return Taken(spans, absorbed.traces, absorbed.calls)

    def _late_spans(self, spans: pa.Table, new: Collection[str]) -> pa.Table | None:
        """Return earlier spans of traces that left the working tables."""
        touched: Traces = np.unique(trace_numbers(spans.column("trace_id")))
        back, hours = self.evicted.find(touched[~self._store.knows(touched)])
        if not len(back):
            return None
        keys = [
            key
            for hour in sorted(hours)
            for key in spans_of_hour(self._target, hour)
            # What no tick has taken yet comes with its own.
            if key not in new and is_taken(key, self._store.taken)
        ]
        earlier = self._spans_among(keys, back)
        self._supersede(earlier)
        return earlier

    def _spans_among(self, keys: Iterable[str], traces: Traces) -> pa.Table:
        parts = [read_spans(self._target, [], self._dimensions)]
        for key in keys:
            with self._setting_aside(key):
                found = read_spans(self._target, [key], self._dimensions)
                chosen = is_among(trace_numbers(found.column("trace_id")), traces)
                parts.append(found.filter(pa.array(chosen)))
        return pa.concat_tables(parts)

    @contextlib.contextmanager
    def _setting_aside(self, key: str) -> Iterator[None]:
        """Go on when an object turns out to be damaged."""
        try:
            yield
        except DamagedObjectError as error:
            OBJECTS_SET_ASIDE.inc()
            log.error("object_skipped", key=key, reason=str(error))

    def _supersede(self, spans: pa.Table) -> None:
        # What is published of their traces counts no more, in whatever hour it stands.
        hours = np.unique(hours_of(spans.column("timestamp"))).tolist()
        for name in self._store.schemas:
            if name != SPANS:
                self._store.dirty |= {(name, Partition(hour)) for hour in hours}

    def index_hour(self, hour: int) -> int:
        """
        Remember which traces have spans in an hour that the store does not cover.

        A trace that the store knows gets its spans of that hour, unless it has them.

        Returns:
            Number of spans in the hour.
        """
        keys = [
            key
            for key in spans_of_hour(self._target, hour)
            if is_taken(key, self._store.taken)
        ]
        known: list[str] = []
        unknown: list[Traces] = [np.zeros(0, np.uint64)]
        spans = 0
        for key in keys:
            with self._setting_aside(key):
                traces = self._target.read(key, ["trace_id"]).column("trace_id")
                numbers: Traces = np.unique(trace_numbers(traces))
                spans += len(traces)
                is_known = self._store.knows(numbers)
                unknown.append(numbers[~is_known])
                if is_known.any():
                    known.append(key)
        self.evicted.add_hour(np.concatenate(unknown), hour)
        for key in known:
            with self._setting_aside(key):
                self._complete(key)
        return spans

    def _complete(self, key: str) -> None:
        found = read_spans(self._target, [key], self._dimensions)
        numbers = trace_numbers(found.column("trace_id"))
        mine = found.filter(pa.array(self._store.knows(numbers)))
        touched: Traces = np.unique(trace_numbers(mine.column("trace_id")))
        there = [_identities(part) for part in self._store.spans_of(touched)]
        missing = ~np.isin(_identities(mine), np.concatenate(there))
        earlier = mine.filter(pa.array(missing))
        self._supersede(earlier)
        self._put(earlier, earlier.num_rows, None)


def _identities(spans: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    """Return what tells two sent spans apart: ids, and when they were received."""
    received = spans.column("received_unix_nano").to_numpy().astype(np.str_)
    ids = [
        spans.column(name).to_numpy(zero_copy_only=False).astype(np.str_)
        for name in ("trace_id", "span_id")
    ]
    return np.char.add(np.char.add(*ids), received)


def _last_received(spans: pa.Table) -> float:
    return float(np.max(spans.column("received_unix_nano").to_numpy())) / 1e9
