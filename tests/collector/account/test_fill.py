"""What an account role that lost its working tables makes of the lake."""

import shutil
import time

import pytest
from agent_runs import Run
from otlp_requests import request
from workshop import Workshop

from collector.account.fill import fill

HOUR_NANO = 3_600 * 10**9


def lose_state(shop):
    shop.close()
    shutil.rmtree(shop.settings.state_dir / "account")
    shop.reopen()


def fill_again(shop):
    lose_state(shop)
    assert fill(shop.account, shop.settings, shop.target)


def index_all(shop):
    while shop.account.store.unindexed:
        shop.account.index_hour()


def forget_commits(shop):
    """Leave only the newest commit record, as years of ticks would."""
    *old, _ = shop.target.keys("_meta/commits")
    for key in old:
        shop.target.delete(key)


def send_hours_ago(shop, hours, **run):
    made = Run(time.time_ns() - hours * HOUR_NANO, **run)
    shop.run(request(*made.spans()))
    return made


def test_filling_changes_nothing_that_is_published(tmp_path):
    with Workshop(tmp_path, rollups=False, rules=False) as shop:
        for hours in (50, 30, 3, 1, 0):
            send_hours_ago(shop, hours)
        before = shop.published()
        forget_commits(shop)

        fill_again(shop)
        shop.account.finish()
        index_all(shop)
        shop.account.finish()

        assert shop.published() == before


def test_only_new_hours_and_those_of_commit_records_are_taken(tmp_path):
    with Workshop(tmp_path, rollups=False, rules=False) as shop:
        old, older = (send_hours_ago(shop, hours) for hours in (30, 50))
        send_hours_ago(shop, 40)
        new = send_hours_ago(shop, 0)
        forget_commits(shop)

        fill_again(shop)

        store = shop.account.store
        assert sum(segment.spans for segment in store.segments) == new.steps + 1
        assert {r.start_unix_nano // HOUR_NANO for r in (old, older)} < store.unindexed


@pytest.mark.parametrize("is_indexed", [True, False], ids=["indexed", "not yet"])
def test_late_spans_find_their_trace_in_hours_that_were_not_filled(
    tmp_path, is_indexed
):
    run = Run(time.time_ns() - 30 * HOUR_NANO, feature="refund")
    with Workshop(tmp_path, rollups=False, rules=False) as shop:
        shop.run(request(*run.chats()))
        send_hours_ago(shop, 0)
        forget_commits(shop)
        fill_again(shop)
        if is_indexed:
            index_all(shop)

        shop.run(request(run.root()))
        index_all(shop)
        shop.account.finish()

        calls = [c for c in shop.published()["calls"] if c["trace_id"] == run.trace_id]
        assert [call["feature"] for call in calls] == ["refund"] * run.steps
        assert shop.published()["excluded"] == []


def test_what_is_drained_but_not_taken_is_taken_once(tmp_path):
    run = Run(time.time_ns() - 30 * HOUR_NANO, feature="refund")
    with Workshop(tmp_path, rollups=False, rules=False) as shop:
        shop.run(request(*run.chats()[:4]))
        send_hours_ago(shop, 0)
        forget_commits(shop)
        fill_again(shop)
        index_all(shop)

        for one in (run.root(), *run.chats()[4:]):
            shop.send(request(one))
            shop.drain_all()
        while shop.account.tick(publish=False).more:
            pass
        shop.account.finish()

        calls = [c for c in shop.published()["calls"] if c["trace_id"] == run.trace_id]
        assert len(calls) == run.steps
        assert shop.published()["excluded"] == []


def test_files_that_a_power_cut_left_cut_off_do_no_harm(tmp_path, monkeypatch):
    with Workshop(tmp_path, rollups=False, rules=False) as shop:
        run = send_hours_ago(shop, 0)
        folder = shop.settings.state_dir / "account" / "evicted"
        folder.mkdir()
        (folder / "00000001.npy").write_bytes(b"")
        monkeypatch.setattr("collector.account.store.boot_id", lambda: "another")
        shop.reopen()

        assert fill(shop.account, shop.settings, shop.target)
        assert len(shop.published()["calls"]) == run.steps


def test_filling_that_was_given_up_begins_again(tmp_path):
    with Workshop(tmp_path, rollups=False, rules=False) as shop:
        run = send_hours_ago(shop, 0)
        lose_state(shop)

        given_up = fill(shop.account, shop.settings, shop.target, go_on=lambda _: False)
        shop.reopen()
        store = shop.account.store

        assert not given_up
        assert not store.segments
        assert not store.taken
        assert fill(shop.account, shop.settings, shop.target)
        assert len(shop.published()["calls"]) == run.steps


def test_a_damaged_object_is_set_aside_and_the_others_go_on(tmp_path):
    with Workshop(tmp_path, rollups=False, rules=False) as shop:
        old, new = send_hours_ago(shop, 30), send_hours_ago(shop, 0)
        more = Run(new.start_unix_nano)
        for key in shop.target.keys("spans"):
            if "empty" not in key:
                shop.target.put(key, b"PAR1 and no more")

        fill_again(shop)
        shop.run(request(old.root()), request(*more.spans()))

        assert more.steps <= len(shop.published()["calls"])


def test_an_hour_published_with_other_columns_gets_those_of_now(tmp_path):
    with Workshop(tmp_path, rollups=False, rules=False) as shop:
        send_hours_ago(shop, 30)
        send_hours_ago(shop, 0)
        forget_commits(shop)
        before = shop.published()["calls"]
        key = shop.target.keys("calls")[1]
        rows = shop.target.read(key)
        shop.target.publish(key, rows.drop_columns(["prompt_version"]))

        fill_again(shop)
        index_all(shop)
        shop.account.finish()

        assert shop.target.footer(key).schema.names == rows.schema.names
        assert shop.published()["calls"] == before
