import math
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rows import at, calls, connect, tool_calls

from rollups.engine import run_rollup
from rollups.registry import find_rollup

CALL_ROLLUPS = (
    "feature_hourly",
    "step_daily",
    "trace",
    "model_hourly",
    "user_daily",
    "agent_version_daily",
)


def rows(name, ledger, *, since=None, until=None):
    connection = connect(**ledger)
    found = run_rollup(
        connection, find_rollup(name), since or at(), until or at(hours=24)
    )
    return found.to_pylist()


def only(name, ledger):
    (row,) = rows(name, ledger)
    return row


dollars = st.decimals(0, 100_000, places=12)
call_rows = st.fixed_dictionaries(
    {
        "timestamp": st.integers(0, 47).map(lambda half: at(minutes=30 * half)),
        "trace_id": st.sampled_from(["a", "b", "c"]),
        "run_id": st.sampled_from(["r", "s"]),
        "feature": st.sampled_from([None, "refund", "search"]),
        "step": st.sampled_from([None, 0, 1]),
        "user_id": st.sampled_from([None, "ann"]),
        "agent_version": st.sampled_from([None, "1", "2"]),
        "provider": st.sampled_from([None, "openai", "anthropic"]),
        "error_type": st.sampled_from([None, "429"]),
        "input_tokens": st.none() | st.integers(0, 10**9),
        "cost_usd": st.none() | dollars,
        "duration_ms": st.floats(0, 1e6),
    }
)


@given(st.lists(call_rows, max_size=12))
@settings(max_examples=15, deadline=None)
def test_every_call_and_every_pico_dollar_is_in_each_rollup_once(given_rows):
    given_rows = [
        {**row, "cost_status": "unpriced" if row["cost_usd"] is None else "priced"}
        for row in given_rows
    ]
    connection = connect(calls=calls(given_rows))
    for name in CALL_ROLLUPS:
        found = run_rollup(
            connection, find_rollup(name), at(), at(hours=24)
        ).to_pylist()

        assert sum(row["calls"] for row in found) == len(given_rows)
        assert sum(row["cost_usd"] or 0 for row in found) == sum(
            row["cost_usd"] or 0 for row in given_rows
        )
        assert sum(row["input_tokens"] or 0 for row in found) == sum(
            row["input_tokens"] or 0 for row in given_rows
        )
        assert sum(row["unpriced_calls"] for row in found) == sum(
            row["cost_usd"] is None for row in given_rows
        )
        assert sum(
            count for row in found for _, count in row["latency_histogram"]
        ) == len(given_rows)


@pytest.mark.parametrize("name", CALL_ROLLUPS)
def test_windows_are_half_open(name):
    ledger = {
        "calls": calls(
            [
                {"timestamp": at(), "trace_id": "a"},
                {"timestamp": at(hours=1), "trace_id": "b"},
            ]
        )
    }

    first = rows(name, ledger, until=at(hours=1))
    second = rows(name, ledger, since=at(hours=1), until=at(hours=2))

    assert [row["calls"] for row in first] == [1]
    assert [row["calls"] for row in second] == [1]


def test_an_hour_starts_on_the_hour_in_utc():
    ledger = {"calls": calls([{"timestamp": at(hours=3, minutes=59, seconds=59)}])}

    assert only("feature_hourly", ledger)["window_start"] == at(hours=3)


def test_tokens_that_nobody_sent_stay_unknown():
    row = only("feature_hourly", {"calls": calls([{}])})

    assert row["input_tokens"] is None
    assert row["cost_usd"] is None
    assert row["coverage"] is None
    assert row["cache_savings_usd"] is None
    assert row["ttft_histogram"] == []


def test_coverage_is_the_share_of_tokens_with_a_price():
    ledger = {
        "calls": calls(
            [
                {"input_tokens": 200, "output_tokens": 100, "cost_usd": "1"},
                {"input_tokens": 100, "cost_status": "unpriced"},
            ]
        )
    }

    row = only("feature_hourly", ledger)

    assert row["coverage"] == 0.75
    assert row["unpriced_calls"] == 1


