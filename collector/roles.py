"""
The three roles as processes: what each runs, and how it starts and stops.

A supervised role gets its settings as one line of JSON on standard input, says on
standard output when it is ready and where it listens, and stops when its standard
input ends: then the supervisor is gone.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from collector.config import Settings
from collector.errors import SpanledgerError
from collector.files import locked
from collector.telemetry import (
    configure_logging,
    enable_multiprocess,
    metrics_directory,
    write_status,
)

ROLES: Final = ("receive", "drain", "account")
"""The roles in the order a span passes them."""

Ready = Callable[[Mapping[str, str]], None]

_PR_SET_PDEATHSIG: Final = 1
_STATUS_SECONDS: Final = 1.0
_JOIN_SECONDS: Final = 3.0


def run_role(name: str, settings: Settings, *, is_supervised: bool = False) -> int:
    """
    Run one role in this process until SIGTERM or SIGINT.

    Returns:
        The exit code: 0 after a clean stop.

    Raises:
        SpanledgerError: It could not start: another process has the data directory, an
            address is in use, or a setting cannot be used.
    """
    configure_logging(name)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    enable_multiprocess(
        metrics_directory(settings.state_dir), name, fresh=not is_supervised
    )
    ready = _say_ready if is_supervised else _log_ready
    _RUN[name](settings, stop, ready)
    return 0


def _say_ready(addresses: Mapping[str, str]) -> None:
    print(json.dumps(dict(addresses)), flush=True)


def _log_ready(addresses: Mapping[str, str]) -> None:
    import structlog  # noqa: PLC0415

    structlog.get_logger(component="role").info("role_ready", **addresses)


def _run_receive(settings: Settings, stop: threading.Event, ready: Ready) -> None:
    import uvloop  # noqa: PLC0415

    from collector.receive.role import run_receive  # noqa: PLC0415

    async def run() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        if stop.is_set():
            stopping.set()
        reporting: list[asyncio.Task[None]] = []

        def up(addresses: Mapping[str, str]) -> None:
            reporting.append(loop.create_task(_keep_reporting(settings, "receive")))
            ready(addresses)

        try:
            await run_receive(settings, ready=up, stop=stopping)
        finally:
            for task in reporting:
                task.cancel()

    with _status_beside(settings, "receive", settings.receive.status_listen, stop):
        uvloop.run(run())


async def _keep_reporting(settings: Settings, role: str) -> None:
    while True:
        write_status(settings.state_dir, role, ready=True)
        await asyncio.sleep(_STATUS_SECONDS)


def _run_drain(settings: Settings, stop: threading.Event, ready: Ready) -> None:
    from collector.drain import (  # noqa: PLC0415
        Drain,
        corruption_reporter,
        open_content_policy,
    )
    from collector.journal import JournalReader  # noqa: PLC0415
    from collector.lake.books import Books, book_of  # noqa: PLC0415
    from collector.lake.handoff import Handoff  # noqa: PLC0415
    from collector.lake.opening import open_when_there  # noqa: PLC0415
    from collector.lake.target import open_target  # noqa: PLC0415

    listen = settings.drain.status_listen
    with contextlib.ExitStack() as exits:
        exits.enter_context(locked(settings.data_dir, "drain"))
        exits.enter_context(_status_beside(settings, "drain", listen, stop))
        reader = JournalReader.open(
            settings.journal_dir, on_corrupt=corruption_reporter()
        )
        exits.callback(reader.close)

        def open_drain() -> Drain:
            target = open_target(settings.lake_url)
            books = Books(target)
            books.adopt(book_of(settings), since_unix_nano=time.time_ns())
            return Drain(
                reader,
                target,
                books,
                policy=open_content_policy(settings, target),
                dimensions=settings.dimensions,
                handoff=Handoff(settings.handoff_dir, settings.dimensions),
            )

        say_ready = _once(ready)
        drain = open_when_there(
            open_drain, settings, "drain", away=lambda: say_ready({}), stop=stop
        )
        if drain is None:
            return
        beat = _Beat(settings, "drain")
        say_ready({})
        drain.run(stop, settings, beat)


def _run_account(settings: Settings, stop: threading.Event, ready: Ready) -> None:
    from collector.account.role import Freshness, run_account  # noqa: PLC0415
    from collector.alerts.decisions import Decisions  # noqa: PLC0415
    from collector.query.api import api_routes  # noqa: PLC0415
    from collector.web.app import build_app  # noqa: PLC0415
    from collector.web.decisions import decision_routes  # noqa: PLC0415
    from collector.web.server import serve_web  # noqa: PLC0415

    with locked(settings.data_dir, "account"):
        freshness = Freshness()
        decisions = Decisions()
        routes = [
            *api_routes(settings, refresh=freshness.ask),
            *decision_routes(decisions),
        ]
        app = build_app(settings, query_routes=routes)
        with _beside(
            lambda up: serve_web(settings.web.listen, app, ready=up, stop=stop), stop
        ) as address:
            say_ready = _once(ready)
            run_account(
                settings,
                stop,
                lambda: say_ready({"web": address}),
                freshness,
                decisions,
            )


def _once(ready: Ready) -> Ready:
    """Return *ready* for a role that may be up before its lake is there."""
    said = False

    def say(addresses: Mapping[str, str]) -> None:
        nonlocal said
        if not said:
            said = True
            ready(addresses)

    return say


@contextlib.contextmanager
def _status_beside(
    settings: Settings, role: str, listen: str | None, stop: threading.Event
) -> Iterator[None]:
    """Serve health and metrics of a role that runs alone while the block runs."""
    if listen is None:
        yield
        return
    from collector.web.server import serve_status  # noqa: PLC0415

    with _beside(
        lambda up: serve_status(listen, settings.state_dir, role, ready=up, stop=stop),
        stop,
    ):
        yield


@contextlib.contextmanager
def _beside(
    serve: Callable[[Callable[[str], None]], None], stop: threading.Event
) -> Iterator[str]:
    """
    Run a server in a thread; give its address, or raise what kept it from one.

    When the block ends, however it does, *stop* is set, which ends the server: one
    that goes on while the interpreter ends makes libraries complain.
    """
    outcome: queue.Queue[str | Exception] = queue.Queue()

    def run() -> None:
        try:
            serve(outcome.put)
        except (SpanledgerError, OSError) as error:
            outcome.put(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    address = outcome.get()
    if isinstance(address, Exception):
        raise address
    try:
        yield address
    finally:
        stop.set()
        thread.join(_JOIN_SECONDS)


_RUN: Final = {
    "receive": _run_receive,
    "drain": _run_drain,
    "account": _run_account,
}


class _Beat:
    """Writes a role's status about once a second, when it is called."""

    def __init__(self, settings: Settings, role: str) -> None:
        self._state_dir = settings.state_dir
        self._role = role
        self._due = 0.0

    def __call__(self, **figures: float) -> None:
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _STATUS_SECONDS
            write_status(
                self._state_dir, self._role, ready=True, reason=None, **figures
            )


def run_supervised(name: str) -> int:
    """Run a role whose settings come on standard input; return the exit code."""
    _die_with_parent()
    settings = Settings(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    try:
        return run_role(name, settings, is_supervised=True)
    except SpanledgerError as error:
        print(f"spanledger {name}: {error.line()}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"spanledger {name}: {error}", file=sys.stderr)
        return 1


def _die_with_parent() -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop_at_end_of_input() -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def revealed(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain data with secrets readable, for a child process."""
    return _plain(settings.model_dump(mode="python"))


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "get_secret_value"):
        return value.get_secret_value()
    return value if isinstance(value, (int, float, type(None))) else str(value)


if __name__ == "__main__":
    sys.exit(run_supervised(sys.argv[1]))
