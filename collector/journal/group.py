"""Group commit: one sync serves all who wait for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from collector.journal.frame import Position
from collector.journal.log import Journal


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
        self._turn: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal-sync")

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
        if self._turn is None:
            self._turn = loop.create_task(self._sync_for_all())
        await waiter

    async def close(self) -> None:
        """Wait for the sync that runs; end the thread."""
        if self._turn is not None:
            await self._turn
        self._thread.shutdown()

    async def _sync_for_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group, self._waiting = self._waiting, []
            sync = loop.run_in_executor(self._thread, self._journal.sync)
            await asyncio.wait([sync])
            failure = sync.exception()
            for waiter in group:
                if waiter.done():  # its request was cancelled
                    continue
                if failure is None:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(failure)
            self._on_group(len(group))
        self._turn = None
