import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journals import SMALL, append, read_all, write_journal
from structlog.testing import capture_logs

from collector.errors import JournalCorruptError
from collector.journal import Journal, JournalReader, Position
from collector.journal.segment import segment_numbers, segment_path

payload_lists = st.lists(
    st.binary(max_size=50) | st.sampled_from([bytes(400 << 10)]), max_size=8
)


def payloads_of(frames):
    return [frame.payload for frame in frames]


def damage(directory, position, *, at=30):
    path = segment_path(directory, position.segment)
    content = bytearray(path.read_bytes())
    content[position.offset + at] ^= 0xFF
    path.write_bytes(content)


@given(payload_lists, st.integers(1, 1 << 20))
def test_reads_of_any_size_give_every_frame_once(tmp_path_factory, payloads, max_bytes):
    directory = tmp_path_factory.mktemp("journal")
    write_journal(directory, payloads)

    frames = read_all(directory, max_bytes=max_bytes)

    assert payloads_of(frames) == payloads


def test_a_read_stops_at_its_bytes_but_gives_one_frame_at_least(tmp_path):
    write_journal(tmp_path, [bytes(1000), bytes(900), bytes(1000), bytes(900)])
    reader = JournalReader.open(tmp_path)

    assert len(reader.read(reader.committed, max_bytes=1)) == 1
    assert len(reader.read(reader.committed, max_bytes=2500)) == 2


def test_a_read_until_a_place_gives_the_same_frames_whatever_came_since(tmp_path):
    ends = write_journal(tmp_path, [bytes([n]) * (200 << 10) for n in range(8)])
    reader = JournalReader.open(tmp_path)
    until = ends[5]
    assert until.segment > 1

    frames = reader.read(reader.committed, max_bytes=1 << 30, until=until)

    assert [frame.end for frame in frames] == ends[:6]


def test_a_read_may_start_at_the_end_of_any_frame(tmp_path):
    ends = write_journal(tmp_path, [bytes([n]) * (300 << 10) for n in range(7)])
    reader = JournalReader.open(tmp_path)

    for index, end in enumerate(ends):
        rest = reader.read(end, max_bytes=1 << 30)
        assert [frame.end for frame in rest] == ends[index + 1 :]


def test_a_commit_survives_a_restart(tmp_path):
    first, _ = write_journal(tmp_path, [b"one", b"two"])
    JournalReader.open(tmp_path).commit(first)

    reader = JournalReader.open(tmp_path)

    assert reader.committed == first
    assert payloads_of(read_all(tmp_path)) == [b"two"]


def test_a_commit_deletes_the_segments_before_it_and_no_other(tmp_path):
    ends = write_journal(tmp_path, [bytes([n]) * (300 << 10) for n in range(9)])
    reader = JournalReader.open(tmp_path)
    in_second = next(end for end in ends if end.segment == 2)

    reader.commit(in_second)

    assert segment_numbers(tmp_path) == list(range(2, ends[-1].segment + 1))
    assert len(read_all(tmp_path)) == len(ends) - ends.index(in_second) - 1


def test_a_deletion_that_a_crash_left_undone_is_done_at_the_next_open(tmp_path):
    ends = write_journal(tmp_path, [bytes(300 << 10)] * 9)
    (tmp_path / "committed").write_text(f"{ends[-1]}\n")

    JournalReader.open(tmp_path)

    assert segment_numbers(tmp_path) == [ends[-1].segment]


def test_a_commit_does_not_go_back(tmp_path):
    first, second = write_journal(tmp_path, [b"one", b"two"])
    reader = JournalReader.open(tmp_path)
    reader.commit(second)

    with pytest.raises(ValueError, match="is before"):
        reader.commit(first)


def test_an_unreadable_commit_is_refused_with_its_path(tmp_path):
    write_journal(tmp_path, [b"one"])
    (tmp_path / "committed").write_text("garbage")

    with pytest.raises(JournalCorruptError, match="committed"):
        JournalReader.open(tmp_path)


