"""Apps that send without end and do not give up until they are acknowledged."""

import http.client
import random
import threading
import time
from typing import Self

from agent_runs import Run, protobuf_body

SENDERS = 2
PACE_SECONDS = 0.01


def post(address: str, body: bytes, content_type="application/x-protobuf") -> int:
    """Send one request; return the status, 0 if there was no reply."""
    try:
        connection = http.client.HTTPConnection(address, timeout=60)
        try:
            connection.request(
                "POST", "/v1/traces", body, {"content-type": content_type}
            )
            reply = connection.getresponse()
            reply.read()
            return reply.status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return 0


class Load:
    """
    Agent runs sent by several threads, each run in two requests: children, then root.

    A request is sent until it is acknowledged, as an exporter's queue does it.
    *address* is asked anew for every attempt.
    """

    def __init__(self, address, *, seed: int) -> None:
        self._address = address
        self._seed = seed
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._send_runs, args=(number,))
            for number in range(SENDERS)
        ]
        self.sent: list[str] = []
        self.acknowledged: list[str] = []
        self.runs: list[Run] = []
        self.requests = 0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    def finish(self) -> None:
        """Begin no more runs, and return when all are acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def abandon(self) -> None:
        """Give up at once, also on what is not acknowledged."""
        self._address = None
        self.finish()

    def wait_for_requests(self, count: int, *, seconds: float = 45.0) -> None:
        """Return when *count* more requests are acknowledged."""
        with self._changed:
            wanted = self.requests + count
            arrived = self._changed.wait_for(lambda: self.requests >= wanted, seconds)
            assert arrived, f"{wanted - self.requests} requests missing"

    def _send_runs(self, sender: int) -> None:
        dice = random.Random(f"{self._seed}-{sender}")
        while not self._stop.is_set():
            run = Run(time.time_ns() - 10**10, steps=dice.randint(1, 12))
            root, *chats = run.spans()
            is_done = self._send(chats) and self._send([root])
            with self._changed:
                if is_done:
                    self.runs.append(run)
            self._stop.wait(PACE_SECONDS)

    def _send(self, spans) -> bool:
        ids = [span.span_id.hex() for span in spans]
        body = protobuf_body(spans)
        with self._changed:
            self.sent += ids
        while (address := self._address) is not None:
            found = address()
            if found is not None and post(found.http, body) == 200:
                with self._changed:
                    self.acknowledged += ids
                    self.requests += 1
                    self._changed.notify_all()
                return True
            # Exporters wait much longer before they try again.
            time.sleep(0.05)
        return False
