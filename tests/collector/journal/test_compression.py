"""What the journal promises of the payloads that it compresses."""

import random

import pytest
from frames import encode, fields, scan, written_frames
from hypothesis import given
from hypothesis import strategies as st
from journals import SMALL, read_all

from collector.journal import Journal, JournalReader, pack
from collector.journal.compression import unpack
from collector.journal.frame import Damage

REPEATED = b"gen_ai.usage.input_tokens" * 400
NOISE = random.Random(1).randbytes(10_000)

any_payloads = st.binary(max_size=200) | st.builds(
    lambda unit, times: unit * times, st.binary(min_size=1), st.integers(1, 2000)
)


@given(any_payloads)
def test_what_was_packed_is_what_is_unpacked(payload):
    packed = pack(payload)

    assert len(packed.content) <= len(payload)
    assert payload == (unpack(packed.content) if packed.is_compressed else packed[0])


@pytest.mark.parametrize(
    ("payload", "is_compressed"),
    [(REPEATED, True), (NOISE, False), (REPEATED[:1000], False)],
    ids=["repeated", "noise", "small"],
)
def test_a_payload_is_compressed_where_it_helps(payload, is_compressed):
    assert pack(payload).is_compressed is is_compressed


@given(st.binary(max_size=100))
def test_content_that_was_not_packed_is_told_or_unpacked(content):
    try:
        unpack(content)
    except ValueError as error:
        assert str(error)  # noqa: PT017  either way is right, anything else is not


@given(written_frames)
def test_frames_of_packed_payloads_are_read_like_others(written):
    written = [(REPEATED + payload, *rest) for payload, *rest in written]

    content = encode(written, packed=pack)

    assert [fields(frame) for frame in scan(content)] == written
    assert len(content) <= len(written) * 2000


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_flipped_byte_of_a_packed_payload_costs_its_frame(place, flip):
    frame = (REPEATED, "traces", "protobuf", None, 1, bytes(16))
    content = bytearray(encode([frame], packed=pack))
    content[place % len(content)] ^= flip

    assert all(isinstance(found, Damage) for found in scan(bytes(content)))


def test_the_journal_is_as_small_as_its_packed_payloads(tmp_path):
    journal = Journal.open(tmp_path, SMALL)
    end = journal.append(
        pack(REPEATED),
        signal="traces",
        encoding="protobuf",
        tenant=None,
        received_unix_nano=1,
        payload_hash=bytes(16),
    )
    journal.close()

    (frame,) = read_all(tmp_path)
    assert frame.payload == REPEATED
    assert frame.journal_bytes == end.offset < len(REPEATED) // 10


def test_a_batch_is_measured_by_what_it_takes_in_memory(tmp_path):
    journal = Journal.open(tmp_path, SMALL)
    for _ in range(5):
        journal.append(
            pack(REPEATED),
            signal="traces",
            encoding="protobuf",
            tenant=None,
            received_unix_nano=1,
            payload_hash=bytes(16),
        )
    journal.close()
    reader = JournalReader.open(tmp_path)

    frames = reader.read(reader.committed, max_bytes=3 * len(REPEATED))

    assert len(frames) == 3
    assert len(reader.read(frames[-1].end, max_bytes=1 << 20)) == 2
