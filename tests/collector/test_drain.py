"""What the drain promises: every durable span once, whatever is interrupted."""

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from agent_runs import Run
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_requests import START_UNIX_NANO, request, span
from workshop import Workshop

HOUR_NANO = 3600 * 10**9


class DeathError(Exception):
    """Stands for the death of the process."""


class Mortal:
    """A target whose process dies before or after its n-th write."""

    def __init__(self, target):
        self.target = target
        self.left = None
        self.is_done_first = False

    def __getattr__(self, name):
        return getattr(self.target, name)

    def _write(self, write, *arguments):
        if self.left is None:
            return write(*arguments)
        self.left -= 1
        if self.left < 0 and not self.is_done_first:
            raise DeathError
        result = write(*arguments)
        if self.left < 0:
            raise DeathError
        return result

    def publish(self, key, table):
        return self._write(self.target.publish, key, table)

    def put(self, key, content):
        return self._write(self.target.put, key, content)

    def delete(self, key):
        return self._write(self.target.delete, key)


def spans_over_hours(first, count):
    return request(
        *(
            span(
                first + place,
                start_time_unix_nano=START_UNIX_NANO + (place % 3) * HOUR_NANO,
                end_time_unix_nano=START_UNIX_NANO + (place % 3) * HOUR_NANO + 5,
            )
            for place in range(count)
        )
    )


@given(
    deaths=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=4),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4),
)
@settings(max_examples=30, deadline=None)
def test_spans_are_stored_once_whenever_the_drain_dies(deaths, sizes):
    mortals = []

    def wrap(target):
        mortals.append(Mortal(target))
        return mortals[-1]

    with (
        tempfile.TemporaryDirectory() as folder,
        Workshop(Path(folder), wrap=wrap) as shop,
    ):
        sent = 0
        for size, death in zip(sizes, [*deaths, *[None] * 4], strict=False):
            shop.send(spans_over_hours(sent + 1, size))
            sent += size
            if death is not None:
                mortals[-1].left, mortals[-1].is_done_first = death
            try:
                shop.drain_all()
            except DeathError:
                # What arrives in between must not change what is written again.
                shop.send(spans_over_hours(sent + 1, 1))
                sent += 1
                shop.reopen()
            mortals[-1].left = None
        shop.drain_all()

        counts = Counter(row["span_id"] for row in shop.stored_spans())

    assert counts == {f"{number:016x}": 1 for number in range(1, sent + 1)}


def test_a_payload_that_is_no_request_does_not_stop_the_others(tmp_path):
    with Workshop(tmp_path) as shop:
        shop.send(request(span(1)))
        shop.journal.append(
            b"\x0a\x05abc",
            signal="traces",
            encoding="protobuf",
            tenant=None,
            received_unix_nano=1,
            payload_hash=bytes(16),
        )
        shop.send(request(span(2)))

        shop.drain_all()

        assert {row["span_id"] for row in shop.stored_spans()} == {
            f"{1:016x}",
            f"{2:016x}",
        }


def test_calls_are_priced_and_other_spans_are_not(tmp_path):
    run = Run(START_UNIX_NANO)
    with Workshop(tmp_path) as shop:
        shop.send(request(run.root(), *run.chats()))

        shop.drain_all()

        costs = {row["name"]: row["cost_status"] for row in shop.stored_spans()}
    assert costs == {run.root().name: None, run.chats()[0].name: "priced"}


def test_prompts_do_not_reach_the_lake(tmp_path):
    secret = "the quick brown fox"
    chat = span(1, attributes={"gen_ai.input.messages": secret, "input.value": secret})
    with Workshop(tmp_path) as shop:
        shop.send(request(chat))

        shop.drain_all()

        content = b"".join(
            path.read_bytes() for path in (tmp_path / "lake").rglob("*.parquet")
        )
        attributes = dict(shop.stored_spans()[0]["attributes"])
    assert secret.encode() not in content
    assert attributes["spanledger.content.input.value"].startswith("bytes=19;hash=")


def test_the_tenant_of_the_token_is_stored(tmp_path):
    with Workshop(tmp_path) as shop:
        shop.send(request(span(1)), tenant="acme")

        shop.drain_all()

        assert [row["tenant"] for row in shop.stored_spans()] == ["acme"]


@pytest.mark.parametrize("count", [0, 1])
def test_draining_what_is_drained_moves_nothing(tmp_path, count):
    with Workshop(tmp_path) as shop:
        for number in range(count):
            shop.send(request(span(number + 1)))
        shop.drain_all()

        assert shop.drain.once() is None


def test_a_refused_payload_is_kept_beside_the_journal_and_not_in_the_lake(tmp_path):
    body = b"\x0a\xff the quick brown fox"
    with Workshop(tmp_path) as shop:
        shop.journal.append(
            body,
            signal="traces",
            encoding="protobuf",
            tenant=None,
            received_unix_nano=1,
            payload_hash=bytes(16),
        )
        shop.send(request(span(1)))

        shop.drain_all()

    lake = [path for path in (tmp_path / "lake").rglob("*") if path.is_file()]
    kept = list((tmp_path / "journal" / "refused").iterdir())
    assert not any(b"quick brown fox" in path.read_bytes() for path in lake)
    assert [path.read_bytes() for path in kept] == [body]
