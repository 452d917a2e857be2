import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journals import (
    ARRIVAL_UNIX_NANO,
    SMALL,
    abandon,
    append,
    failing_sync,
    payload_hash,
    read_all,
    write_journal,
)
from structlog.testing import capture_logs

from collector.config import JournalSettings
from collector.errors import (
    DiskFullError,
    JournalCorruptError,
    JournalFailedError,
    JournalFullError,
)
from collector.journal import Journal, JournalReader, Position
from collector.journal.marks import SyncedMark
from collector.journal.segment import segment_numbers, segment_path

QUARTER = bytes(200 << 10)


def payloads_of(frames):
    return [frame.payload for frame in frames]


def test_what_is_appended_and_synced_is_read_with_all_its_fields(tmp_path):
    journal = Journal.open(tmp_path, SMALL)
    end = journal.append(
        b"payload",
        signal="logs",
        encoding="json",
        tenant="acme",
        received_unix_nano=ARRIVAL_UNIX_NANO,
        payload_hash=payload_hash(b"payload"),
    )
    journal.sync()

    [frame] = read_all(tmp_path)

    assert frame == (
        "logs",
        "json",
        "acme",
        ARRIVAL_UNIX_NANO,
        payload_hash(b"payload"),
        b"payload",
        Position(1, 0),
        end,
    )
    journal.close()


def test_a_reader_does_not_see_a_frame_before_its_sync(tmp_path):
    journal = Journal.open(tmp_path, SMALL)
    append(journal, b"durable")
    journal.sync()
    append(journal, b"in the page cache")

    assert payloads_of(read_all(tmp_path)) == [b"durable"]
    journal.close()


def test_frames_are_durable_before_readers_are_told(tmp_path):
    seen_at_sync = []

    def sync(descriptor):
        seen_at_sync.append(payloads_of(read_all(tmp_path)))
        os.fdatasync(descriptor)

    journal = Journal.open(tmp_path, SMALL, sync=sync)
    append(journal, b"payload")
    journal.sync()
    journal.close()

    assert seen_at_sync == [[]]


def test_frames_are_read_in_order_across_segments(tmp_path):
    payloads = [bytes([n]) * (300 << 10) for n in range(9)]

    ends = write_journal(tmp_path, payloads)

    assert len({end.segment for end in ends}) > 2
    assert ends == sorted(ends)
    assert payloads_of(read_all(tmp_path)) == payloads


def test_a_frame_larger_than_a_segment_gets_one_that_holds_it(tmp_path):
    write_journal(tmp_path, [b"small", bytes(3 << 20), b"small again"])

    assert [len(payload) for payload in payloads_of(read_all(tmp_path))] == [
        5,
        3 << 20,
        11,
    ]


def test_all_segments_up_to_a_place_are_synced_before_it_is_told(tmp_path):
    synced = set()

    def sync(descriptor):
        synced.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        os.fdatasync(descriptor)

    journal = Journal.open(tmp_path, SMALL, sync=sync)
    for _ in range(9):
        end = append(journal, QUARTER)
    journal.sync()

    expected = {segment_path(tmp_path, n) for n in range(1, end.segment + 1)}
    assert synced == expected
    journal.close()


def test_a_new_segments_name_is_durable_before_its_frames_count(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "collector.journal.log.sync_directory",
        lambda directory: seen.append((directory, payloads_of(read_all(tmp_path)))),
    )
    journal = Journal.open(tmp_path, SMALL)
    journal.sync()
    append(journal, b"payload")
    journal.sync()
    append(journal, b"in the same segment")
    journal.sync()
    journal.close()

    assert seen == [(tmp_path, [])]


def test_a_sync_without_new_frames_does_nothing(tmp_path):
    journal = Journal.open(tmp_path, SMALL)
    append(journal, b"payload")
    end = journal.sync()
    journal._sync_file = failing_sync(errno.EIO)

    assert journal.sync() == end
    journal.close()


def test_segments_are_preallocated_and_cut_when_they_are_sealed(tmp_path):
    journal = Journal.open(tmp_path, SMALL)
    end = append(journal, b"payload")
    path = segment_path(tmp_path, 1)

    assert path.stat().st_size == 1 << 20
    assert path.stat().st_blocks * 512 >= 1 << 20
    journal.close()
    assert path.stat().st_size == end.offset


def test_each_start_opens_a_new_segment(tmp_path):
    ends = [end for n in range(3) for end in write_journal(tmp_path, [b"%d" % n])]

    assert [end.segment for end in ends] == [1, 2, 3]
    assert payloads_of(read_all(tmp_path)) == [b"0", b"1", b"2"]


