import asyncio
import errno
import functools
import os
import random
import threading

import pytest
from export_requests import log_request, metric_request, trace_request
from journals import SMALL, failing_sync, read_all
from receivers import otlp_json

from collector.errors import JournalFailedError, JournalFullError, MalformedRequestError
from collector.journal import GroupCommit, Journal
from collector.receive.intake import Intake, Taken
from collector.receive.memory import PayloadMemory

NOW_UNIX_NANO = 1_700_000_000_000_000_000


def with_intake(directory, scenario, *, sync=os.fdatasync, settings=SMALL):
    """Run *scenario* on an intake of its own, with the memory of the last one."""

    async def run():
        memory = PayloadMemory()
        journal = Journal.open(
            directory,
            settings,
            sync=sync,
            on_frame=lambda frame: memory.add(frame.payload_hash, frame.end),
        )
        group = GroupCommit(journal)
        intake = Intake(journal, group, memory, clock=lambda: NOW_UNIX_NANO)
        try:
            return await scenario(intake)
        finally:
            await group.close()
            journal.close()

    return asyncio.run(run())


def accept(directory, kind, body, *, encoding="protobuf", tenant=None, **options):
    return with_intake(
        directory,
        lambda intake: intake.accept(kind, body, encoding=encoding, tenant=tenant),
        **options,
    )


@pytest.mark.parametrize(
    ("kind", "request_of"), [("traces", trace_request), ("logs", log_request)]
)
@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_request_is_in_the_journal_as_protobuf_with_all_that_is_known_of_it(
    tmp_path, kind, request_of, encoding
):
    payload = request_of(3).SerializeToString()
    body = payload if encoding == "protobuf" else otlp_json(request_of(3))

    taken = accept(tmp_path, kind, body, encoding=encoding, tenant="acme")

    [frame] = read_all(tmp_path)
    assert taken == Taken()
    assert (frame.signal, frame.encoding, frame.tenant) == (kind, encoding, "acme")
    assert (frame.payload, frame.received_unix_nano) == (payload, NOW_UNIX_NANO)


@pytest.mark.parametrize("kind", ["traces", "metrics", "logs"])
@pytest.mark.parametrize(
    ("encoding", "body"), [("protobuf", b""), ("json", b"{}")], ids=["pb", "json"]
)
def test_an_empty_request_is_fine_and_leaves_no_frame(tmp_path, kind, encoding, body):
    assert accept(tmp_path, kind, body, encoding=encoding) == Taken()
    assert read_all(tmp_path) == []


def test_metrics_are_counted_and_leave_no_frame(tmp_path):
    assert accept(tmp_path, "metrics", metric_request().SerializeToString()) == Taken()
    assert read_all(tmp_path) == []


def bad_request(spans, bad):
    request = trace_request(spans)
    for span in request.resource_spans[0].scope_spans[0].spans[:bad]:
        span.span_id = b"short"
    return request.SerializeToString()


def test_a_request_with_some_bad_spans_is_stored_as_it_came(tmp_path):
    body = bad_request(3, 1)

    taken = accept(tmp_path, "traces", body)

    assert taken == Taken(1, "span_id has 5 bytes, not 8")
    assert [frame.payload for frame in read_all(tmp_path)] == [body]


def test_a_request_with_bad_spans_only_is_answered_and_not_stored(tmp_path):
    taken = accept(tmp_path, "traces", bad_request(3, 3))

    assert taken == Taken(3, "span_id has 5 bytes, not 8")
    assert read_all(tmp_path) == []


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_what_is_no_request_is_refused_and_not_stored(tmp_path, encoding):
    with pytest.raises(MalformedRequestError):
        accept(tmp_path, "traces", b"\xff", encoding=encoding)
    assert read_all(tmp_path) == []


def test_the_same_bytes_sent_again_are_answered_alike_and_stored_once(tmp_path):
    body = bad_request(3, 1)

    async def scenario(intake):
        send = functools.partial(
            intake.accept, "traces", body, encoding="protobuf", tenant=None
        )
        return [await send(), await send(), *await asyncio.gather(send(), send())]

    answers = with_intake(tmp_path, scenario)

    assert answers == [Taken(1, "span_id has 5 bytes, not 8")] * 4
    assert len(read_all(tmp_path)) == 1


def test_the_same_bytes_sent_again_after_a_restart_are_stored_once(tmp_path):
    body = trace_request(3).SerializeToString()

    for _ in range(3):
        accept(tmp_path, "traces", body)

    assert len(read_all(tmp_path)) == 1


def test_the_same_bytes_from_two_tenants_are_stored_twice(tmp_path):
    body = trace_request(3).SerializeToString()

    async def scenario(intake):
        for tenant in ("acme", "zeta", None):
            await intake.accept("traces", body, encoding="protobuf", tenant=tenant)

    with_intake(tmp_path, scenario)

    assert [frame.tenant for frame in read_all(tmp_path)] == ["acme", "zeta", None]


def test_a_repeat_is_not_acknowledged_before_the_first_is_durable(tmp_path):
    body = trace_request(3).SerializeToString()
    started, let_go = threading.Event(), threading.Event()

    def held_sync(descriptor):
        started.set()
        assert let_go.wait(120)
        os.fdatasync(descriptor)

    async def scenario(intake):
        send = functools.partial(
            intake.accept, "traces", body, encoding="protobuf", tenant=None
        )
        first = asyncio.create_task(send())
        await asyncio.to_thread(started.wait, 30)
        repeat = asyncio.create_task(send())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not first.done()
        assert not repeat.done()
        let_go.set()
        await asyncio.gather(first, repeat)

    with_intake(tmp_path, scenario, sync=held_sync)

    assert len(read_all(tmp_path)) == 1


def test_nothing_is_acknowledged_when_the_sync_fails(tmp_path):
    body = trace_request(3).SerializeToString()

    with pytest.raises(JournalFailedError):
        accept(tmp_path, "traces", body, sync=failing_sync(errno.EIO))

    assert read_all(tmp_path) == []
    assert accept(tmp_path, "traces", body) == Taken()
    assert [frame.payload for frame in read_all(tmp_path)] == [body]


def different_request(*, spans, seed):
    """Return a request that hardly compresses."""
    dice = random.Random(seed)
    request = trace_request(spans)
    for span in request.resource_spans[0].scope_spans[0].spans:
        del span.attributes[:]
        span.trace_id, span.span_id = dice.randbytes(16), dice.randbytes(8)
        span.trace_state = dice.randbytes(20).hex()
    return request.SerializeToString()


def test_a_request_that_found_the_journal_full_is_stored_when_sent_again(tmp_path):
    settings = SMALL.model_copy(update={"max_bytes": 1 << 20})
    bodies = [different_request(spans=2500, seed=n) for n in range(15)]

    async def scenario(intake):
        refused = []
        for body in bodies:
            try:
                await intake.accept("traces", body, encoding="protobuf", tenant=None)
            except JournalFullError:
                refused.append(body)
        return refused

    refused = with_intake(tmp_path, scenario, settings=settings)
    assert refused
    for body in refused:
        accept(tmp_path, "traces", body)

    stored = [frame.payload for frame in read_all(tmp_path)]
    assert sorted(stored) == sorted(bodies)
