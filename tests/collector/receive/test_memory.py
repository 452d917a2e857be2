import itertools

from hypothesis import given
from hypothesis import strategies as st

from collector.journal import Position
from collector.receive.memory import PayloadMemory, hash_payload

HOUR = 3600.0


class Clock:
    """A clock that tests set."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def hash_of(number):
    return number.to_bytes(16, "big")


def place(number):
    return Position(1, number)


def test_what_was_added_is_remembered_and_nothing_else():
    memory = PayloadMemory()

    memory.add(hash_of(1), place(1))

    assert hash_of(1) in memory
    assert hash_of(2) not in memory


def test_what_is_not_drained_is_remembered_however_old():
    clock = Clock()
    memory = PayloadMemory(clock=clock)
    for number in range(10):
        memory.add(hash_of(number), place(number))
        clock.seconds += HOUR

    memory.forget_drained(Position(0, 0))

    assert all(hash_of(number) in memory for number in range(10))


def test_what_was_drained_is_remembered_for_an_hour():
    clock = Clock()
    memory = PayloadMemory(clock=clock)
    memory.add(hash_of(1), place(1))
    memory.forget_drained(place(1))
    clock.seconds = HOUR - 1
    memory.add(hash_of(2), place(2))

    memory.forget_drained(place(1))
    assert hash_of(1) in memory
    clock.seconds = HOUR
    memory.forget_drained(place(1))

    assert hash_of(1) not in memory
    assert hash_of(2) in memory


def test_the_hour_of_a_set_begins_when_its_last_request_is_drained():
    clock = Clock()
    memory = PayloadMemory(clock=clock)
    memory.add(hash_of(1), place(1))
    memory.forget_drained(place(1))
    clock.seconds = HOUR / 8
    memory.add(hash_of(2), place(2))
    clock.seconds = HOUR / 2
    memory.forget_drained(place(2))
    memory.add(hash_of(3), place(3))
    clock.seconds = HOUR + 1

    memory.forget_drained(place(2))

    assert hash_of(2) in memory


def test_a_steady_stream_is_forgotten_as_it_ages():
    clock = Clock()
    memory = PayloadMemory(clock=clock)
    for number in range(300):
        clock.seconds += 60
        memory.add(hash_of(number), place(number))
        memory.forget_drained(place(number))

    remembered = [number for number in range(300) if hash_of(number) in memory]

    assert remembered == list(range(remembered[0], 300))
    assert 60 <= len(remembered) <= 90


@given(st.integers(1, 200), st.integers(0, 600))
def test_memory_is_bounded_and_keeps_the_newest(limit, count):
    memory = PayloadMemory(max_payloads=limit)

    for number in range(count):
        memory.add(hash_of(number), place(number))

    remembered = [number for number in range(count) if hash_of(number) in memory]
    assert len(remembered) <= max(limit, 16)
    assert remembered == list(range(count - len(remembered), count))
    assert len(remembered) >= min(count, 14 * max(limit // 16, 1))


def test_a_hash_tells_tenant_signal_encoding_and_body_apart():
    kinds = itertools.product(
        ("traces", "logs"),
        ("protobuf", "json"),
        (None, "", "a", "aa"),
        (b"", b"a", b"aa", b"=a"),
    )

    hashes = [
        hash_payload(body, signal=signal, encoding=encoding, tenant=tenant, seed=7)
        for signal, encoding, tenant, body in kinds
    ]

    assert len(set(hashes)) == len(hashes) == 64
    assert {len(each) for each in hashes} == {16}


def test_a_hash_depends_on_the_seed_alone_besides():
    def hash_with(seed):
        return hash_payload(
            b"body", signal="traces", encoding="json", tenant="a", seed=seed
        )

    assert hash_with(1) == hash_with(1) != hash_with(2)