def test_cost_per_run_is_rounded_to_the_pico_dollar():
    ledger = {
        "calls": calls(
            [
                {"run_id": "r", "cost_usd": "0.000000000001"},
                {"run_id": "s", "cost_usd": "0.000000000001"},
                {"run_id": "t", "cost_usd": "0"},
            ]
        )
    }

    row = only("feature_hourly", ledger)

    assert row["runs"] == 3
    assert row["cost_per_run_usd"] == Decimal("0.000000000001")


def test_one_run_id_in_two_traces_is_two_runs():
    ledger = {"calls": calls([{"trace_id": "a"}, {"trace_id": "b"}])}

    assert only("feature_hourly", ledger)["runs"] == 2


def test_a_subscription_is_counted_apart():
    ledger = {
        "calls": calls(
            [
                {"cost_usd": "1.5"},
                {"cost_usd": "0.5", "cost_status": "subscription"},
            ]
        )
    }

    row = only("feature_hourly", ledger)

    assert row["cost_usd"] == Decimal(2)
    assert row["subscription_usd"] == Decimal("0.5")


@given(
    rate=st.integers(1, 10**9),
    read_rate=st.integers(0, 10**8),
    uncached=st.integers(1, 900_000),
    read=st.integers(0, 900_000),
)
@settings(max_examples=20, deadline=None)
def test_cache_savings_are_exact(rate, read_rate, uncached, read):
    pico = Decimal("0.000000000001")
    ledger = {
        "calls": calls(
            [
                {
                    "input_tokens": uncached + read,
                    "uncached_input_tokens": uncached,
                    "cache_read_tokens": read,
                    "input_cost_usd": rate * uncached * pico % 900_000,
                    "cache_read_cost_usd": read_rate * read * pico,
                }
            ]
        )
    }
    if rate * uncached * pico >= 900_000:
        return

    saved = only("feature_hourly", ledger)["cache_savings_usd"]

    assert saved == (rate - read_rate) * read * pico * (read > 0)


def test_cache_savings_without_a_rate_of_the_call_are_unknown():
    call = {"uncached_input_tokens": 0, "cache_read_tokens": 10}
    ledger = {"calls": calls([{**call, "cache_read_cost_usd": "0.1"}])}

    assert only("feature_hourly", ledger)["cache_savings_usd"] is None


def test_input_is_told_apart_by_whether_its_cache_counts_are_told():
    told = {"input_tokens": 1000, "cache_read_tokens": 800}
    ledger = {"calls": calls([told, told | {"cache_read_tokens": None}])}

    row = only("feature_hourly", ledger)

    assert (row["input_tokens"], row["cache_known_input_tokens"]) == (2000, 1000)


@given(st.floats(0.001, 1e9))
@settings(max_examples=30, deadline=None)
def test_a_duration_lies_inside_its_bucket(duration_ms):
    ledger = {"calls": calls([{"duration_ms": duration_ms}])}

    ((index, count),) = only("feature_hourly", ledger)["latency_histogram"]

    assert count == 1
    assert 2 ** (index / 8) < duration_ms * (1 + 1e-8)
    assert duration_ms <= 2 ** ((index + 1) / 8) * (1 + 1e-8)


def test_histograms_of_two_windows_add_up_to_that_of_both():
    durations = [10.0, 11.0, 500.0, 10.5, 500.0]
    hours = calls(
        [
            {"timestamp": at(hours=index % 2), "duration_ms": duration}
            for index, duration in enumerate(durations)
        ]
    )

    apart = rows("feature_hourly", {"calls": hours})
    together = only("user_daily", {"calls": hours})

    merged = Counter()
    for row in apart:
        merged.update(dict(row["latency_histogram"]))
    assert merged == dict(together["latency_histogram"])


def test_percentiles_are_those_of_the_calls():
    ledger = {"calls": calls([{"duration_ms": float(ms)} for ms in range(1, 101)])}

    row = only("feature_hourly", ledger)

    assert [row[f"latency_p{p}_ms"] for p in (50, 95, 99)] == [50.0, 95.0, 99.0]


