import pytest
from frames import encode, fields, scan, written_frames
from hypothesis import given
from hypothesis import strategies as st

from collector.journal.frame import (
    Damage,
    Frame,
    Position,
    Seed,
    encode_head,
)


def traces(*payloads):
    return [(p, "traces", "protobuf", None, 0, bytes(16)) for p in payloads]


@given(written_frames)
def test_what_is_written_is_read_back_in_order_and_without_gaps(written):
    found = scan(encode(written))

    assert [fields(frame) for frame in found] == written
    starts = [frame.position.offset for frame in found]
    assert starts == [0, *(frame.end.offset for frame in found)][: len(found)]


@given(written_frames, st.data())
def test_a_cut_anywhere_leaves_a_prefix_of_the_frames(written, data):
    content = encode(written)
    cut = data.draw(st.integers(0, len(content)))

    found = scan(content[:cut])

    frames = [fields(item) for item in found if isinstance(item, Frame)]
    assert frames == written[: len(frames)]
    whole = [f for f in scan(content) if f.end.offset <= cut]
    assert len(frames) == len(whole)


@given(written_frames.filter(bool), st.data())
def test_a_flipped_bit_costs_the_frame_it_is_in_and_no_other(written, data):
    content = bytearray(encode(written))
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    hit = [
        frame.position.offset <= bit // 8 < frame.end.offset
        for frame in scan(bytes(content))
    ].index(True)
    content[bit // 8] ^= 1 << bit % 8

    found = scan(bytes(content))

    frames = [fields(item) for item in found if isinstance(item, Frame)]
    damages = [item for item in found if isinstance(item, Damage)]
    assert frames == written[:hit] + written[hit + 1 :]
    assert len(damages) == 1


@given(written_frames, st.data())
def test_a_scan_of_a_part_stops_before_what_it_does_not_see_the_end_of(written, data):
    content = encode(written)
    cut = data.draw(st.integers(0, len(content)))

    found = scan(content[:cut], is_rest=False)

    assert all(isinstance(item, Frame) for item in found)
    assert [fields(frame) for frame in found] == written[: len(found)]


def test_a_frame_is_valid_at_its_own_offset_only():
    content = encode(traces(b"payload"), at=64)

    assert isinstance(scan(content, at=64)[0], Frame)
    assert isinstance(scan(content, at=65)[0], Damage)


def test_a_frame_is_valid_in_its_own_segment_only():
    content = encode(traces(b"payload"))

    assert isinstance(scan(content, seed=Seed.of(b"salt" * 4, 8))[0], Damage)


def test_a_frame_that_a_sender_put_into_a_payload_is_never_taken_for_one():
    forged = encode(traces(b"forged"), seed=Seed.of(b"guess" * 4, 7))
    content = bytearray(encode(traces(b"before", forged, b"after")))
    second = scan(bytes(content))[1]
    content[second.position.offset + 5] ^= 1

    found = scan(bytes(content))

    assert [item.payload for item in found if isinstance(item, Frame)] == [
        b"before",
        b"after",
    ]


def test_zeros_are_no_frame():
    assert scan(bytes(100)) == [Damage(0, 100, "head")]


@pytest.mark.parametrize(
    "changes",
    [{"payload_hash": b"short"}, {"tenant": "t" * 65535}],
    ids=["hash", "tenant"],
)
def test_a_field_that_does_not_fit_is_refused(changes):
    arguments = {
        "signal": "traces",
        "encoding": "protobuf",
        "tenant": None,
        "received_unix_nano": 0,
        "payload_hash": bytes(16),
        "checksum_seed": 0,
    }

    with pytest.raises(ValueError, match="does not fit"):
        encode_head(b"", **(arguments | changes))


@given(st.tuples(st.integers(0, 10**9), st.integers(0, 10**12)))
def test_a_position_survives_its_text(place):
    position = Position(*place)

    assert Position.parse(str(position)) == position


@given(*[st.tuples(st.integers(0, 10**7), st.integers(0, 10**9))] * 2)
def test_positions_and_their_texts_sort_alike(one, other):
    first, second = Position(*one), Position(*other)

    assert (first < second) == (str(first) < str(second))


@pytest.mark.parametrize("text", ["", "1-2", "00000001-000000000x", "00000001"])
def test_other_text_is_no_position(text):
    with pytest.raises(ValueError, match="not a journal position"):
        Position.parse(text)
