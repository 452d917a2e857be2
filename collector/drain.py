"""
Role 2: journal frames to priced spans in the lake.

One order keeps every span exactly once: the intent fixes which frames the batch has,
objects are published under names derived from where it starts, the commit record says
so, and only then does the journal move on. Every step may be repeated.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import structlog
from prometheus_client import Counter

from collector.config import Settings
from collector.errors import SpanledgerError
from collector.journal import Corruption, Frame, JournalReader, Position
from collector.lake.books import Books
from collector.lake.commits import (
    Commit,
    Intent,
    StoredObject,
    read_intent,
    write_commit,
    write_intent,
)
from collector.lake.handoff import Handoff
from collector.lake.layout import by_partition, span_key
from collector.lake.target import Target
from proto_handlers.content import ContentPolicy
from proto_handlers.flat import Flat
from proto_handlers.normalise import normalise
from proto_handlers.otlp_logs import decode_logs
from proto_handlers.otlp_traces import Decoded, Payload, decode_traces
from proto_handlers.schema import RAW_SCHEMA, SPAN_SCHEMA, USAGE_FIELDS

_BATCH_BYTES: Final = 24 << 20
_BYTES_PER_SPAN: Final = 256
_POLL_SECONDS: Final = 0.05
_Decode: TypeAlias = Callable[[list[Payload], ContentPolicy], Decoded]
_DECODERS: Final[dict[str, _Decode]] = {"traces": decode_traces, "logs": decode_logs}
"""Signals of the journal that tell calls; of others nothing is stored."""

log = structlog.get_logger(component="drain")

SPANS_STORED: Final = Counter("spanledger_spans_stored", "spans published in the lake")
SPANS_REFUSED: Final = Counter(
    "spanledger_spans_refused", "spans of the journal that could not be stored"
)
PAYLOADS_REFUSED: Final = Counter(
    "spanledger_payloads_refused", "payloads of the journal that could not be decoded"
)
REGIONS_CORRUPT: Final = Counter(
    "spanledger_journal_regions_corrupt", "journal regions set aside as unreadable"
)


class Drained(NamedTuple):
    """What one batch moved."""

    spans: int
    end: Position


class Priced(NamedTuple):
    """The spans of a batch, row for row in two forms."""

    spans: pa.Table
    """What the lake keeps: `SPAN_SCHEMA`."""
    normalised: pa.Table
    """What the ledger reads: `normalised_schema`."""


class Drain:
    """The steps from one journal to one lake."""

    def __init__(
        self,
        reader: JournalReader,
        target: Target,
        books: Books,
        *,
        policy: ContentPolicy,
        dimensions: dict[str, tuple[str, ...]],
        handoff: Handoff | None = None,
    ) -> None:
        self._reader = reader
        self._target = target
        self._books = books
        self._policy = policy
        self._dimensions = dimensions
        self._handoff = handoff
        self._expansion = 1.0

    def once(self) -> Drained | None:
        """
        Move one batch of durable frames to the lake.

        Returns:
            What was moved; null if nothing waits. A batch that was begun before a
            crash is written again with the same frames and names.
        """
        start = self._reader.committed
        begun = self._begun(start)
        frames = self._reader.read(
            start,
            max_bytes=1 << 62 if begun else _BATCH_BYTES,
            until=Position.parse(begun.end) if begun else None,
        )
        if not frames:
            return None
        end = frames[-1].end
        self._books.refresh()
        self._expansion = _expansion_of(frames)
        spans, normalised = self._spans_of(frames)
        parts = self._parts(spans, start)
        write_intent(
            self._target,
            self._reader.journal_id,
            Intent(str(start), str(end), tuple(parts)),
        )
        objects = tuple(
            StoredObject(key, self._target.publish(key, part), part.num_rows)
            for key, part in parts.items()
        )
        for key in set(begun.keys) - set(parts) if begun else ():
            self._target.delete(key)
        if self._handoff is not None:
            for key, part in self._parts(normalised, start).items():
                self._handoff.offer(key, part)
        write_commit(
            self._target,
            Commit(
                self._reader.journal_id, str(start), str(end), objects, time.time_ns()
            ),
        )
        self._reader.commit(end)
        SPANS_STORED.inc(spans.num_rows)
        log.info(
            "batch_stored", spans=spans.num_rows, objects=len(objects), end=str(end)
        )
        return Drained(spans.num_rows, end)

    def _begun(self, start: Position) -> Intent | None:
        intent = read_intent(self._target, self._reader.journal_id)
        return intent if intent and intent.start == str(start) else None

    def _spans_of(self, frames: list[Frame]) -> Priced:
        tables = [
            table
            for signal, decode in _DECODERS.items()
            for table in self._priced(
                [frame for frame in frames if frame.signal == signal], decode
            )
        ]
        tables = tables or [self._price(RAW_SCHEMA.empty_table())]
        spans, normalised = zip(*tables, strict=True)
        return Priced(pa.concat_tables(spans), pa.concat_tables(normalised))

    def _price(self, spans: pa.Table, flat: Flat | None = None) -> Priced:
        return price_spans(spans, self._books, self._dimensions, flat=flat)

    def _priced(self, frames: list[Frame], decode: _Decode) -> Iterator[Priced]:
        if not frames:
            return
        try:
            yield self._decoded(frames, decode)
        except (SpanledgerError, OSError):
            raise
        except Exception as error:  # noqa: BLE001  one payload must not stop the rest
            if len(frames) == 1:
                PAYLOADS_REFUSED.inc()
                log.error(
                    "payload_refused",
                    position=str(frames[0].position),
                    bytes=len(frames[0].payload),
                    reason=repr(error),
                )
                self._reader.set_aside(frames[0])
                return
        else:
            return
        middle = len(frames) // 2
        yield from self._priced(frames[:middle], decode)
        yield from self._priced(frames[middle:], decode)

    def _decoded(self, frames: list[Frame], decode: _Decode) -> Priced:
        payloads = [
            Payload(frame.payload, frame.received_unix_nano, frame.tenant)
            for frame in frames
        ]
        decoded = decode(payloads, self._policy)
        for place in decoded.refused_payloads:
            log.warning(
                "payload_refused",
                position=str(frames[place].position),
                bytes=len(frames[place].payload),
                reason=f"no request of {frames[place].signal}",
            )
            self._reader.set_aside(frames[place])
        PAYLOADS_REFUSED.inc(len(decoded.refused_payloads))
        SPANS_REFUSED.inc(decoded.refused_spans)
        return self._price(decoded.spans, decoded.flat)

    def _parts(self, spans: pa.Table, start: Position) -> dict[str, pa.Table]:
        name = f"{self._reader.journal_id}-{start}"
        return {
            span_key(partition, name): part
            for partition, part in sorted(by_partition(spans).items())
        }

    def run(
        self, stop: threading.Event, settings: Settings, beat: Callable[..., None]
    ) -> None:
        """
        Move batches until *stop* is set and nothing durable waits.

        A batch is taken when its first frame is ``store.flush_seconds`` old or
        ``store.flush_spans`` may have come. An error of the lake is logged and the same
        batch tried again, so that the journal holds what cannot be stored.

        *beat* is called with figures for the role's status: among them the last time at
        which nothing waited.
        """
        enough_bytes = min(settings.store.flush_spans * _BYTES_PER_SPAN, _BATCH_BYTES)
        pause_seconds = _POLL_SECONDS
        settled_unix = 0.0
        while True:
            beat(settled_unix=settled_unix, backlog_bytes=self._reader.backlog_bytes)
            asked_unix = time.time()
            if not self._reader.wait(0 if stop.is_set() else 4 * _POLL_SECONDS):
                settled_unix = asked_unix
                if stop.is_set():
                    return
                continue
            self._gather(stop, enough_bytes, settings.store.flush_seconds)
            try:
                moved = self.once()
                pause_seconds = _POLL_SECONDS
            except (SpanledgerError, OSError) as error:
                log.error(
                    "batch_failed", reason=str(error), retry_seconds=pause_seconds
                )
                if stop.wait(pause_seconds):
                    return
                pause_seconds = min(2 * pause_seconds, 10.0)
                continue
            if moved is None and stop.is_set():
                return

    def _gather(self, stop: threading.Event, enough_bytes: int, seconds: float) -> None:
        # How well payloads compress is known from those before.
        enough_bytes = int(enough_bytes / self._expansion)
        deadline = time.monotonic() + seconds
        while self._reader.backlog_bytes < enough_bytes:
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0 or stop.wait(min(_POLL_SECONDS, left_seconds)):
                return


def _expansion_of(frames: list[Frame]) -> float:
    """Return how many times larger payloads are than their frames."""
    payload_bytes = sum(len(frame.payload) for frame in frames)
    return max(1.0, payload_bytes / sum(frame.journal_bytes for frame in frames))


def price_spans(
    spans: pa.Table,
    books: Books,
    dimensions: dict[str, tuple[str, ...]],
    *,
    flat: Flat | None = None,
) -> Priced:
    """
    Normalise decoded spans and price the calls among them.

    Returns:
        The same rows in the same order, as stored and as normalised; cost columns are
        null on spans that are no calls.
    """
    normalised = normalise(spans, dimensions, flat=flat)
    if not spans.num_rows:
        return Priced(SPAN_SCHEMA.empty_table(), normalised)
    rows = np.flatnonzero(normalised.column("is_call").to_numpy())
    costs = books.price(_priceable(normalised.take(pa.array(rows))))
    places = np.full(spans.num_rows, -1, np.int64)
    places[rows] = np.arange(len(rows))
    spread = pa.array(places, mask=places < 0)
    columns = {name: spans.column(name) for name in spans.column_names}
    columns |= {field.name: normalised.column(field.name) for field in USAGE_FIELDS}
    columns |= {
        name: costs.column(name).take(spread).cast(SPAN_SCHEMA.field(name).type)
        for name in ("cost_usd", "cost_status", "price_version")
    }
    stored = pa.Table.from_arrays(
        [columns[name] for name in SPAN_SCHEMA.names], schema=SPAN_SCHEMA
    )
    return Priced(stored, normalised)


def _priceable(calls: pa.Table) -> pa.Table:
    # A discount may depend on tenant and feature; inherited ones come with the ledger.
    renamed = {"own_feature": "feature"}
    return calls.rename_columns(
        [renamed.get(name, name) for name in calls.column_names]
    )


def corruption_reporter() -> Callable[[Corruption], None]:
    """Return what the reader calls for a region of the journal that it set aside."""

    def report(corruption: Corruption) -> None:
        REGIONS_CORRUPT.inc()
        log.error("journal_corrupt", **corruption._asdict())

    return report


def open_content_policy(settings: Settings, target: Target) -> ContentPolicy:
    """Return what to do with content; the hash key is made once per lake."""
    key = settings.content.hash_key
    secret = key.get_secret_value().encode() if key else _stored_key(target)
    return ContentPolicy(settings.content.keep, settings.content.max_bytes, secret[:64])


def _stored_key(target: Target) -> bytes:
    stored = target.get("_meta/content_hash_key")
    if stored is None:
        stored = secrets.token_hex(16).encode()
        target.put("_meta/content_hash_key", stored)
    return stored
