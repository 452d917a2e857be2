"""What becomes of a request that came in, whatever it came in by."""

import json
import time
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from collector.errors import MalformedRequestError
from collector.journal import Encoding, GroupCommit, Journal, pack
from collector.receive import metrics
from collector.receive.memory import PayloadMemory, hash_payload
from collector.receive.validity import (
    Verdict,
    check_logs,
    check_metrics,
    check_traces,
)
from proto_handlers.errors import DecodeError
from proto_handlers.otlp_json import parse_otlp_json

Kind = Literal["traces", "metrics", "logs"]

REQUEST_TYPES: Final = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
_CHECKS: Final[dict[Kind, Callable[[bytes], Verdict]]] = {
    "traces": check_traces,
    "metrics": check_metrics,
    "logs": check_logs,
}


class Taken(NamedTuple):
    """The answer to a request that was taken."""

    rejected: int = 0
    """Spans of it that were refused."""
    reason: str = ""
    """What was wrong with the first of them."""

    @property
    def outcome(self) -> str:
        """One word for the counters."""
        return "partial" if self.rejected else "ok"

    def to_protobuf(self) -> bytes:
        """Return the export response in protobuf; only spans are ever refused."""
        if not self.rejected:
            return b""
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = self.rejected
        response.partial_success.error_message = self.reason
        return response.SerializeToString()

    def to_json(self) -> bytes:
        """Return the export response in OTLP/JSON."""
        if not self.rejected:
            return b"{}"
        partial = {"rejectedSpans": str(self.rejected), "errorMessage": self.reason}
        return json.dumps({"partialSuccess": partial}).encode()


class Intake:
    """Takes requests: valid ones are in the journal, durable, when it returns."""

    def __init__(
        self,
        journal: Journal,
        group: GroupCommit,
        memory: PayloadMemory,
        *,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._journal = journal
        self._group = group
        self._memory = memory
        self._clock = clock

    async def accept(
        self, kind: Kind, body: bytes, *, encoding: Encoding, tenant: str | None
    ) -> Taken:
        """
        Take one export request.

        Args:
            kind: Which service it was sent to.

            body: The request as received, decompressed.

            encoding: How it is written.

            tenant: Tenant of the sender.

        Returns:
            When all that had to be stored of it is durable: spans and log records are,
            metrics are only counted. The same body sent again is not stored again.

        Raises:
            MalformedRequestError: It is not an export request of that kind.
            RetryableError: It could not be stored; nothing of it is.
        """
        payload = body if encoding == "protobuf" else _from_json(kind, body)
        verdict = _CHECKS[kind](payload)
        for reason, count in verdict.reasons:
            metrics.SPANS_REJECTED.labels(reason).inc(count)
        good = verdict.items - verdict.rejected
        if kind == "metrics":
            metrics.METRIC_POINTS_RECEIVED.inc(good)
        elif good:
            await self._store(
                kind, body, payload, encoding=encoding, tenant=tenant, items=good
            )
        return Taken(verdict.rejected, verdict.reason)

    async def _store(
        self,
        kind: Literal["traces", "logs"],
        body: bytes,
        payload: bytes,
        *,
        encoding: Encoding,
        tenant: str | None,
        items: int,
    ) -> None:
        payload_hash = hash_payload(
            body,
            signal=kind,
            encoding=encoding,
            tenant=tenant,
            seed=self._journal.hash_seed,
        )
        if payload_hash in self._memory:
            # Its frame may still wait for its sync, and then so does this sender.
            await self._group.durable(self._journal.end)
            metrics.SPANS_REPEATED.inc(items)
            return
        end = self._journal.append(
            pack(payload),
            signal=kind,
            encoding=encoding,
            tenant=tenant,
            received_unix_nano=self._clock(),
            payload_hash=payload_hash,
        )
        self._memory.add(payload_hash, end)
        await self._group.durable(end)
        accepted = (
            metrics.SPANS_ACCEPTED if kind == "traces" else metrics.LOG_RECORDS_ACCEPTED
        )
        accepted.inc(items)


def _from_json(kind: Kind, body: bytes) -> bytes:
    try:
        return parse_otlp_json(body, REQUEST_TYPES[kind]).SerializeToString()
    except DecodeError as error:
        raise MalformedRequestError(str(error)) from None
