"""What was recorded stays: a new price book changes no cost that a call has."""

import time

from agent_runs import Run
from otlp_requests import START_UNIX_NANO, request
from priced_lake import HALF_PRICE, book_with
from workshop import Workshop

from collector.account.rebuild import rebuild
from collector.query.times import ALWAYS
from collector.repricing.reprice import reprice
from pricing import bundled_book
from rollups.schema import COST_COLUMNS

RECORDED = ("trace_id", "span_id", *COST_COLUMNS)


def recorded(shop):
    return [{name: row[name] for name in RECORDED} for row in shop.published()["calls"]]


def test_neither_a_recomputed_trace_nor_a_rebuild_after_a_new_book_changes_a_cost(
    tmp_path,
):
    run, later = Run(START_UNIX_NANO, steps=3), Run(START_UNIX_NANO, steps=2)
    with Workshop(tmp_path) as shop:
        shop.run(request(*run.chats()))
        before = recorded(shop)
        half = book_with(tmp_path, HALF_PRICE)
        shop.books.adopt(half, since_unix_nano=time.time_ns())

        shop.run(request(run.root()), request(later.root(), *later.chats()))

        calls = shop.published()["calls"]
        assert {row["feature"] for row in calls} == {"refund"}
        told = recorded(shop)
        assert [row for row in told if row["trace_id"] == run.trace_id] == before
        assert {
            row["price_version"] for row in told if row["trace_id"] == later.trace_id
        } == {half.version}

        shop.close()
        rebuild(shop.settings)

        assert recorded(shop) == told


def test_what_the_service_recorded_is_what_its_book_says_again(tmp_path):
    run = Run(START_UNIX_NANO, steps=3)
    with Workshop(tmp_path) as shop:
        shop.run(request(run.root(), *run.chats()))

        done = reprice(shop.settings, ALWAYS, bundled_book())

    assert (done.totals["calls"], done.totals["restated_calls"]) == (3, 0)