@pytest.mark.parametrize("at", [0, 5, 12, 17, 18, 19, 30, 50], ids=lambda at: f"at{at}")
def test_a_damaged_frame_is_set_aside_with_its_place_and_the_rest_goes_on(tmp_path, at):
    ends = write_journal(tmp_path, [b"before", b"damaged", b"after", b"last"])
    damage(tmp_path, ends[0], at=at)
    regions = []
    reader = JournalReader.open(tmp_path, on_corrupt=regions.append)

    with capture_logs() as logs:
        frames = reader.read(reader.committed, max_bytes=1 << 20)

    assert payloads_of(frames) == [b"before", b"after", b"last"]
    [region] = regions
    assert (region.position, region.end) == (ends[0], ends[1])
    content = segment_path(tmp_path, 1).read_bytes()
    assert region.copy.read_bytes() == content[ends[0].offset : ends[1].offset]
    assert [(entry["event"], entry["offset"]) for entry in logs] == [
        ("journal_region_corrupt", ends[0].offset)
    ]


def test_a_damaged_frame_larger_than_a_read_is_skipped(tmp_path):
    ends = write_journal(tmp_path, [b"before", bytes(500 << 10), b"after"])
    damage(tmp_path, ends[0], at=5)

    assert payloads_of(read_all(tmp_path, max_bytes=64)) == [b"before", b"after"]


def test_damage_is_reported_once_however_often_it_is_read(tmp_path):
    ends = write_journal(tmp_path, [b"before", b"damaged", b"after"])
    damage(tmp_path, ends[0])
    regions = []
    reader = JournalReader.open(tmp_path, on_corrupt=regions.append)

    for _ in range(3):
        reader.read(reader.committed, max_bytes=1 << 20)

    assert len(regions) == 1


def test_damage_at_the_end_does_not_keep_a_reader_awake(tmp_path):
    ends = write_journal(tmp_path, [b"before", b"damaged"])
    damage(tmp_path, ends[0])
    reader = JournalReader.open(tmp_path)

    reader.read(reader.committed, max_bytes=1 << 20)

    assert reader.wait(0) is False


def test_a_missing_segment_costs_its_frames_alone(tmp_path):
    ends = write_journal(tmp_path, [bytes([n]) * (300 << 10) for n in range(9)])
    segment_path(tmp_path, 2).unlink()

    frames = read_all(tmp_path)

    assert [f.end for f in frames] == [end for end in ends if end.segment != 2]


def test_damage_that_cannot_be_set_aside_is_skipped_all_the_same(tmp_path):
    ends = write_journal(tmp_path, [b"before", b"damaged", b"after"])
    damage(tmp_path, ends[0])
    (tmp_path / "corrupt").write_text("a file where a directory should be")
    regions = []
    reader = JournalReader.open(tmp_path, on_corrupt=regions.append)

    frames = reader.read(reader.committed, max_bytes=1 << 20)

    assert payloads_of(frames) == [b"before", b"after"]
    assert regions[0].copy is None


def test_the_backlog_is_what_is_durable_and_not_committed(tmp_path):
    ends = write_journal(tmp_path, [bytes(300 << 10)] * 9)
    reader = JournalReader.open(tmp_path)
    frame_bytes = ends[0].offset

    assert reader.backlog_bytes == 9 * frame_bytes
    reader.commit(ends[4])
    assert reader.backlog_bytes == 4 * frame_bytes
    reader.commit(ends[-1])
    assert reader.backlog_bytes == 0


def test_unsynced_frames_are_no_backlog(tmp_path):
    journal = Journal.open(tmp_path, SMALL)
    append(journal, b"in the page cache")

    assert JournalReader.open(tmp_path).backlog_bytes == 0
    journal.close()


def test_waiting_ends_when_a_frame_becomes_durable(tmp_path):
    journal = Journal.open(tmp_path, SMALL)
    reader = JournalReader.open(tmp_path)
    append(journal, b"payload")
    assert reader.wait(0) is False
    writer = threading.Thread(target=journal.sync)
    writer.start()

    assert reader.wait(120) is True

    writer.join()
    assert payloads_of(reader.read(reader.committed, max_bytes=1)) == [b"payload"]
    assert reader.wait(0) is False
    journal.close()


def test_waiting_for_frames_of_a_restarted_writer_works(tmp_path):
    [end] = write_journal(tmp_path, [b"one"])
    reader = JournalReader.open(tmp_path)
    reader.read(reader.committed, max_bytes=1)
    reader.commit(end)
    journal = Journal.open(tmp_path, SMALL)
    assert reader.wait(0) is False

    append(journal, b"two")
    journal.sync()

    assert reader.wait(0) is True
    assert reader.read(end, max_bytes=1)[0].position == Position(2, 0)
    journal.close()
