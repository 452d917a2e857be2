"""Group commit: one sync serves all who wait for it."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

from collector.journal.frame import Position
from collector.journal.log import Journal


class _Group(NamedTuple):
    """Who waits for one sync."""

    waiters: list[asyncio.Future[None]]
    loop: asyncio.AbstractEventLoop


class GroupCommit:
    """
    Lets coroutines wait until their frames are durable.

    While one sync runs in a thread, those who come wait for the next; there is never
    more than one. All belongs to one event loop.
    """

    def __init__(
        self, journal: Journal, *, on_group: Callable[[int], None] | None = None
    ) -> None:
        """*on_group* is called after each sync with the number it served."""
        self._journal = journal
        self._on_group = on_group or (lambda _: None)
        self._waiting: list[asyncio.Future[None]] = []
        self._is_syncing = False
        self._last: asyncio.Future[None] | None = None
        # An executor's futures and their chaining take longer than a sync's own code.
        self._groups: SimpleQueue[_Group | None] = SimpleQueue()
        self._thread = threading.Thread(
            target=self._sync_groups, name="journal-sync", daemon=True
        )
        self._thread.start()

    async def durable(self, end: Position) -> None:
        """
        Return when the frame that ends at *end* is durable.

        Raises:
            JournalFailedError: It is not, and will not be.
        """
        if end <= self._journal.synced:
            return
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiting.append(waiter)
        if not self._is_syncing:
            self._begin(loop)
        await waiter

    async def close(self) -> None:
        """Wait for the syncs that are asked for; end the thread."""
        if self._is_syncing:
            self._last = asyncio.get_running_loop().create_future()
            await self._last
        self._groups.put(None)
        self._thread.join()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        waiters, self._waiting = self._waiting, []
        self._is_syncing = True
        self._groups.put(_Group(waiters, loop))

    def _sync_groups(self) -> None:
        while (group := self._groups.get()) is not None:
            failure: BaseException | None = None
            try:
                self._journal.sync()
            except BaseException as error:  # noqa: BLE001  the waiters raise it
                failure = error
            group.loop.call_soon_threadsafe(self._serve, group, failure)

    def _serve(self, group: _Group, failure: BaseException | None) -> None:
        for waiter in group.waiters:
            if waiter.done():  # its request was cancelled
                continue
            if failure is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(failure)
        self._on_group(len(group.waiters))
        if self._waiting:
            self._begin(group.loop)
            return
        self._is_syncing = False
        if self._last is not None and not self._last.done():
            self._last.set_result(None)
