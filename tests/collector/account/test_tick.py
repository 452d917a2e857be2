"""What the account role promises: the same ledger however spans arrive."""

import random
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from agent_runs import CALL_NANO, Run
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rows import tool_calls
from otlp_requests import START_UNIX_NANO, request, span
from workshop import Workshop, read_table

from collector.account.rebuild import rebuild
from collector.account.store import Store
from collector.account.tick import open_store
from collector.lake.layout import Partition, part_key
from rollups.registry import ROLLUPS

HOUR_NANO = 3_600 * 10**9
DAY_NANO = 24 * HOUR_NANO


def run_requests(runs):
    return [request(one) for run in runs for one in (run.root(), *run.chats())]


def rollup_rows(target):
    return {r.name: read_table(target, f"rollups/{r.name}") for r in ROLLUPS}


@given(
    seed=st.integers(0, 2**32),
    cuts=st.lists(st.integers(1, 6), max_size=6),
    repeated=st.integers(0, 4),
)
@settings(max_examples=6, deadline=None)
def test_any_order_and_any_split_into_ticks_give_the_same_tables(seed, cuts, repeated):
    runs = [Run(START_UNIX_NANO, steps=4, number=n + 1) for n in range(3)]
    requests = run_requests(runs)
    with (
        tempfile.TemporaryDirectory() as folder,
        Workshop(Path(folder), rollups=False) as shop,
    ):
        shop.run(*requests)
        expected = shop.published()
    shuffled = [*requests, *requests[:repeated]]
    random.Random(seed).shuffle(shuffled)

    with (
        tempfile.TemporaryDirectory() as folder,
        Workshop(Path(folder), rollups=False) as shop,
    ):
        for cut in cuts:
            for one in shuffled[:cut]:
                shop.send(one)
            del shuffled[:cut]
            shop.drain_all()
            shop.account.tick(publish=False)
        shop.run(*shuffled)
        found = shop.published()

    assert found == expected
    assert len(found["calls"]) == 12


def test_a_root_that_ends_last_labels_calls_already_accounted(tmp_path):
    run = Run(START_UNIX_NANO, feature="refund")
    with Workshop(tmp_path, rollups=False) as shop:
        shop.run(request(*run.chats()))
        before = {row["feature"] for row in shop.published()["calls"]}

        shop.run(request(run.root()))

        after = {row["feature"] for row in shop.published()["calls"]}
    assert (before, after) == ({None}, {"refund"})


def test_sums_of_calls_runs_and_rollups_agree_with_what_was_sent(tmp_path):
    runs = [Run(START_UNIX_NANO), Run(START_UNIX_NANO, feature="search", steps=3)]
    with Workshop(tmp_path) as shop:
        shop.run(*run_requests(runs))
        tables = shop.published()
        rollups = rollup_rows(shop.target)

    expected = Decimal(sum(run.cost for run in runs)).scaleb(-12)
    assert sum(row["cost_usd"] for row in tables["calls"]) == expected
    assert sum(row["cost_usd"] for row in tables["runs"]) == expected
    for name in ("feature_hourly", "step_daily", "trace", "model_hourly"):
        assert sum(row["cost_usd"] for row in rollups[name]) == expected, name


def test_a_trace_over_midnight_is_one_row_on_the_day_it_began(tmp_path):
    midnight = START_UNIX_NANO // DAY_NANO * DAY_NANO
    run = Run(midnight - 3 * CALL_NANO, steps=8)
    with Workshop(tmp_path) as shop:
        requests = run_requests([run])
        shop.run(*requests[5:])
        shop.run(*requests[:5])
        rows = rollup_rows(shop.target)["trace"]

    assert [(row["calls"], row["trace_id"]) for row in rows] == [(8, run.trace_id)]


def test_a_restart_goes_on_where_the_last_commit_was(tmp_path):
    first, second = Run(START_UNIX_NANO), Run(START_UNIX_NANO)
    with Workshop(tmp_path, rollups=False) as shop:
        shop.run(*run_requests([first]))
        shop.reopen()
        shop.run(*run_requests([second]))

        assert len(shop.published()["calls"]) == first.steps + second.steps
        assert shop.account.tick().spans == 0


def test_a_tick_that_dies_before_its_commit_is_repeated(tmp_path, monkeypatch):
    run = Run(START_UNIX_NANO)
    with Workshop(tmp_path, rollups=False) as shop:
        shop.send(request(run.root(), *run.chats()))
        shop.drain_all()
        with monkeypatch.context() as patch:
            patch.setattr(Store, "commit", _die)
            try:
                shop.account.tick()
            except KeyboardInterrupt:
                shop.reopen()

        shop.account_all()

        assert len(shop.published()["calls"]) == run.steps


def _die(_store):
    raise KeyboardInterrupt


