"""Putting objects together, cut short anywhere, shows every span once."""

import json
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow.parquet as pq
import pytest
from lake_builder import build_lake, spans

from collector.lake.compaction import (
    GRACE_SECONDS,
    REPLACES,
    compact,
    finish_compactions,
    plan_compaction,
    replaced_keys,
)
from collector.lake.local import LocalTarget
from collector.lake.objects import spans_of_hour
from collector.query.sql import run_sql
from collector.query.views import Lake

HOUR = datetime(2026, 11, 20, 10, tzinfo=UTC)
HOUR_NUMBER = int(HOUR.timestamp()) // 3600
OBJECTS = 12
NOW = HOUR.timestamp() + 7200


@pytest.fixture
def target(tmp_path):
    build_lake(tmp_path)
    target = LocalTarget(tmp_path)
    for number in range(OBJECTS):
        row = {
            "timestamp": HOUR + timedelta(seconds=number),
            "trace_id": f"{OBJECTS - number:032x}",
            "span_id": f"{number:016x}",
            "name": "chat",
        }
        key = f"spans/date=2026-11-20/hour=10/00-{number:08d}-0000000000.parquet"
        target.publish(key, spans([row]))
    return target


def plan(target):
    return plan_compaction(target, spans_of_hour(target, HOUR_NUMBER))


def seen_by_us(target):
    found = run_sql(Lake(target.url), "SELECT span_id FROM raw.spans")
    return sorted(found.column("span_id").to_pylist())


def seen_by_a_glob(target):
    query = f"SELECT span_id FROM '{target.url}/spans/**/*.parquet' ORDER BY ALL"
    with duckdb.connect() as connection:
        return [row[0] for row in connection.sql(query).fetchall()]


ALL = [f"{number:016x}" for number in range(OBJECTS)]


def test_many_objects_become_one_that_names_them_and_is_sorted_by_trace(target):
    planned = plan(target)

    rows = compact(target, planned, now_unix=NOW)

    assert rows == OBJECTS
    assert spans_of_hour(target, HOUR_NUMBER) == [planned.output]
    traces = target.read(planned.output).column("trace_id").to_pylist()
    assert traces == sorted(traces)
    metadata = pq.read_schema(target.root / planned.output).metadata
    assert len(json.loads(metadata[REPLACES])) == OBJECTS
    assert seen_by_us(target) == seen_by_a_glob(target) == ALL


def test_few_or_large_objects_are_left_alone(target, monkeypatch):
    keys = spans_of_hour(target, HOUR_NUMBER)

    assert plan_compaction(target, keys[:7]) is None
    with monkeypatch.context() as patch:
        patch.setattr("collector.lake.compaction.SMALL_ROWS", 1)
        assert plan_compaction(target, keys) is None
    one = target.footer(keys[0]).encoded_bytes
    monkeypatch.setattr("collector.lake.compaction.SMALL_BYTES", one)
    assert plan_compaction(target, keys) is None


def test_no_more_is_put_together_than_fits_into_memory(target, monkeypatch):
    keys = spans_of_hour(target, HOUR_NUMBER)
    some = sum(target.footer(key).encoded_bytes for key in keys[:10])

    monkeypatch.setattr("collector.lake.compaction._MAX_BYTES", some)

    assert plan(target).replaces == tuple(keys[:10])


class Cut(BaseException):
    """The process dies."""


class DyingTarget(LocalTarget):
    """Dies before its nth change of the lake."""

    def __init__(self, root, changes):
        super().__init__(root)
        self.changes = changes

    def change(self):
        self.changes -= 1
        if self.changes < 0:
            raise Cut

    def put(self, key, content):
        self.change()
        super().put(key, content)

    def publish_parts(self, key, schema, parts):
        self.change()
        super().publish_parts(key, schema, parts)

    def retire(self, key):
        self.change()
        super().retire(key)


@pytest.mark.parametrize("changes", range(OBJECTS + 3))
def test_a_compaction_cut_short_anywhere_shows_and_keeps_every_span_once(
    target, changes
):
    planned = plan(target)
    with pytest.raises(Cut):
        compact(DyingTarget(target.root, changes), planned, now_unix=NOW)
    between = seen_by_us(target)

    finish_compactions(target, now_unix=NOW)

    assert between == ALL
    assert seen_by_us(target) == seen_by_a_glob(target) == ALL
    assert replaced_keys(target) == set()


def test_inputs_are_kept_for_a_grace_and_then_deleted_with_their_record(target):
    compact(target, plan(target), now_unix=NOW)

    def kept():
        return len(list(target.root.glob("spans/**/.*.retired")))

    finish_compactions(target, now_unix=NOW + GRACE_SECONDS - 1)
    before = kept()
    finish_compactions(target, now_unix=NOW + GRACE_SECONDS)

    assert (before, kept()) == (OBJECTS, 0)
    assert target.keys("_meta/compactions") == []
    assert seen_by_us(target) == ALL