def test_a_number_is_not_used_again_after_its_segment_was_deleted(tmp_path):
    [end] = write_journal(tmp_path, [b"first"])
    reader = JournalReader.open(tmp_path)
    reader.commit(end)
    segment_path(tmp_path, 1).unlink()

    [later] = write_journal(tmp_path, [b"second"])

    assert later.segment == 2
    assert payloads_of(read_all(tmp_path)) == [b"second"]


def test_the_journal_id_is_random_and_stays(tmp_path):
    ids = [Journal.open(tmp_path / name, SMALL).journal_id for name in ("a", "b", "a")]

    assert ids[0] == ids[2] != ids[1]
    assert JournalReader.open(tmp_path / "a").journal_id == ids[0]


def test_a_reader_that_comes_first_makes_the_journal(tmp_path):
    reader = JournalReader.open(tmp_path / "journal")

    write_journal(tmp_path / "journal", [b"payload"])

    assert payloads_of(reader.read(reader.committed, max_bytes=100)) == [b"payload"]
    assert Journal.open(tmp_path / "journal", SMALL).journal_id == reader.journal_id


def test_an_unreadable_identity_is_refused_with_its_path(tmp_path):
    write_journal(tmp_path, [])
    (tmp_path / "journal.json").write_text("{}")

    with pytest.raises(JournalCorruptError, match=r"journal\.json"):
        Journal.open(tmp_path, SMALL)


def test_a_killed_writers_unsynced_frames_are_synced_and_kept(tmp_path):
    journal = Journal.open(tmp_path, SMALL)
    append(journal, b"one")
    append(journal, b"two")
    abandon(journal)
    assert read_all(tmp_path) == []

    synced = []
    Journal.open(tmp_path, SMALL, sync=synced.append)

    assert synced
    assert payloads_of(read_all(tmp_path)) == [b"one", b"two"]