def test_a_trace_that_left_the_working_tables_gets_its_late_spans(tmp_path):
    run, other = Run(START_UNIX_NANO), Run(START_UNIX_NANO, feature="search")
    with Workshop(tmp_path, rollups=False) as shop:
        window = shop.settings.account.model_copy(update={"window_hours": 1e-9})
        shop.settings = shop.settings.model_copy(update={"account": window})
        shop.reopen()
        shop.run(request(*run.chats()), *run_requests([other]))
        shop.run(*run_requests([Run(START_UNIX_NANO, feature="third")]))
        shop.account.tick()
        assert len(open_store(shop.settings).segments) == 1

        shop.run(request(run.root()))

        features = [row["feature"] for row in shop.published()["calls"]]
    assert sorted(features) == ["refund"] * 8 + ["search"] * 8 + ["third"] * 8


def test_a_rebuild_gives_equal_tables_and_rollups(tmp_path):
    with Workshop(tmp_path) as shop:
        shop.run(*run_requests([Run(START_UNIX_NANO), Run(START_UNIX_NANO, steps=3)]))
        before = shop.published(), rollup_rows(shop.target)

        rebuild(shop.settings)

        assert (shop.published(), rollup_rows(shop.target)) == before


def test_a_rebuild_keeps_what_is_published_of_hours_whose_spans_are_gone(tmp_path):
    old, new = Run(START_UNIX_NANO), Run(START_UNIX_NANO + DAY_NANO, steps=3)
    with Workshop(tmp_path) as shop:
        shop.run(*run_requests([old, new]))
        before = shop.published(), rollup_rows(shop.target)
        delete_spans(shop.target, START_UNIX_NANO)

        rebuilt = rebuild(shop.settings)

        assert (shop.published(), rollup_rows(shop.target)) == before
    assert (rebuilt.spans, rebuilt.kept_hours) == (new.steps + 1, 1)


def test_what_comes_late_to_an_hour_whose_spans_are_gone_is_added(tmp_path):
    old, late = Run(START_UNIX_NANO), Run(START_UNIX_NANO, steps=3)
    with Workshop(tmp_path, rollups=False) as shop:
        shop.run(*run_requests([old]))
        delete_spans(shop.target, START_UNIX_NANO)
        rebuild(shop.settings)
        shop.reopen()

        shop.run(*run_requests([late]))
        after = shop.published()
        rebuild(shop.settings)

        assert len(after["calls"]) == old.steps + late.steps
        assert len(after["runs"]) == 2
        assert shop.published() == after


def test_a_partition_that_has_no_rows_any_more_becomes_empty(tmp_path):
    with Workshop(tmp_path, rollups=False) as shop:
        shop.run(*run_requests([Run(START_UNIX_NANO)]))
        key = part_key("tool_calls", Partition(START_UNIX_NANO // HOUR_NANO))
        shop.target.publish(key, tool_calls([{}]))

        rebuild(shop.settings)

        assert shop.published()["tool_calls"] == []


def delete_spans(target, unix_nano):
    folder = Partition(unix_nano // HOUR_NANO).folder
    for key in target.keys(f"spans/{folder}"):
        target.delete(key)


@pytest.mark.parametrize("synced", [False, True], ids=["cut", "clean"])
def test_a_state_of_another_boot_is_trusted_if_it_was_synced(
    tmp_path, monkeypatch, synced
):
    with Workshop(tmp_path, rollups=False) as shop:
        shop.run(*run_requests([Run(START_UNIX_NANO)]))
        shop.account.store.commit(sync=synced)

        monkeypatch.setattr("collector.account.store.boot_id", lambda: "another")

        assert bool(open_store(shop.settings).segments) == synced


def gateway_and_sdk(swap):
    usage = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.id": "chatcmpl-0123456789abcdef",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 10,
    }
    ours = request(span(1, trace=1, name="chat gpt-4o", attributes=usage))
    theirs = request(span(2, trace=2, name="proxy", attributes=usage), scope="gateway")
    return [theirs, ours] if swap else [ours, theirs]


@pytest.mark.parametrize("swap", [False, True], ids=["sdk first", "gateway first"])
def test_one_response_in_two_traces_is_one_call_whenever_they_arrive(tmp_path, swap):
    with Workshop(tmp_path, rollups=False) as shop:
        for one in gateway_and_sdk(swap):
            shop.run(one)
        tables = shop.published()
        rebuild(shop.settings)
        again = shop.published()

    assert len(tables["calls"]) == 1
    assert [row["reason"] for row in tables["excluded"]] == ["duplicate_response"]
    assert tables == again


def test_a_growing_run_is_a_finding_with_what_it_wasted(tmp_path):
    with Workshop(tmp_path, rollups=False) as shop:
        shop.run(*run_requests([Run(START_UNIX_NANO, steps=12)]))

        findings = shop.published()["findings"]

    assert [row["rule"] for row in findings] == ["context_growth"]
    assert findings[0]["value"] > 1.9