def test_errors_are_counted_by_type():
    ledger = {"calls": calls([{"error_type": kind} for kind in ("429", "429", "500")])}

    row = only("feature_hourly", ledger)

    assert dict(row["errors"]) == {"429": 2, "500": 1}
    assert row["failed_calls"] == 3


def test_a_sampled_call_stands_for_those_left_out():
    ledger = {"calls": calls([{"cost_usd": "0.1", "sampling_weight": 8.0}])}

    row = only("feature_hourly", ledger)

    assert row["cost_usd"] == Decimal("0.1")
    assert row["weighted_cost_usd"] == Decimal("0.8")
    assert row["weighted_calls"] == 8


def conversation(*asked):
    return {
        "calls": calls(
            [
                {
                    "timestamp": at(seconds=index),
                    "provider": provider,
                    "request_model": model,
                    "error_type": error,
                }
                for index, (provider, model, error) in enumerate(asked)
            ]
        )
    }


def switches(ledger):
    return {
        row["provider"]: (row["failovers"], row["takeovers"])
        for row in rows("model_hourly", ledger)
    }


def test_a_failed_call_that_another_provider_answers_is_a_failover():
    ledger = conversation(("openai", "gpt", "429"), ("anthropic", "claude", None))

    assert switches(ledger) == {"openai": (1, 0), "anthropic": (0, 1)}


def test_a_retry_with_the_same_model_is_no_failover():
    ledger = conversation(("openai", "gpt", "429"), ("openai", "gpt", None))

    assert switches(ledger) == {"openai": (0, 0)}


def test_another_model_after_a_success_is_no_failover():
    ledger = conversation(
        ("openai", "gpt", None), ("anthropic", "claude", None), ("google", "g", "429")
    )

    assert set(switches(ledger).values()) == {(0, 0)}


def test_a_trace_stands_at_its_first_call_and_has_all_of_it():
    ledger = {
        "calls": calls(
            [
                {"timestamp": at(hours=23, minutes=59), "cost_usd": "1"},
                {"timestamp": at(hours=24), "cost_usd": "2", "feature": "refund"},
            ]
        )
    }

    first = rows("trace", ledger)
    second = rows("trace", ledger, since=at(hours=24), until=at(hours=48))

    assert [(row["cost_usd"], row["feature"]) for row in first] == [(3, "refund")]
    assert first[0]["duration_ms"] == 61_000
    assert second == []


def test_a_tool_costs_what_sending_its_results_costs_first_and_again():
    ledger = {
        "tool_calls": tool_calls(
            [
                {
                    "tool_name": "fetch",
                    "result_tokens": 100,
                    "carried_tokens": 300,
                    "carried_usd": Decimal("0.3"),
                    "first_sent_tokens": 100,
                    "first_sent_usd": Decimal("0.1"),
                },
                {"tool_name": "fetch", "result_tokens": 50, "error_type": "timeout"},
            ]
        )
    }

    row = only("tool_daily", ledger)

    assert (row["calls"], row["failed_calls"]) == (2, 1)
    assert (row["result_tokens"], row["carried_tokens"]) == (150, 300)
    assert row["input_tokens"] == 400
    assert (row["cost_usd"], row["carried_usd"]) == (Decimal("0.4"), Decimal("0.3"))
    assert (row["first_sent_tokens"], row["first_sent_usd"]) == (100, Decimal("0.1"))
    assert math.isclose(row["coverage"], 1.0)


@pytest.mark.parametrize(
    "name", ["feature_hourly", "step_daily", "agent_version_daily"]
)
def test_history_and_wasted_calls_are_told_by_feature_step_and_version(name):
    sent = {"cost_usd": "1", "resent_tokens": 30, "resent_usd": "0.5"}
    ledger = {
        "calls": calls(
            [
                sent,
                {**sent, "waste_reason": "loop"},
                {"waste_reason": "failed", "cost_status": "not_billed"},
                {"waste_reason": "failed", "cost_status": "unpriced"},
            ]
        )
    }

    row = only(name, ledger)

    assert (row["resent_tokens"], row["resent_usd"]) == (60, 1)
    assert row["wasted_usd"] == 1
