"""The receive role: put together, run, stopped."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import structlog

from collector.config import Settings
from collector.files import locked
from collector.journal import GroupCommit, Journal
from collector.receive import metrics
from collector.receive.admission import Admission
from collector.receive.heap import keep_freed_memory
from collector.receive.intake import Intake
from collector.receive.memory import PayloadMemory
from collector.receive.otlp_grpc import GrpcServer
from collector.receive.otlp_http import HttpServer

log = structlog.get_logger(component="receive")

_WATCH_SECONDS: Final = 1.0
_GRACE_SHARE: Final = 0.2
"""Part of ``shutdown_seconds`` that requests get to end; the other roles follow."""


async def run_receive(
    settings: Settings,
    *,
    ready: Callable[[dict[str, str]], None],
    stop: asyncio.Event,
    open_journal: Callable[..., Journal] = Journal.open,
) -> None:
    """
    Receive until *stop* is set, then finish replies, close and return.

    Args:
        settings: All settings.

        ready: Called once with the real addresses of ``grpc`` and ``http``, when both
            take requests.

        stop: Set by the caller to end the role.

        open_journal: Opens the journal for writing.

    Raises:
        LockedError: Another process receives on the same data directory.
        ListenError: An address cannot be listened on.
        ConfigError: A file of the settings cannot be read.
        JournalFailedError: A sync failed: the role must be started again.
        JournalCorruptError: The journal cannot be opened.
    """
    keep_freed_memory()
    with locked(settings.data_dir, "receive"):
        memory = PayloadMemory()
        journal = await asyncio.to_thread(
            open_journal,
            settings.journal_dir,
            settings.journal,
            on_frame=lambda frame: memory.add(frame.payload_hash, frame.end),
        )
        try:
            await _serve(settings, journal, memory, ready=ready, stop=stop)
        finally:
            journal.close()
    if journal.failure is not None:
        raise journal.failure


async def _serve(
    settings: Settings,
    journal: Journal,
    memory: PayloadMemory,
    *,
    ready: Callable[[dict[str, str]], None],
    stop: asyncio.Event,
) -> None:
    group = GroupCommit(journal, on_group=_count_group)
    intake = Intake(journal, group, memory)
    admission = Admission(
        settings.receive.tokens,
        max_request_bytes=settings.receive.max_request_bytes,
    )
    grace_seconds = settings.shutdown_seconds * _GRACE_SHARE
    tls = settings.receive.tls
    try:
        async with contextlib.AsyncExitStack() as stack:
            grpc = await GrpcServer.start(intake, admission, settings.grpc, tls)
            stack.push_async_callback(grpc.stop, grace_seconds)
            http = await HttpServer.start(intake, admission, settings.http, tls)
            stack.push_async_callback(http.stop, grace_seconds)
            addresses = {"grpc": grpc.address, "http": http.address}
            log.info("receive_started", **addresses)
            ready(addresses)
            await _run(journal, memory, http, stop=stop)
            admission.close()
            await grpc.announce_stop()
    finally:
        await group.close()
    log.info("receive_stopped", end=str(journal.synced))


def _count_group(served: int) -> None:
    metrics.SYNCS.inc()
    metrics.SYNCED_REQUESTS.inc(served)


async def _run(
    journal: Journal, memory: PayloadMemory, http: HttpServer, *, stop: asyncio.Event
) -> None:
    """Return when the role is to end: by the caller, or because a part failed."""
    stopped = asyncio.create_task(stop.wait())
    try:
        while not (stopped.done() or http.task.done() or journal.failure):
            await asyncio.wait(
                {stopped, http.task},
                timeout=_WATCH_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
            memory.forget_drained(journal.committed)
    finally:
        stopped.cancel()
