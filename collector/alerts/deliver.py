"""Delivery of the outbox: one thread, a few attempts at once per endpoint."""

import asyncio
import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio.lowlevel
import httpx2
import structlog
from prometheus_client import Counter, Gauge, Histogram

from collector.alerts import outbox
from collector.alerts.attempt import (
    ATTEMPT_SECONDS,
    GONE,
    Outcome,
    attempt,
    open_client,
    retry_delay_seconds,
)
from collector.alerts.database import connect
from collector.alerts.formats import render
from collector.alerts.outbox import Letter
from collector.alerts.webhook import Endpoint, load_endpoints
from collector.config import AlertSettings
from collector.telemetry import RepeatingLog

_THROTTLE_SECONDS: Final = 5.0
_AT_ONCE: Final = 4
LOOK_SECONDS: Final = 1.0
"""How often the outbox is looked at unasked: the command line writes to it too."""
_THROTTLES: Final = frozenset({429, 502, 504})
_ABANDON_SECONDS: Final = 1.0
_MICRO: Final = 1_000_000

DELIVERIES: Final = Counter(
    "spanledger_alert_deliveries_total",
    "Attempts to deliver an alert, by how they ended.",
    ["endpoint", "outcome"],
)
DELIVERY_SECONDS: Final = Histogram(
    "spanledger_alert_delivery_seconds",
    "Time from the look that found an alert to its delivery.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600, 86400),
)
LETTERS: Final = Gauge(
    "spanledger_alert_outbox_letters",
    "Letters in the outbox, by state.",
    ["state"],
    multiprocess_mode="livemostrecent",
)

log = structlog.get_logger(component="alerts")


