"""A receive role that runs in a thread, and senders as apps have them."""

import asyncio
import contextlib
import json
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import httpx2
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)

from collector.config import Settings
from collector.journal import Frame, Journal, JournalReader
from collector.receive.role import run_receive

METHODS = {
    kind: f"/opentelemetry.proto.collector.{package}.v1.{service}/Export"
    for kind, package, service in (
        ("traces", "trace", "TraceService"),
        ("metrics", "metrics", "MetricsService"),
        ("logs", "logs", "LogsService"),
    )
}
TRANSPORTS = ("grpc", "http-protobuf", "http-json")
WAIT_SECONDS = 120.0


class Receiver(NamedTuple):
    """A role that takes requests."""

    data_dir: Path
    grpc: str
    http: str
    thread: threading.Thread | None = None

    def frames(self) -> list[Frame]:
        """Return all durable frames of its journal."""
        reader = JournalReader.open(self.data_dir / "journal")
        frames = reader.read(reader.committed, max_bytes=1 << 30)
        reader.close()
        return frames

    def payloads(self) -> list[bytes]:
        """Return the payloads of all durable frames."""
        return [frame.payload for frame in self.frames()]


@contextlib.contextmanager
def receiving(
    data_dir: Path,
    *,
    open_journal: Callable[..., Journal] = Journal.open,
    **settings: Any,
) -> Iterator[Receiver]:
    """Run the role in a thread until the block ends; its error is raised here."""
    values = {
        "data_dir": data_dir,
        "shutdown_seconds": 5,
        "grpc": {"listen": "127.0.0.1:0"},
        "http": {"listen": "127.0.0.1:0"},
    }
    role = _RoleThread(Settings(**(values | settings)), open_journal)
    role.start()
    try:
        addresses = role.events.get(timeout=WAIT_SECONDS)
        if isinstance(addresses, dict):
            yield Receiver(data_dir, addresses["grpc"], addresses["http"], role)
    finally:
        role.stop()
        role.join(WAIT_SECONDS)
    if role.error is not None:
        raise role.error


class _RoleThread(threading.Thread):
    def __init__(
        self, settings: Settings, open_journal: Callable[..., Journal]
    ) -> None:
        super().__init__(daemon=True)
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.error: BaseException | None = None
        self._settings = settings
        self._open_journal = open_journal
        self._ask_to_stop: Callable[[], object] = lambda: None

    def run(self) -> None:
        try:
            asyncio.run(self._run_role())
        except Exception as error:  # noqa: BLE001  (raised where the block ends)
            self.error = error
        self.events.put("ended")

    async def _run_role(self) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._ask_to_stop = lambda: loop.call_soon_threadsafe(stop.set)
        await run_receive(
            self._settings,
            ready=self.events.put,
            stop=stop,
            open_journal=self._open_journal,
        )

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):  # its loop has ended already
            self._ask_to_stop()


class Reply(NamedTuple):
    """What a sender was told, the same for all transports."""

    code: int
    """HTTP status, or the gRPC code's number."""
    message: str
    """The error, or the message of a partial success."""
    rejected: int
    """Spans that were refused."""
    retry_seconds: int | None
    """What RetryInfo said."""
    headers: dict[str, str]
    """Response headers or trailing metadata."""


class Sender:
    """Sends over one transport."""

    def __init__(self, receiver: Receiver, transport: str) -> None:
        self.transport = transport
        self._receiver = receiver

    @property
    def is_grpc(self) -> bool:
        return self.transport == "grpc"

    def encode(self, request: Message) -> bytes:
        """Return *request* as this transport's bodies are written."""
        if self.transport != "http-json":
            return request.SerializeToString()
        return otlp_json(request)

    def send(
        self,
        body: bytes,
        *,
        kind: str = "traces",
        headers: dict[str, str] | None = None,
        compression: str | None = None,
    ) -> Reply:
        """Send *body* as it is and wait for the reply."""
        if self.is_grpc:
            return self._send_grpc(body, kind, headers or {}, compression)
        return self._send_http(body, kind, headers or {}, compression)

    def _send_grpc(
        self, body: bytes, kind: str, headers: dict[str, str], compression: str | None
    ) -> Reply:
        algorithm = {
            None: grpc.Compression.NoCompression,
            "gzip": grpc.Compression.Gzip,
            "deflate": grpc.Compression.Deflate,
        }[compression]
        with grpc.insecure_channel(self._receiver.grpc) as channel:
            export = channel.unary_unary(METHODS[kind])
            try:
                content = export(
                    body,
                    timeout=WAIT_SECONDS,
                    compression=algorithm,
                    metadata=tuple((k.lower(), v) for k, v in headers.items()),
                )
            except grpc.RpcError as error:
                return _grpc_failure(error)
        partial = ExportTraceServiceResponse.FromString(content).partial_success
        return Reply(0, partial.error_message, partial.rejected_spans, None, {})

    def _send_http(
        self, body: bytes, kind: str, headers: dict[str, str], compression: str | None
    ) -> Reply:
        subtype = "json" if self.transport == "http-json" else "x-protobuf"
        all_headers = {"content-type": f"application/{subtype}"} | headers
        if compression:
            all_headers["content-encoding"] = compression
            body = compress(body, compression)
        response = httpx2.post(
            f"http://{self._receiver.http}/v1/{kind}",
            content=body,
            headers=all_headers,
            timeout=WAIT_SECONDS,
        )
        assert response.headers["content-type"] == f"application/{subtype}"
        return _http_reply(response, is_json=subtype == "json")


def _grpc_failure(error: Any) -> Reply:
    trailing = {item.key: item.value for item in error.trailing_metadata() or ()}
    status = Status.FromString(trailing.get("grpc-status-details-bin", b""))
    if "grpc-status-details-bin" in trailing:
        assert (status.code, status.message) == (
            error.code().value[0],
            error.details(),
        )
    return Reply(
        error.code().value[0], error.details(), 0, retry_seconds_of(status), trailing
    )


def _http_reply(response: httpx2.Response, *, is_json: bool) -> Reply:
    headers = dict(response.headers)
    if response.status_code == 200:
        answer = ExportTraceServiceResponse()
        parse(response.content, answer, is_json=is_json)
        partial = answer.partial_success
        return Reply(200, partial.error_message, partial.rejected_spans, None, headers)
    status = Status()
    parse(response.content, status, is_json=is_json)
    return Reply(
        response.status_code, status.message, 0, retry_seconds_of(status), headers
    )


def parse(content: bytes, message: Message, *, is_json: bool) -> None:
    """Read *content* into *message*."""
    if is_json:
        json_format.Parse(content, message)
    else:
        message.ParseFromString(content)


def retry_seconds_of(status: Status) -> int | None:
    """Return what the RetryInfo in *status* says."""
    for detail in status.details:
        info = RetryInfo()
        if detail.Unpack(info):
            return info.retry_delay.seconds
    return None


def compress(body: bytes, coding: str) -> bytes:
    """Return *body* compressed as HTTP's content coding *coding*."""
    import gzip
    import zlib

    return {"gzip": gzip.compress, "deflate": zlib.compress}[coding](body)


def otlp_json(request: Message) -> bytes:
    """Return *request* in OTLP/JSON: protobuf's JSON, but ids in hex."""
    import base64

    def ids_to_hex(value: Any) -> Any:
        if isinstance(value, list):
            return [ids_to_hex(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            key: base64.b64decode(item).hex()
            if key in {"traceId", "spanId", "parentSpanId"}
            else ids_to_hex(item)
            for key, item in value.items()
        }

    return json.dumps(ids_to_hex(json_format.MessageToDict(request))).encode()
