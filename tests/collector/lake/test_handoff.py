"""What the handoff promises: a shortcut that never changes what account sees."""

import pyarrow as pa
import pytest
from agent_runs import Run
from hypothesis import given, settings
from otlp_requests import START_UNIX_NANO, payloads, request, span
from structlog.testing import capture_logs
from workshop import Workshop

from collector.account.ledger import read_spans
from collector.drain import price_spans
from collector.lake.books import Books
from collector.lake.handoff import Handoff
from collector.lake.local import LocalTarget
from pricing import bundled_book
from proto_handlers.content import ContentPolicy
from proto_handlers.otlp_traces import decode_traces
from proto_handlers.schema import normalised_schema

KEY = "spans/date=2026-11-22/hour=10/j-1.parquet"
ONE_DIMENSION = {"team": ("app.team",)}


def waiting(shop):
    return sorted(shop.settings.handoff_dir.glob("*"))


def some_spans(count=1):
    return pa.Table.from_pylist(
        [{"trace_id": f"{place:032x}"} for place in range(count)],
        schema=pa.schema([pa.field("trace_id", pa.string())]),
    )


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return LocalTarget(tmp_path_factory.mktemp("lake"))


@given(payloads)
@settings(max_examples=60, deadline=None)
def test_what_waits_is_what_reading_the_object_gives(lake, payload):
    books = Books(lake)
    books.adopt(bundled_book(), since_unix_nano=0)
    decoded = decode_traces([payload], ContentPolicy())
    priced = price_spans(decoded.spans, books, ONE_DIMENSION)
    handoff = Handoff(lake.root / "handoff", ONE_DIMENSION)
    lake.publish(KEY, priced.spans)

    handoff.offer(KEY, priced.normalised)

    read = read_spans(lake, [KEY], ONE_DIMENSION)
    taken = handoff.take(KEY)
    assert taken.schema == read.schema
    # As text, so that a NaN equals a NaN.
    assert repr(taken.to_pylist()) == repr(read.to_pylist())


def test_account_publishes_the_same_with_and_without_it(tmp_path):
    runs = [Run(START_UNIX_NANO + place, steps=3 + place) for place in range(3)]
    published = []
    for name in ("with", "without"):
        with Workshop(tmp_path / name) as shop:
            assert shop.account.status()["segments"] == 0
            for run in runs:
                shop.send(request(*run.spans()), received_unix_nano=START_UNIX_NANO)
            shop.drain_all()
            assert waiting(shop)
            if name == "without":
                for path in waiting(shop):
                    path.unlink()
            shop.account_all()
            published.append(shop.published())

    assert published[0] == published[1]


def test_what_was_taken_waits_no_more(tmp_path):
    with Workshop(tmp_path) as shop:
        shop.account.tick()
        shop.send(request(span(1)))
        shop.drain_all()
        assert len(waiting(shop)) == 1

        shop.account.tick()

        assert waiting(shop) == []


def test_an_account_that_starts_reads_the_lake(tmp_path):
    with Workshop(tmp_path) as shop:
        shop.send(request(span(1)))
        shop.drain_all()

        assert shop.account.status()["segments"] == 0
        assert waiting(shop) == []


def test_rows_of_other_dimensions_do_not_fit(tmp_path):
    Handoff(tmp_path, {}).offer(KEY, some_spans())

    assert Handoff(tmp_path, ONE_DIMENSION).take(KEY) is None
    assert Handoff(tmp_path, {}).take(KEY) is not None


def test_columns_that_are_all_null_come_back(tmp_path):
    handoff = Handoff(tmp_path, ONE_DIMENSION)

    handoff.offer(KEY, some_spans())

    taken = handoff.take(KEY)
    assert taken.schema == normalised_schema(("team",))
    assert taken.column("own_team").null_count == 1


@pytest.mark.parametrize("left", [0, 10, 400], ids=["nothing", "a head", "no footer"])
def test_a_torn_file_is_no_file(tmp_path, left):
    handoff = Handoff(tmp_path, {})
    handoff.offer(KEY, some_spans(100))
    (path,) = tmp_path.glob("*")
    path.write_bytes(path.read_bytes()[:left])

    assert handoff.take(KEY) is None


def test_no_more_than_a_few_files_wait(tmp_path):
    handoff = Handoff(tmp_path, {})
    for place in range(100):
        handoff.offer(f"{KEY}{place}", some_spans())

    assert 10 < len(list(tmp_path.glob("*"))) < 40


def test_a_folder_that_cannot_be_written_costs_a_warning_only(tmp_path):
    (tmp_path / "file").write_text("")

    with capture_logs() as logs:
        Handoff(tmp_path / "file", {}).offer(KEY, some_spans())

    assert [entry["event"] for entry in logs] == ["handoff_failed"]
