"""What caching would have saved, at the price book of each call."""

from decimal import Decimal
from pathlib import Path

import pytest
from ledger_rows import at
from priced_lake import HALF_PRICE, book_with, priced_lake

from collector.query.reports import find_report, run_report
from collector.query.views import Lake
from pricing import bundled_book

MICRO = Decimal("0.000001")
CLAUDE = {
    "provider": "anthropic",
    "request_model": "claude-sonnet-4-5",
    "response_model": "claude-sonnet-4-5",
    "cache_unknown": False,
    "output_tokens": 0,
    "price_version": bundled_book().version,
}
"""$3 a million plain, $0.30 read from the cache, $3.75 written to it."""


def conversation(**also):
    """Return two calls: a prompt of 2000 tokens, then 1000 more and 500 of history."""
    first = {**CLAUDE, "input_tokens": 2000, "new_tokens": 2000, "resent_tokens": 0}
    second = {
        **first,
        "timestamp": at(minutes=1),
        "input_tokens": 3500,
        "new_tokens": 1000,
        "resent_tokens": 500,
    }
    return [{**first, **also}, {**second, **also}]


def saved(folder, rows):
    settings = priced_lake(folder, rows)
    report = run_report(Lake.of(settings), find_report("savings"))
    return {row["action"]: row for row in report.table.to_pylist()}


def test_a_first_prompt_is_written_once_and_then_read(tmp_path):
    row = saved(tmp_path, conversation())["cache the first prompt"]

    written, read = 2000 * Decimal("0.75"), 2000 * Decimal("2.7")
    assert row["saved_usd"] == (read - written) * MICRO
    assert (row["saved_tokens"], row["times"], row["coverage"]) == (2000, 1, 1)


def test_history_is_read_as_far_as_the_call_before_sent_it(tmp_path):
    row = saved(tmp_path, conversation())["cache all history"]

    written, read = 2000 * Decimal("0.75"), 2500 * Decimal("2.7")
    assert row["saved_usd"] == (read - written) * MICRO
    assert row["saved_tokens"] == 2500


def test_a_provider_that_caches_by_itself_takes_nothing_for_writing(tmp_path):
    openai = {
        "provider": "openai",
        "request_model": "gpt-4o",
        "response_model": "gpt-4o",
    }

    row = saved(tmp_path, conversation(**openai))["cache the first prompt"]

    assert row["saved_usd"] == 2000 * Decimal("1.25") * MICRO


@pytest.mark.parametrize(
    "also",
    [
        {"cache_read_tokens": 3500},
        {"input_tokens": 1000, "new_tokens": 1000},
    ],
    ids=["cached", "short"],
)
def test_what_is_cached_or_too_short_is_left_alone(tmp_path, also):
    _, second = conversation()
    calls = [{**second, **also, "timestamp": at()}, {**second, **also}]

    assert "cache the first prompt" not in saved(tmp_path, calls)


def test_a_prompt_that_comes_too_late_is_not_found_in_the_cache(tmp_path):
    first, second = conversation()

    assert saved(tmp_path, [first, {**second, "timestamp": at(minutes=6)}]) == {}


def test_savings_are_unknown_where_the_library_hides_the_cache(tmp_path):
    row = saved(tmp_path, conversation(cache_unknown=True))["cache the first prompt"]

    assert (row["saved_usd"], row["unpriced"]) == (None, 2)


def test_savings_are_unknown_where_the_book_is_not_known(tmp_path):
    halved = book_with(tmp_path, HALF_PRICE)
    settings = priced_lake(tmp_path, conversation(), halved)
    for kept in (Path(settings.lake_url) / "_meta" / "books").iterdir():
        kept.unlink()

    report = run_report(Lake.of(settings), find_report("savings"))

    assert set(report.table["saved_usd"].to_pylist()) == {None}
