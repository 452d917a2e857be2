"""What account does with idle time changes nothing that can be asked."""

import time
from datetime import UTC, datetime

import pytest
from agent_runs import Run
from otlp_requests import request
from workshop import Workshop, read_table

from collector.account.rebuild import rebuild
from collector.config import RetentionSettings, Settings
from collector.lake.objects import spans_of_hour

HOUR_NANO = 3_600 * 10**9
DAY_NANO = 24 * HOUR_NANO


def keep_house(shop):
    house = shop.account._house
    while house.once(datetime.now(UTC)):
        pass


def send_in_pieces(shop, run):
    """Let each span of *run* be an object of its own."""
    for span in run.spans():
        shop.send(request(span))
        shop.drain_all()
    shop.account_all()


def hour_of(run):
    return run.start_unix_nano // HOUR_NANO


def test_an_hour_that_is_over_becomes_few_objects_and_a_rebuild_gives_the_same(
    tmp_path,
):
    run = Run(time.time_ns() - 30 * HOUR_NANO, steps=12)
    with Workshop(tmp_path) as shop:
        send_in_pieces(shop, run)
        stored, published = shop.stored_spans(), shop.published()
        before = len(spans_of_hour(shop.target, hour_of(run)))

        keep_house(shop)

        after = spans_of_hour(shop.target, hour_of(run))
        rebuild(shop.settings)
        by_id = {row["span_id"]: row for row in stored}
        assert before == run.steps + 1
        # What came last may be written again by a drain that dies, so it stays.
        assert len(after) == 2
        assert {row["span_id"]: row for row in shop.stored_spans()} == by_id
        assert shop.published() == published


def test_an_hour_that_is_not_over_is_left_alone(tmp_path):
    run = Run(time.time_ns(), steps=12)
    with Workshop(tmp_path) as shop:
        send_in_pieces(shop, run)

        keep_house(shop)

        assert len(spans_of_hour(shop.target, hour_of(run))) == run.steps + 1


def test_late_spans_of_a_compacted_hour_complete_their_trace(tmp_path):
    run = Run(time.time_ns() - 30 * HOUR_NANO, steps=12, feature="refund")
    root, *chats = run.spans()
    with Workshop(tmp_path) as shop:
        window = shop.settings.account.model_copy(update={"window_hours": 1e-9})
        shop.settings = shop.settings.model_copy(update={"account": window})
        shop.reopen()
        for span in chats:
            shop.send(request(span))
            shop.drain_all()
        shop.account_all()
        shop.run(request(*Run(time.time_ns()).spans()))
        keep_house(shop)
        shop.account.tick()

        shop.run(request(root))

        calls = [c for c in shop.published()["calls"] if c["trace_id"] == run.trace_id]
        assert [call["feature"] for call in calls] == ["refund"] * 12
        assert shop.published()["excluded"] == []


def test_spans_are_deleted_after_their_days_and_the_ledger_stays(tmp_path):
    old = Run(time.time_ns() - 5 * DAY_NANO, steps=3)
    new = Run(time.time_ns() - DAY_NANO)
    retention = RetentionSettings(spans_days=3)
    with Workshop(tmp_path, retention=retention) as shop:
        shop.run(*(request(*run.spans()) for run in (old, new)))
        published = shop.published()

        keep_house(shop)

        rebuilt = rebuild(shop.settings)
        left = {row["trace_id"] for row in shop.stored_spans()}
        assert left == {new.trace_id}
        assert shop.published() == published
        assert rebuilt.kept_hours == 1


def test_the_ledger_and_its_rollups_are_deleted_after_theirs(tmp_path):
    old, new = (Run(time.time_ns() - days * DAY_NANO, steps=3) for days in (9, 1))
    retention = RetentionSettings(spans_days=2, ledger_days=4)
    with Workshop(tmp_path, retention=retention) as shop:
        shop.run(*(request(*run.spans()) for run in (old, new)))

        keep_house(shop)

        for name in ("calls", "runs", "chains", "rollups/trace"):
            found = read_table(shop.target, name)
            assert {row["trace_id"] for row in found} == {new.trace_id}, name
        days = {key.split("date=")[1][:10] for key in shop.target.keys("rollups")}
        assert len(days - {"1970-01-01"}) == 1


def test_without_a_number_nothing_is_deleted(tmp_path):
    old = Run(time.time_ns() - 900 * DAY_NANO, steps=3)
    with Workshop(tmp_path) as shop:
        shop.run(request(*old.spans()))

        keep_house(shop)

        assert len(shop.stored_spans()) == 4
        assert len(shop.published()["calls"]) == 3


@pytest.mark.parametrize(
    "retention", [{"ledger_days": 5}, {"ledger_days": 5, "spans_days": 6}]
)
def test_the_ledger_is_not_deleted_before_the_spans_it_could_be_made_of(retention):
    with pytest.raises(ValueError, match="ledger_days needs spans_days"):
        Settings(retention=retention)


def test_spans_are_kept_a_day_longer_than_the_window():
    with pytest.raises(ValueError, match="a day more than account"):
        Settings(retention={"spans_days": 3}, account={"window_hours": 72})
