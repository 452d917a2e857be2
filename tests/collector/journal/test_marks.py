import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import JournalCorruptError
from collector.journal.frame import Position
from collector.journal.marks import (
    START,
    Identity,
    SyncedMark,
    load_committed,
    store_committed,
)

positions = st.builds(Position, st.integers(0, 2**40), st.integers(0, 2**40))


def test_a_new_mark_stands_at_the_start(tmp_path):
    assert SyncedMark.open(tmp_path).read() == (START, False)


@given(st.lists(positions, min_size=1, max_size=5).map(sorted))
def test_another_mapping_reads_what_was_written_last(tmp_path_factory, written):
    directory = tmp_path_factory.mktemp("journal")
    writer, reader = SyncedMark.open(directory), SyncedMark.open(directory)

    for position in written:
        writer.write(position)
        assert reader.read() == (position, False)


@given(st.lists(positions, min_size=3, max_size=5, unique=True).map(sorted), st.data())
def test_a_writer_killed_half_way_through_leaves_the_place_before(
    tmp_path_factory, written, data
):
    directory = tmp_path_factory.mktemp("journal")
    mark = SyncedMark.open(directory)
    for position in written[:-1]:
        mark.write(position)
    before = (directory / "synced").read_bytes()
    mark.write(written[-1])
    after = (directory / "synced").read_bytes()
    changed = [n for n, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    cut = data.draw(st.sampled_from(changed))
    (directory / "synced").write_bytes(after[:cut] + before[cut:])

    assert SyncedMark.open(directory).read()[0] == written[-2]


def test_a_failure_is_told_until_it_is_reset(tmp_path):
    mark = SyncedMark.open(tmp_path)
    mark.write(Position(1, 10))
    mark.write(Position(1, 10), is_failed=True)
    assert SyncedMark.open(tmp_path).read() == (Position(1, 10), True)

    mark.reset(Position(1, 10))

    assert SyncedMark.open(tmp_path).read() == (Position(1, 10), False)


def test_those_who_make_an_identity_at_once_get_the_same(tmp_path):
    found = []
    start = threading.Barrier(8)

    def load():
        start.wait()
        found.append(Identity.load(tmp_path / "journal"))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"version": 2, "journal_id": "0123456789abcdef", "salt": "00"}',
        '{"version": 1, "journal_id": "../../escape", "salt": "00"}',
        '{"version": 1, "journal_id": "0123456789abcdef", "salt": "zz"}',
        '{"version": 1, "journal_id": 7, "salt": "00"}',
    ],
)
def test_an_identity_that_is_not_ours_is_refused(tmp_path, content):
    (tmp_path / "journal.json").write_text(content)

    with pytest.raises(JournalCorruptError, match=r"journal\.json"):
        Identity.load(tmp_path)


@given(positions)
def test_a_committed_place_is_read_back(tmp_path_factory, position):
    directory = tmp_path_factory.mktemp("journal")
    assert load_committed(directory) == START

    store_committed(directory, position)

    assert load_committed(directory) == position
