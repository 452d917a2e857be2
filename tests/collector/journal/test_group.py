import asyncio
import errno
import os
import threading

import pytest
from journals import SMALL, append, failing_sync, read_all

from collector.errors import JournalFailedError
from collector.journal import GroupCommit, Journal


class HeldSync:
    """A sync that waits until it is let go."""

    def __init__(self):
        self.calls = 0
        self.started = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, descriptor):
        self.calls += 1
        self.started.set()
        assert self.let_go.wait(120)
        os.fdatasync(descriptor)


async def until_started(sync):
    await asyncio.get_running_loop().run_in_executor(None, sync.started.wait, 30)


def test_one_sync_serves_all_who_came_while_another_ran(tmp_path):
    sync = HeldSync()
    groups = []

    async def scenario():
        journal = Journal.open(tmp_path, SMALL, sync=sync)
        group = GroupCommit(journal, on_group=groups.append)
        first = asyncio.create_task(group.durable(append(journal, b"first")))
        await until_started(sync)
        ends = [append(journal, b"%d" % n) for n in range(50)]
        rest = [asyncio.create_task(group.durable(end)) for end in ends]
        await asyncio.sleep(0)
        assert not any(task.done() for task in (first, *rest))
        sync.let_go.set()
        await asyncio.gather(first, *rest)
        await group.close()
        journal.close()

    asyncio.run(scenario())

    assert groups == [1, 50]
    assert sync.calls == 2
    assert len(read_all(tmp_path)) == 51


def test_nobody_is_served_before_the_sync_has_ended(tmp_path):
    sync = HeldSync()

    async def scenario():
        journal = Journal.open(tmp_path, SMALL, sync=sync)
        group = GroupCommit(journal)
        waiting = asyncio.create_task(group.durable(append(journal, b"payload")))
        await until_started(sync)
        assert not waiting.done()
        assert read_all(tmp_path) == []
        sync.let_go.set()
        await waiting
        assert len(read_all(tmp_path)) == 1
        await group.close()
        journal.close()

    asyncio.run(scenario())


def test_who_asks_for_what_is_durable_already_does_not_wait(tmp_path):
    async def scenario():
        journal = Journal.open(tmp_path, SMALL)
        group = GroupCommit(journal, on_group=lambda _: pytest.fail("synced again"))
        end = append(journal, b"payload")
        journal.sync()
        await group.durable(end)
        await group.close()
        journal.close()

    asyncio.run(scenario())


def test_a_failed_sync_reaches_all_who_wait_and_all_who_come(tmp_path):
    async def scenario():
        journal = Journal.open(tmp_path, SMALL, sync=failing_sync(errno.EIO))
        group = GroupCommit(journal)
        ends = [append(journal, b"%d" % n) for n in range(3)]
        results = await asyncio.gather(
            *(group.durable(end) for end in ends), return_exceptions=True
        )
        assert [type(result) for result in results] == [JournalFailedError] * 3
        with pytest.raises(JournalFailedError):
            await group.durable(ends[0])
        await group.close()
        journal.close()

    asyncio.run(scenario())


def test_one_who_gives_up_does_not_disturb_the_others(tmp_path):
    sync = HeldSync()

    async def scenario():
        journal = Journal.open(tmp_path, SMALL, sync=sync)
        group = GroupCommit(journal)
        end = append(journal, b"payload")
        patient = asyncio.create_task(group.durable(end))
        hasty = asyncio.create_task(group.durable(end))
        await until_started(sync)
        hasty.cancel()
        sync.let_go.set()
        await patient
        assert hasty.cancelled()
        await group.close()
        journal.close()

    asyncio.run(scenario())