class Deliverer:
    """
    Delivers the outbox of a store in a thread of its own.

    Args:
        store_path: File of the alert store.

        settings: Endpoints and number of attempts.

        clock: UTC seconds since 1970.

        jitter: Returns numbers evenly distributed in [0, 1).

        attempt_seconds: Time in seconds an endpoint has to answer.

        look_seconds: Longest time in seconds between two looks at the outbox.

    Raises:
        ConfigError: A webhook of the settings has a bad URL or secret.
    """

    def __init__(
        self,
        store_path: Path,
        settings: AlertSettings,
        *,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
        attempt_seconds: float = ATTEMPT_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._path = store_path
        self._endpoints = load_endpoints(settings)
        self._max_attempts = settings.max_attempts
        self._clock = clock
        self._jitter = jitter
        self._attempt_seconds = attempt_seconds
        self._look_seconds = look_seconds
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._is_stopping = False
        self._is_out_of_time = False
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._loads = dict.fromkeys((it.key for it in self._endpoints), 0)
        self._paused_until = dict.fromkeys((it.key for it in self._endpoints), 0.0)
        self._gone: set[str] = set()
        self._repeating = RepeatingLog(log)

    def start(self) -> None:
        """
        Start delivering, first what was left over from before.

        Raises:
            AlertStoreError: The store cannot be opened.
        """
        connection = connect(self._path)
        # an update lost in a power cut only repeats a delivery under the same id
        connection.execute("PRAGMA synchronous = NORMAL")
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._run,
            args=(connection, started),
            name="alert-delivery",
            daemon=True,
        )
        self._thread.start()
        started.wait()

    def wake(self) -> None:
        """Look at the outbox at once; from any thread, after each commit."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._news.set)

    def stop(self, deadline_seconds: float) -> None:
        """
        Deliver what is due, but for no longer than the deadline, and stop.

        What could not be delivered waits in the outbox for the next start.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._is_stopping = True
        self.wake()
        thread.join(deadline_seconds)
        self._is_out_of_time = True
        self.wake()
        thread.join(_ABANDON_SECONDS)

    def _run(self, connection: sqlite3.Connection, started: threading.Event) -> None:
        with contextlib.closing(connection):
            asyncio.run(self._serve(connection, started))

    async def _serve(
        self, connection: sqlite3.Connection, started: threading.Event
    ) -> None:
        self._loop = asyncio.get_running_loop()
        # the client's backend loads now, not at the first alert
        await anyio.lowlevel.checkpoint()
        async with open_client(self._attempt_seconds) as client:
            started.set()
            await self._deliver_until_stopped(connection, client)
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def _deliver_until_stopped(
        self, connection: sqlite3.Connection, client: httpx2.AsyncClient
    ) -> None:
        while True:
            self._news.clear()
            patience_seconds = self._look_seconds
            try:
                patience_seconds = self._send_due(connection, client)
            except Exception as error:  # noqa: BLE001  (this loop must not die)
                self._repeating.error("outbox_read_failed", reason=repr(error))
            if self._is_out_of_time or (self._is_stopping and not self._busy):
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), patience_seconds)

    def _send_due(
        self, connection: sqlite3.Connection, client: httpx2.AsyncClient
    ) -> float:
        """Start the attempts that are due; return the seconds until the next look."""
        now = self._clock()
        now_us = int(now * _MICRO)
        self._bury_lost(connection, now_us)
        for state, count in outbox.count_letters(connection).items():
            LETTERS.labels(state).set(count)
        for endpoint in self._endpoints:
            free = _AT_ONCE - self._loads[endpoint.key]
            if free <= 0 or now < self._paused_until[endpoint.key]:
                continue
            for letter in outbox.due_letters(
                connection, endpoint, now_us=now_us, busy=self._busy, limit=free
            ):
                self._loads[endpoint.key] += 1
                self._busy[letter.sequence] = asyncio.create_task(
                    self._send(connection, client, endpoint, letter)
                )
        next_us = outbox.next_due_us(connection, now_us)
        until_next = self._look_seconds if next_us is None else next_us / _MICRO - now
        return min(max(until_next, 0.001), self._look_seconds)

    def _bury_lost(self, connection: sqlite3.Connection, now_us: int) -> None:
        """Give up what no endpoint of the settings is there for."""
        known = {it.key for it in self._endpoints} - self._gone
        reason = "the endpoint is gone, or not in the settings any more"
        if count := outbox.bury(connection, known, reason=reason, now_us=now_us):
            log.warning("letters_buried", letters=count)

    async def _send(
        self,
        connection: sqlite3.Connection,
        client: httpx2.AsyncClient,
        endpoint: Endpoint,
        letter: Letter,
    ) -> None:
        try:
            outcome = await self._attempt(client, endpoint, letter)
            self._settle(connection, endpoint, letter, outcome)
        except sqlite3.Error as error:
            self._paused_until[endpoint.key] = self._clock() + _THROTTLE_SECONDS
            self._repeating.error("outbox_write_failed", reason=str(error))
        finally:
            del self._busy[letter.sequence]
            self._loads[endpoint.key] -= 1
            self._news.set()

    async def _attempt(
        self, client: httpx2.AsyncClient, endpoint: Endpoint, letter: Letter
    ) -> Outcome:
        try:
            body = render(letter.read_notice(), endpoint)
        except (KeyError, TypeError, ValueError) as error:
            reason = f"notice cannot be read: {error!r}"
            return Outcome(is_delivered=False, reason=reason, is_final=True)
        return await attempt(
            client,
            endpoint,
            webhook_id=letter.webhook_id,
            body=body,
            now=self._clock(),
            seconds=self._attempt_seconds,
        )

    def _settle(
        self,
        connection: sqlite3.Connection,
        endpoint: Endpoint,
        letter: Letter,
        outcome: Outcome,
    ) -> None:
        """Write down how an attempt ended."""
        now = self._clock()
        now_us = int(now * _MICRO)
        if outcome.is_delivered:
            outbox.mark_delivered(connection, letter, now_us=now_us)
            DELIVERIES.labels(endpoint.name, "delivered").inc()
            DELIVERY_SECONDS.observe(max(0, now_us - letter.created_us) / _MICRO)
            self._log_delivered(endpoint, letter)
            return
        failures = letter.attempts + 1
        is_dead = outcome.is_final or failures >= self._max_attempts
        if is_dead:
            outbox.mark_dead(connection, letter, reason=outcome.reason, now_us=now_us)
        else:
            delay_seconds = retry_delay_seconds(
                failures,
                jitter=self._jitter(),
                retry_after_seconds=outcome.retry_after_seconds,
            )
            outbox.mark_failed(
                connection,
                letter,
                reason=outcome.reason,
                due_us=now_us + int(delay_seconds * _MICRO),
            )
        self._hold_back(endpoint, outcome, now)
        DELIVERIES.labels(endpoint.name, "dead" if is_dead else "failed").inc()
        self._repeating.warning(
            "webhook_failed",
            about=endpoint.name,
            endpoint=endpoint.name,
            webhook_id=letter.webhook_id,
            status=outcome.status,
            reason=outcome.reason,
            attempts=failures,
            is_dead=is_dead,
        )

    def _hold_back(self, endpoint: Endpoint, outcome: Outcome, now: float) -> None:
        """Leave an endpoint alone that says it has enough, or wants no more."""
        if outcome.status == GONE:
            self._gone.add(endpoint.key)
            log.error(
                "endpoint_disabled",
                endpoint=endpoint.name,
                hint="it answered 410; restart to try it again",
            )
        wait_seconds = outcome.retry_after_seconds
        if wait_seconds is None and outcome.status in _THROTTLES:
            wait_seconds = _THROTTLE_SECONDS
        if wait_seconds is not None:
            self._paused_until[endpoint.key] = now + wait_seconds

    def _log_delivered(self, endpoint: Endpoint, letter: Letter) -> None:
        log.info(
            "alert_delivered",
            endpoint=endpoint.name,
            webhook_id=letter.webhook_id,
            attempts=letter.attempts + 1,
        )