@given(st.data())
def test_a_torn_tail_is_cut_and_the_frames_before_it_stay(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("journal")
    journal = Journal.open(directory, SMALL)
    ends = [append(journal, bytes([n]) * 50) for n in range(4)]
    abandon(journal)
    path = segment_path(directory, 1)
    cut = data.draw(st.integers(0, ends[-1].offset))
    garbage = data.draw(st.binary(max_size=200))
    content = path.read_bytes()
    path.write_bytes(content[:cut] + garbage + bytes(1000))
    whole = [end for end in ends if end.offset <= cut]

    write_journal(directory, [b"later"])

    found = payloads_of(read_all(directory))
    assert found[: len(whole)] == [bytes([n]) * 50 for n in range(len(whole))]
    assert found[-1] == b"later"
    assert path.stat().st_size in {0, *(end.offset for end in ends)}


def test_cutting_a_torn_tail_is_told(tmp_path):
    journal = Journal.open(tmp_path, SMALL)
    end = append(journal, b"whole")
    append(journal, b"torn")
    abandon(journal)
    os.truncate(segment_path(tmp_path, 1), end.offset + 20)

    with capture_logs() as logs:
        Journal.open(tmp_path, SMALL)

    assert {
        "event": "journal_tail_cut",
        "component": "journal",
        "log_level": "warning",
        "segment": 1,
        "offset": end.offset,
        "bytes": 20,
    } in logs


def test_unused_room_of_a_killed_writer_is_given_back_in_silence(tmp_path):
    journal = Journal.open(tmp_path, SMALL)
    end = append(journal, b"whole")
    abandon(journal)

    with capture_logs() as logs:
        Journal.open(tmp_path, SMALL)

    assert segment_path(tmp_path, 1).stat().st_size == end.offset
    assert "journal_tail_cut" not in [entry["event"] for entry in logs]


def test_damage_to_durable_frames_at_the_end_is_not_taken_for_a_torn_tail(tmp_path):
    ends = write_journal(tmp_path, [b"good", b"damaged"])
    path = segment_path(tmp_path, 1)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    regions = []

    write_journal(tmp_path, [b"later"])

    reader = JournalReader.open(tmp_path, on_corrupt=regions.append)
    found = reader.read(reader.committed, max_bytes=1 << 20)
    assert payloads_of(found) == [b"good", b"later"]
    assert [(region.position, region.end) for region in regions] == [tuple(ends)]


def test_frames_torn_around_a_roll_are_cut_also_with_an_empty_segment_behind(tmp_path):
    journal = Journal.open(tmp_path, SMALL)
    end = append(journal, b"whole")
    append(journal, b"torn")
    abandon(journal)
    os.truncate(segment_path(tmp_path, 1), end.offset + 20)
    segment_path(tmp_path, 2).write_bytes(bytes(1 << 20))

    write_journal(tmp_path, [b"later"])

    assert segment_path(tmp_path, 1).stat().st_size == end.offset
    assert segment_path(tmp_path, 2).stat().st_size == 0
    assert payloads_of(read_all(tmp_path)) == [b"whole", b"later"]


def test_a_start_tells_of_every_frame_that_is_there(tmp_path):
    first, second = write_journal(tmp_path, [b"drained", b"waiting"])
    reader = JournalReader.open(tmp_path)
    reader.commit(first)
    remembered = []

    Journal.open(tmp_path, SMALL, on_frame=remembered.append)

    assert [frame.payload_hash for frame in remembered] == [
        payload_hash(b"drained"),
        payload_hash(b"waiting"),
    ]
    assert remembered[-1].end == second


def test_after_a_failed_sync_nothing_is_accepted(tmp_path):
    journal = Journal.open(tmp_path, SMALL, sync=failing_sync(errno.EIO))
    append(journal, b"payload")

    with pytest.raises(JournalFailedError, match="Input/output error"):
        journal.sync()
    with pytest.raises(JournalFailedError):
        append(journal, b"another")
    with pytest.raises(JournalFailedError):
        journal.sync()
    assert journal.failure is not None
    journal.close()


def test_what_a_failed_sync_left_behind_is_dropped_by_the_next_start(tmp_path):
    journal = Journal.open(tmp_path, SMALL, sync=failing_sync(errno.EIO, after=1))
    append(journal, b"acknowledged")
    journal.sync()
    for _ in range(9):
        append(journal, QUARTER)
    with pytest.raises(JournalFailedError):
        journal.sync()
    journal.close()
    assert payloads_of(read_all(tmp_path)) == [b"acknowledged"]
    remembered = []

    later = Journal.open(tmp_path, SMALL, on_frame=remembered.append)
    append(later, b"later")
    later.close()

    assert payloads_of(remembered) == [b"acknowledged"]
    assert payloads_of(read_all(tmp_path)) == [b"acknowledged", b"later"]


def test_a_failed_sync_is_forgotten_once_a_start_has_repaired_it(tmp_path):
    journal = Journal.open(tmp_path, SMALL, sync=failing_sync(errno.EIO))
    append(journal, b"payload")
    with pytest.raises(JournalFailedError):
        journal.sync()
    journal.close()
    second = Journal.open(tmp_path, SMALL)
    append(second, b"not synced, not failed")
    abandon(second)

    Journal.open(tmp_path, SMALL)

    assert payloads_of(read_all(tmp_path)) == [b"not synced, not failed"]


def test_a_failed_sync_of_what_a_start_would_keep_is_refused(tmp_path):
    write_journal(tmp_path, [b"payload"])

    with pytest.raises(JournalFailedError, match="00000001"):
        Journal.open(tmp_path, SMALL, sync=failing_sync(errno.EIO))


def test_a_failed_write_fails_the_journal(tmp_path, monkeypatch):
    journal = Journal.open(tmp_path, SMALL)
    monkeypatch.setattr(os, "pwritev", lambda *_: 3)

    with pytest.raises(JournalFailedError, match="3 of"):
        append(journal, b"payload")

    assert journal.failure is not None
    journal.close()


def fill(journal):
    count = 0
    while True:
        try:
            append(journal, b"%4d" % count + QUARTER)
        except JournalFullError as error:
            return count, error
        count += 1


def test_a_full_journal_refuses_and_takes_again_after_a_drain(tmp_path):
    journal = Journal.open(tmp_path, SMALL)
    count, error = fill(journal)
    journal.sync()
    used = sum(path.stat().st_size for path in tmp_path.glob("*.segment"))
    assert used <= SMALL.max_bytes
    assert (error.used_bytes, error.max_bytes) == (used, SMALL.max_bytes)

    reader = JournalReader.open(tmp_path)
    frames = reader.read(reader.committed, max_bytes=SMALL.max_bytes)
    reader.commit(frames[-1].end)

    assert len(frames) == count
    append(journal, b"again" + QUARTER)
    journal.sync()
    [frame] = reader.read(reader.committed, max_bytes=SMALL.max_bytes)
    assert frame.payload == b"again" + QUARTER
    journal.close()


def test_a_journal_smaller_than_a_segment_can_be_filled_and_drained(tmp_path):
    settings = JournalSettings(segment_bytes=64 << 20, max_bytes=2 << 20)
    journal = Journal.open(tmp_path, settings)
    reader = JournalReader.open(tmp_path)

    for _ in range(3):
        count, _ = fill(journal)
        journal.sync()
        frames = reader.read(reader.committed, max_bytes=settings.max_bytes)
        reader.commit(frames[-1].end)
        assert count == len(frames) > 0
    journal.close()


def test_a_journal_that_is_full_at_the_start_opens_and_appends_are_refused(tmp_path):
    journal = Journal.open(tmp_path, SMALL)
    fill(journal)
    journal.close()

    journal = Journal.open(tmp_path, SMALL)

    with pytest.raises(JournalFullError):
        append(journal, QUARTER)
    journal.close()


def full_disk(times):
    left = [times]

    def allocate(descriptor, offset, size_bytes):
        os.posix_fallocate(descriptor, offset, size_bytes)
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return allocate


def test_a_full_disk_shows_at_the_roll_and_costs_nothing(tmp_path):
    journal = Journal.open(tmp_path, SMALL, allocate=full_disk(1))
    for _ in range(5):
        append(journal, QUARTER)

    with pytest.raises(DiskFullError, match="no room for a segment"):
        append(journal, QUARTER)

    assert segment_numbers(tmp_path) == [1]
    journal.sync()
    assert len(read_all(tmp_path)) == 5
    journal.close()


def test_a_full_disk_heals_by_itself(tmp_path):
    journal = Journal.open(tmp_path, SMALL, allocate=full_disk(1))
    for _ in range(5):
        append(journal, QUARTER)
    with pytest.raises(DiskFullError):
        append(journal, QUARTER)
    journal._allocate = os.posix_fallocate

    append(journal, QUARTER)
    journal.sync()

    assert len(read_all(tmp_path)) == 6
    journal.close()


def test_a_disk_that_is_full_at_the_start_heals_by_itself(tmp_path):
    journal = Journal.open(tmp_path, SMALL, allocate=full_disk(0))
    with pytest.raises(DiskFullError):
        append(journal, b"payload")
    journal._allocate = os.posix_fallocate

    append(journal, b"payload")
    journal.sync()

    assert payloads_of(read_all(tmp_path)) == [b"payload"]
    journal.close()


def test_a_frame_that_found_no_room_in_the_file_system_leaves_no_trace(
    tmp_path, monkeypatch
):
    journal = Journal.open(tmp_path, SMALL)
    append(journal, b"before")
    pwritev = os.pwritev

    def write_half(descriptor, parts, offset):
        pwritev(descriptor, [b"".join(parts)[:30]], offset)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwritev", write_half)
        with pytest.raises(DiskFullError, match="no room for a frame"):
            append(journal, b"refused")
    append(journal, b"after")
    journal.close()

    assert payloads_of(read_all(tmp_path)) == [b"before", b"after"]


def test_closing_twice_does_nothing(tmp_path):
    journal = Journal.open(tmp_path, SMALL)
    append(journal, b"payload")

    journal.close()
    journal.close()

    assert payloads_of(read_all(tmp_path)) == [b"payload"]


def test_a_sync_that_ends_after_a_failed_write_does_not_hide_the_failure(
    tmp_path, monkeypatch
):
    def sync(descriptor):
        os.fdatasync(descriptor)
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwritev", lambda *_: 3)
            with pytest.raises(JournalFailedError):
                append(journal, b"not written")

    journal = Journal.open(tmp_path, SMALL, sync=sync)
    append(journal, b"durable")
    journal.sync()
    journal.close()

    assert SyncedMark.open(tmp_path).read()[1] is True
    assert payloads_of(read_all(tmp_path)) == [b"durable"]


@pytest.mark.parametrize("removed", [1, 2], ids=["scanned", "not-scanned"])
def test_a_segment_that_the_reader_removes_during_recovery_is_not_missed(
    tmp_path, removed
):
    write_journal(tmp_path, [b"first"])
    write_journal(tmp_path, [b"second"])
    last = write_journal(tmp_path, [b"third"])[-1]

    def remove(_frame):
        segment_path(tmp_path, removed).unlink(missing_ok=True)

    journal = Journal.open(tmp_path, SMALL, on_frame=remove)
    end = append(journal, b"fourth")
    journal.close()

    assert end > last
    assert b"fourth" in payloads_of(read_all(tmp_path))
