"""What every kind of lake promises."""

import itertools
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from pyarrow import fs
from s3_server import bucket_url, s3_server

from collector.errors import ConfigError, LakeError
from collector.lake.layout import Partition, by_partition, etag_of
from collector.lake.local import LocalTarget
from collector.lake.object_store import ObjectStoreTarget
from collector.lake.target import Target, open_target

TABLE = pa.table({"n": [1, 2, 3]})
NUMBERS = itertools.count()
KEY = "calls/date=2026-11-22/hour=05/part.parquet"


def bucket(folder) -> Target:
    return ObjectStoreTarget(
        "mem://bucket", fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem())
    )


@pytest.fixture(scope="module")
def s3_address(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3") / "log") as address:
        yield address


def open_bucket(address) -> Target:
    target = open_target(bucket_url(address, f"lake-{next(NUMBERS)}"))
    # The first write makes the bucket, as the first start of a service does.
    target.put("_meta/first", b"")
    return target


@pytest.fixture(params=["directory", "file system", "s3"])
def target(request, tmp_path) -> Target:
    match request.param:
        case "directory":
            return LocalTarget(tmp_path)
        case "file system":
            return bucket(tmp_path)
        case _:
            return open_bucket(request.getfixturevalue("s3_address"))


def test_what_is_published_is_read_back(target):
    target.publish(KEY, TABLE)

    assert target.read(KEY).equals(TABLE)
    assert target.keys("calls") == [KEY]


def test_publishing_again_replaces(target):
    first = target.publish(KEY, TABLE)
    second = target.publish(KEY, TABLE.slice(1))

    assert target.read(KEY).num_rows == 2
    assert target.keys("calls") == [KEY]
    assert first != second


def test_publishing_the_same_twice_changes_nothing(target):
    assert target.publish(KEY, TABLE) == target.publish(KEY, TABLE)


def test_a_missing_key_is_null_empty_or_a_clear_error(target):
    assert target.get("_meta/none") is None
    assert target.keys("nothing") == []
    target.delete("nothing/at/all")
    with pytest.raises(LakeError, match="none.parquet"):
        target.read("none.parquet")


def test_a_damaged_object_is_a_clear_error(target):
    target.put(KEY, b"PAR1 but not really")

    with pytest.raises(LakeError, match="part.parquet"):
        target.read(KEY)


def test_deleted_keys_are_gone(target):
    target.put("_meta/a", b"1")

    target.delete("_meta/a")

    assert target.get("_meta/a") is None


def test_a_footer_says_rows_and_columns_without_the_rows(target):
    target.publish(KEY, TABLE)

    assert target.footer(KEY).rows == 3
    assert target.footer(KEY).encoded_bytes > 0
    assert target.footer(KEY).schema.names == ["n"]
    with pytest.raises(LakeError):
        target.footer("calls/missing.parquet")


def test_parts_are_one_object_that_is_read_part_by_part(target):
    target.publish_parts(KEY, TABLE.schema, iter([TABLE, TABLE]))

    assert [part.to_pydict() for part in target.read_parts(KEY)] == [
        TABLE.to_pydict()
    ] * 2
    assert target.footer(KEY).rows == 6


def test_what_is_retired_is_seen_no_more_and_purged_for_good(target):
    target.publish(KEY, TABLE)

    target.retire(KEY)
    target.retire(KEY)

    assert (target.has(KEY), target.keys("calls")) == (False, [])
    target.purge(KEY)
    target.purge(KEY)


def test_a_key_is_there_once_it_is_put(target):
    before = target.has(KEY)
    target.put(KEY, b"")

    assert (before, target.has(KEY), target.has("calls")) == (False, True, False)


def test_a_failed_write_leaves_the_old_object(tmp_path, monkeypatch):
    target = LocalTarget(tmp_path)
    target.publish(KEY, TABLE)

    def fail(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("collector.files.os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        target.publish(KEY, TABLE.slice(1))

    assert target.read(KEY).equals(TABLE)
    assert target.keys("") == [KEY]


def test_an_unknown_scheme_is_refused():
    with pytest.raises(ConfigError, match="unknown scheme ftp"):
        open_target("ftp://somewhere/lake")


def test_rows_go_to_the_hour_of_their_timestamp():
    border = datetime(2026, 11, 22, 6, tzinfo=UTC)
    before = datetime(2026, 11, 22, 5, 59, 59, 999999, tzinfo=UTC)
    rows = pa.table(
        {"timestamp": pa.array([border, before], pa.timestamp("us", "UTC"))}
    )

    parts = by_partition(rows)

    assert {p.folder: t.num_rows for p, t in parts.items()} == {
        "date=2026-11-22/hour=05": 1,
        "date=2026-11-22/hour=06": 1,
    }


@pytest.mark.parametrize("hour", [0, 1, 23, 494_000, 2_559_000])
def test_partition_folders_are_read_back(hour):
    assert Partition.parse(f"calls/{Partition(hour).folder}") == Partition(hour)


def test_etags_tell_contents_apart():
    assert etag_of(b"a") != etag_of(b"b")
