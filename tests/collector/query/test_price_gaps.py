"""Which models are told to have no price, and which names are near."""

from datetime import UTC, datetime, timedelta

import pytest
from lake_builder import build_lake
from ledger_rows import calls
from priced_lake import book_with

from collector.query.price_gaps import nearest_names, price_gaps, waits_only
from collector.query.reports import find_report, run_report
from collector.query.views import Lake
from pricing import bundled_book

CALL_TIME = datetime(2026, 11, 19, 14, 20, tzinfo=UTC)
NOW = datetime(2026, 11, 20, tzinfo=UTC)
UNKNOWN = {"cost_status": "unpriced", "cost_reason": "unknown_model"}


WAITING = {"cost_status": "unpriced", "cost_reason": "gpu_hour_open"}
OWN_HOUR = '[[price]]\nkind = "gpu_hour"\nprovider = "vllm"\nusd_per_hour = 10\n'


def gap_table(tmp_path, *rows, book=None, at=NOW):
    lake = Lake(str(build_lake(tmp_path, calls=calls(list(rows)))))
    report = run_report(lake, find_report("unpriced"))
    return price_gaps(report.table, book or bundled_book(), at)


def gaps_of(tmp_path, *rows):
    return gap_table(tmp_path, *rows).to_pylist()


def test_a_misspelt_model_is_told_with_its_neighbours(tmp_path):
    (gap,) = gaps_of(
        tmp_path, {"provider": "openai", "response_model": "gpt-4o-minni", **UNKNOWN}
    )

    assert (gap["calls"], gap["priced_now"]) == (1, False)
    assert gap["nearest"].split(", ")[0] == "gpt-4o-mini"
    assert gap["todo"] == "price it in prices.overlay, then reprice"


def test_a_model_that_the_book_has_learnt_is_told_to_be_priced_now(tmp_path):
    (gap,) = gaps_of(
        tmp_path, {"provider": "openai", "response_model": "gpt-4o", **UNKNOWN}
    )

    assert gap["priced_now"]
    assert gap["todo"] == "spanledger reprice"


@pytest.mark.parametrize(
    ("at", "priced_now", "todo"),
    [
        (CALL_TIME, False, "spanledger reprice, when the hour is over"),
        (CALL_TIME + timedelta(hours=1), True, "spanledger reprice"),
    ],
)
def test_calls_that_wait_for_their_hour_are_told_with_what_to_do(
    tmp_path, at, priced_now, todo
):
    own = {"provider": "vllm", "response_model": "qwen3", "timestamp": CALL_TIME}
    book = book_with(tmp_path, OWN_HOUR)

    gaps = gap_table(tmp_path / "lake", {**own, **WAITING}, book=book, at=at)

    (gap,) = gaps.to_pylist()
    assert (gap["priced_now"], gap["todo"]) == (priced_now, todo)
    assert gap["nearest"] is None
    assert waits_only(gaps) is not priced_now


def test_calls_without_usage_are_no_matter_of_the_book(tmp_path):
    no_usage = {"cost_status": "unpriced", "cost_reason": "no_usage"}

    assert gaps_of(tmp_path, {"response_model": "gpt-4o", **no_usage}) == []


def test_names_of_the_seller_go_before_those_of_others():
    book = bundled_book()

    assert nearest_names(book, "anthropic", "claude-opus-55")[0].startswith(
        "claude-opus"
    )
    assert nearest_names(book, None, "some/claude-sonnet-4-5x")[0].count("/") >= 1
    assert nearest_names(book, "openai", None) == []
