"""A local webhook endpoint that believes nothing without a good signature."""

import base64
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from typing_extensions import override


class Webhook(NamedTuple):
    """A delivery: what it says, and whether its signature is right."""

    id: str
    is_signed: bool
    body: dict[str, Any]


class Endpoint:
    """What arrived so far; make it with `open_endpoint`."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._arrived: dict[str, Webhook] = {}
        self._changed = threading.Condition()
        self.url = ""

    @property
    def secret(self) -> str:
        """The signing secret as it stands in settings."""
        return f"whsec_{base64.b64encode(self._key).decode()}"

    def wait_for(self, types: set[str], seconds: float) -> list[Webhook]:
        """Return what arrived: once all *types* did, at the latest after *seconds*."""
        with self._changed:
            self._changed.wait_for(lambda: types <= self._types(), seconds)
            return list(self._arrived.values())

    def _types(self) -> set[str]:
        return {str(webhook.body.get("type")) for webhook in self._arrived.values()}

    def take(self, webhook_id: str, stamp: str, given: str, content: bytes) -> bool:
        """Record a delivery; return whether its signature is right."""
        # Standard Webhooks 1.0.0: HMAC-SHA256 over "<id>.<timestamp>.<body>"; several
        # signatures may stand side by side, and the id is the same for every attempt.
        signed = f"{webhook_id}.{stamp}.".encode() + content
        digest = hmac.new(self._key, signed, hashlib.sha256).digest()
        expected = f"v1,{base64.b64encode(digest).decode()}"
        is_signed = any(
            hmac.compare_digest(expected, signature) for signature in given.split()
        )
        with self._changed:
            self._arrived[webhook_id] = Webhook(
                webhook_id, is_signed, json.loads(content)
            )
            self._changed.notify_all()
        return is_signed


class _Handler(BaseHTTPRequestHandler):
    endpoint: Endpoint

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        is_signed = self.endpoint.take(
            self.headers.get("webhook-id", ""),
            self.headers.get("webhook-timestamp", ""),
            self.headers.get("webhook-signature", ""),
            content,
        )
        self.send_response(204 if is_signed else 401)
        self.end_headers()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        # A connection that breaks is the sender's to notice, and no traceback of ours.
        pass


@contextmanager
def open_endpoint() -> Iterator[Endpoint]:
    """Run an endpoint on a free loopback port for the block."""
    endpoint = Endpoint()
    handler = type("Handler", (_Handler,), {"endpoint": endpoint})
    server = _Server(("127.0.0.1", 0), handler)
    endpoint.url = f"http://127.0.0.1:{server.server_port}/webhooks"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
