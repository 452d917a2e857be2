"""Where ingested payloads go: a running service, or its work done here."""

import contextlib
import hashlib
import time
from contextlib import ExitStack
from typing import Final, Protocol, Self

import httpx2

from collector.account.fill import fill
from collector.account.publish import publish_empty_tables
from collector.account.tick import Account, open_store
from collector.alerts import AlertStore, Deliverer
from collector.config import Settings
from collector.drain import Drain, corruption_reporter, open_content_policy
from collector.errors import JournalFullError, SpanledgerError
from collector.files import locked
from collector.journal import Journal, JournalReader, Signal, pack
from collector.lake.books import Books, book_of
from collector.lake.compaction import finish_compactions
from collector.lake.target import open_target
from collector.telemetry import read_statuses

_SETTLE_SECONDS: Final = 300.0
_ATTEMPTS: Final = 8


class Sender(Protocol):
    """Takes payloads; `settle` returns when all of them are accounted."""

    def __enter__(self) -> Self:
        """Open what is needed."""

    def __exit__(self, *_: object) -> None:
        """Let go of it."""

    def send(self, payload: bytes, signal: Signal) -> None:
        """Hand over one request in protobuf."""

    def settle(self) -> None:
        """Return when everything sent is in the lake, ledger and rollups."""


class FrontDoor:
    """Sends to the service that runs on the data directory."""

    def __init__(self, settings: Settings, address: str, *, web: str) -> None:
        tokens = settings.receive.tokens
        headers = {"content-type": "application/x-protobuf"}
        if tokens:
            headers["authorization"] = f"Bearer {tokens[0].token.get_secret_value()}"
        scheme = "https" if settings.receive.tls.cert_file else "http"
        self._url = f"{scheme}://{address}/v1"
        self._web = f"http://{web}"
        self._state_dir = settings.state_dir
        verify = str(settings.receive.tls.cert_file or "") or True
        self._client = httpx2.Client(headers=headers, timeout=60.0, verify=verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, payload: bytes, signal: Signal) -> None:
        """Post one request; waits as the service says when it is full."""
        url = f"{self._url}/{signal}"
        answer = self._post(url, payload)
        for attempt in range(_ATTEMPTS):
            if answer.status_code != httpx2.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(min(float(answer.headers.get("retry-after", 1)), 2.0**attempt))
            answer = self._post(url, payload)
        if answer.status_code != httpx2.codes.OK:
            message = f"{url}: status {answer.status_code}"
            raise SpanledgerError(message)

    def _post(self, url: str, payload: bytes) -> httpx2.Response:
        try:
            return self._client.post(url, content=payload)
        except httpx2.HTTPError as error:
            message = f"{url}: {error}"
            raise SpanledgerError(message) from None

    def settle(self) -> None:
        """Wait until the service says that nothing is behind."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        sent_unix = time.time()
        while time.monotonic() < deadline:
            statuses = read_statuses(self._state_dir)
            drained, accounted = (
                statuses.get(role, {}).get("settled_unix", 0.0)
                for role in ("drain", "account")
            )
            if accounted > drained > sent_unix:
                return
            if drained > sent_unix:
                self._hurry()
            time.sleep(0.1)
        message = f"the service did not settle in {_SETTLE_SECONDS:.0f} s"
        raise SpanledgerError(message)

    def _hurry(self) -> None:
        """Ask something: the service publishes all it has before it answers."""
        with contextlib.suppress(httpx2.HTTPError):
            httpx2.post(f"{self._web}/api/sql", json={"sql": "SELECT 1"}, timeout=60.0)


class OwnHands:
    """Does the work of the three roles in this process."""

    def __init__(self, settings: Settings, *, alert: bool) -> None:
        self._settings = settings
        self._alert = alert
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        settings = self._settings
        with ExitStack() as exits:
            for role in ("receive", "drain", "account"):
                exits.enter_context(locked(settings.data_dir, role))
            self._journal = Journal.open(settings.journal_dir, settings.journal)
            exits.callback(self._journal.close)
            self._reader = JournalReader.open(
                settings.journal_dir, on_corrupt=corruption_reporter()
            )
            exits.callback(self._reader.close)
            self._target = open_target(settings.lake_url)
            self._books = Books(self._target)
            self._books.adopt(book_of(settings), since_unix_nano=time.time_ns())
            self._drain = Drain(
                self._reader,
                self._target,
                self._books,
                policy=open_content_policy(settings, self._target),
                dimensions=settings.dimensions,
            )
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def send(self, payload: bytes, signal: Signal) -> None:
        """Append to the journal; drains first if it is full."""
        try:
            self._append(payload, signal)
        except JournalFullError:
            self._drain_all()
            self._append(payload, signal)

    def _append(self, payload: bytes, signal: Signal) -> None:
        self._journal.append(
            pack(payload),
            signal=signal,
            encoding="protobuf",
            tenant=None,
            received_unix_nano=time.time_ns(),
            payload_hash=hashlib.blake2b(payload, digest_size=16).digest(),
        )

    def _drain_all(self) -> None:
        self._journal.sync()
        while self._drain.once() is not None:
            pass

    def settle(self) -> None:
        """Drain, tick until nothing is new, publish, and deliver what is to be told."""
        settings = self._settings
        self._drain_all()
        finish_compactions(self._target, now_unix=time.time())
        publish_empty_tables(self._target, tuple(settings.dimensions))
        path = settings.state_dir / "alerts.sqlite"
        with ExitStack() as exits:
            alerts = AlertStore.open(path)
            exits.callback(alerts.close)
            deliverer = Deliverer(path, settings.alerts)
            deliverer.start()
            exits.callback(deliverer.stop, settings.shutdown_seconds)
            store = open_store(settings)
            account = Account(
                settings,
                self._target,
                store,
                alerts=alerts,
                books=self._books,
                wake_alerts=deliverer.wake,
                tell_all=self._alert,
            )
            if not store.segments and not store.taken:
                fill(account, settings, self._target)
            while store.unindexed:
                account.index_hour()
            while account.tick(publish=False).more:
                pass
            account.finish()
