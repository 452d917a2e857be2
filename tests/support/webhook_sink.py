"""A real HTTP endpoint that records what it is sent and fails as told."""

import base64
import hashlib
import hmac
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass(frozen=True)
class Delivery:
    """One request as received; ``arrived`` is `time.monotonic`."""

    path: str
    headers: dict[str, str]
    body: bytes
    arrived: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def is_signed_with(self, key: bytes) -> bool:
        """Verify the signature as the Standard Webhooks specification describes."""
        stamp = self.headers["webhook-timestamp"]
        content = f"{self.id}.{stamp}.".encode() + self.body
        expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest())
        given = self.headers.get("webhook-signature", "").split()
        return f"v1,{expected.decode()}" in given


class WebhookSink:
    """
    What the endpoint received and how it answers.

    ``answers`` are taken one per request: a status, or a status with headers; when
    they are used up it answers 200. While ``gate`` is clear it does not answer at all.
    ``missing_bytes`` of the body are announced and never sent.
    """

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.answers: list[int | tuple[int, dict[str, str]]] = []
        self.answer_body = b"ok"
        self.missing_bytes = 0
        self.gate = threading.Event()
        self.gate.set()
        self._changed = threading.Condition()
        self.url = ""

    def wait_for(self, count: int, *, seconds: float = 120.0) -> list[Delivery]:
        """Return what has arrived as soon as there are *count*; fail after a while."""
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: len(self.deliveries) >= count, timeout=seconds
            )
            assert arrived, f"{len(self.deliveries)} of {count} deliveries arrived"
            return list(self.deliveries)

    def record(self, delivery: Delivery) -> tuple[int, dict[str, str]]:
        with self._changed:
            self.deliveries.append(delivery)
            answer = self.answers.pop(0) if self.answers else 200
            self._changed.notify_all()
        self.gate.wait(60)
        return answer if isinstance(answer, tuple) else (answer, {})


class _Handler(BaseHTTPRequestHandler):
    sink: WebhookSink
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        delivery = Delivery(self.path, headers, body, time.monotonic())
        status, extra = self.sink.record(delivery)
        try:
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            announced = len(self.sink.answer_body) + self.sink.missing_bytes
            self.send_header("content-length", str(announced))
            self.end_headers()
            self.wfile.write(self.sink.answer_body)
        except OSError:
            self.close_connection = True

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def webhook_sink():
    """Run an endpoint on loopback for the block."""
    sink = WebhookSink()
    handler = type("Handler", (_Handler,), {"sink": sink})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    sink.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield sink
    finally:
        sink.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
