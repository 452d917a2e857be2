"""Restatements: what changes, what does not, and what counts when."""

import json
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rows import at
from priced_lake import CALL, HALF_PRICE, book_with, priced, priced_lake

from collector.cli import main
from collector.errors import LockedError
from collector.files import locked
from collector.lake.layout import Partition, by_partition, encode_parquet, part_key
from collector.lake.local import LocalTarget
from collector.lake.restatements import list_restatements
from collector.query.sql import run_sql
from collector.query.times import ALWAYS, Period
from collector.query.views import Lake
from collector.repricing.reprice import reprice
from collector.repricing.stored import differ
from pricing import bundled_book, price_calls
from rollups.schema import COST_COLUMNS

PARTS = [name for name in COST_COLUMNS if name.endswith("_cost_usd")]
LATER = datetime(2027, 1, 1, tzinfo=UTC)

counts = st.one_of(st.none(), st.integers(-1, 5_000), st.just(2 * 10**15))
facts = st.fixed_dictionaries(
    {
        "timestamp": st.sampled_from(
            [at(), at(hours=3), datetime(2025, 5, 1, tzinfo=UTC)]
        ),
        "provider": st.sampled_from(["openai", "anthropic", "aws.bedrock", "me", None]),
        "request_model": st.sampled_from(["gpt-4o", "claude-sonnet-4-5", "o3", None]),
        "response_model": st.sampled_from(
            ["gpt-4o-2024-08-06", "claude-opus-4-6", None]
        ),
        "input_tokens": counts,
        "cache_read_tokens": counts,
        "cache_write_tokens": counts,
        "cache_write_1h_tokens": counts,
        "output_tokens": counts,
        "reasoning_tokens": counts,
        "input_audio_tokens": counts,
        "cache_read_audio_tokens": counts,
        "web_search_requests": counts,
        "usage_convention": st.sampled_from(["inclusive", "exclusive", None]),
        "operation": st.sampled_from(["chat", "embeddings"]),
        "service_tier": st.sampled_from(["flex", "priority", None]),
        "processing": st.sampled_from(["batch", None]),
        "speed": st.sampled_from(["fast", None]),
        "deployment": st.sampled_from(["data-zone", "provisioned", None]),
        "region": st.sampled_from(["eu-west-1", "us-gov-west-1", None]),
        "cache_unknown": st.booleans(),
        "usage_incomplete": st.booleans(),
        "error_type": st.sampled_from(["timeout", None]),
        "reported_cost_usd": st.sampled_from(["0.25", "0", None]),
    }
)


def ask(settings, statement, **more):
    return run_sql(Lake.of(settings), statement, **more).to_pylist()


@given(st.lists(facts, min_size=1, max_size=12))
@settings(max_examples=20, deadline=None)
def test_a_stored_call_priced_again_by_its_book_costs_what_is_recorded(rows):
    with tempfile.TemporaryDirectory() as folder:
        stored = priced_lake(Path(folder), rows)

        done = reprice(stored, ALWAYS, bundled_book())

        assert done.totals["calls"] == len(rows)
        assert done.totals["restated_calls"] == 0
        assert not done.is_kept
        assert not list_restatements(LocalTarget(Path(stored.lake_url)))


@pytest.fixture
def stored(tmp_path):
    rows = [{"timestamp": at(hours=hour)} for hour in (0, 0, 1, 48)]
    return priced_lake(tmp_path, [*rows, {"request_model": "x", "response_model": "x"}])


@pytest.fixture
def half(tmp_path):
    return book_with(tmp_path, HALF_PRICE)


def test_a_restatement_stands_beside_what_is_recorded(stored, half):
    before = [path.read_bytes() for path in parts(stored)]

    done = reprice(stored, ALWAYS, half, now=LATER)

    assert [path.read_bytes() for path in parts(stored)] == before
    rows = ask(stored, "SELECT * FROM calls_restated WHERE cost_usd IS NOT NULL")
    assert [row["cost_usd"] for row in rows] == 4 * [Decimal("0.00175")]
    assert all(sum(row[name] for name in PARTS) == row["cost_usd"] for row in rows)
    assert {row["price_version"] for row in rows} == {half.version}
    assert {row["restated_at"] for row in rows} == {LATER}
    assert done.totals == {
        "calls": 5,
        "restated_calls": 4,
        "unchanged_calls": 1,
        "cost_usd": "0.014000000000",
        "restated_usd": "0.007000000000",
        "difference_usd": "-0.007000000000",
        "unpriced_calls": 1,
        "restated_unpriced_calls": 1,
    }


def parts(settings):
    return sorted(Path(settings.lake_url).glob("calls/**/*.parquet"))


def test_the_difference_is_told_by_model_and_feature(stored, half):
    (row,) = reprice(stored, ALWAYS, half).differences.to_pylist()

    assert (row["provider"], row["model"], row["feature"]) == (
        "openai",
        "gpt-4o",
        "refund",
    )
    assert (row["calls"], row["changed_calls"]) == (4, 4)
    assert row["difference_usd"] == Decimal("-0.007")


def test_a_dry_run_writes_nothing(stored, half):
    before = sorted(Path(stored.data_dir).rglob("*"))

    done = reprice(stored, ALWAYS, half, dry_run=True)

    assert done.totals["restated_calls"] == 4
    assert not done.is_kept
    assert sorted(Path(stored.data_dir).rglob("*")) == before


def test_what_a_repricing_that_died_has_left_never_counts(stored, half, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("collector.repricing.reprice.commit_restatement", _die)
        with pytest.raises(KeyboardInterrupt):
            reprice(stored, ALWAYS, half)
    left = files(stored)
    assert len(left) == 3

    assert not ask(stored, "SELECT * FROM restatements")
    assert not ask(stored, "SELECT * FROM calls_restated WHERE restated_at IS NOT NULL")

    done = reprice(stored, ALWAYS, half)

    assert done.totals["restated_calls"] == 4
    assert len(files(stored)) == 3
    assert not set(files(stored)) & set(left)


def _die(*_):
    raise KeyboardInterrupt


def files(settings):
    found = Path(settings.lake_url).glob("restatements/**/*.parquet")
    return sorted(path for path in found if path.name != "empty.parquet")


def test_a_book_is_restated_by_once(stored, half):
    reprice(stored, ALWAYS, half, now=LATER)

    again = reprice(stored, ALWAYS, half, now=LATER + timedelta(hours=1))

    assert again.totals["restated_calls"] == 0
    assert not again.is_kept


def test_the_newest_restatement_counts_and_the_first_book_may_come_back(stored, half):
    reprice(stored, ALWAYS, half, now=LATER)

    back = reprice(stored, ALWAYS, bundled_book(), now=LATER + timedelta(hours=1))

    assert back.totals["restated_calls"] == 4
    assert back.totals["cost_usd"] == "0.007000000000"
    found = ask(
        stored,
        f"SELECT {', '.join(COST_COLUMNS)} FROM calls_restated ORDER BY span_id",
    )
    assert found == ask(
        stored, f"SELECT {', '.join(COST_COLUMNS)} FROM calls ORDER BY span_id"
    )


def test_a_restatement_of_a_cost_that_is_not_recorded_any_more_does_not_count(
    stored, half
):
    reprice(stored, ALWAYS, half, now=LATER)
    more = priced([{"timestamp": at(hours=48), "input_tokens": 2000}], bundled_book())
    more = more.set_column(2, "span_id", [["3".zfill(16)]])
    target = LocalTarget(Path(stored.lake_url))
    ((partition, rows),) = by_partition(more).items()
    target.publish(part_key("calls", partition), rows)

    statement = "SELECT cost_usd FROM calls_restated WHERE input_tokens = 2000"
    assert ask(stored, statement) == [{"cost_usd": Decimal("0.006")}]

    done = reprice(stored, ALWAYS, half, now=LATER + timedelta(hours=1))

    assert done.totals["restated_calls"] == 1
    assert ask(stored, statement) == [{"cost_usd": Decimal("0.003")}]


@pytest.mark.parametrize(
    ("since", "until", "changed"),
    [
        (at(hours=1), at(hours=48), 1),
        (at(hours=1), None, 2),
        (None, at(hours=1), 2),
        (at(minutes=1), at(minutes=2), 0),
    ],
)
def test_only_calls_that_start_in_the_time_are_restated(
    stored, half, since, until, changed
):
    done = reprice(stored, Period(since, until), half)

    assert done.totals["restated_calls"] == changed


def test_a_time_within_an_hour_has_its_start_and_not_its_end(tmp_path, half):
    rows = [{"timestamp": at(minutes=minute)} for minute in (10, 20, 30)]
    stored = priced_lake(tmp_path, rows)

    done = reprice(stored, Period(at(minutes=10), at(minutes=30)), half)

    assert (done.totals["calls"], done.totals["restated_calls"]) == (2, 2)


def test_null_differs_from_everything_but_null():
    one = pa.chunked_array([["a", "a", None, None]])
    other = pa.chunked_array([["a", "b", "a", None]])

    assert differ(one, other).tolist() == [False, True, True, False]
    assert differ(other, one).tolist() == [False, True, True, False]


def test_an_hour_that_lacks_facts_or_is_damaged_is_set_aside_and_the_rest_goes_on(
    stored, half
):
    lake = Path(stored.lake_url)
    first, second, *_ = [path for path in parts(stored) if "1970" not in str(path)]
    old = LocalTarget(lake).read(str(first.relative_to(lake)))
    first.write_bytes(encode_parquet(old.drop_columns(["service_tier"])))
    second.write_bytes(b"nothing")

    done = reprice(stored, ALWAYS, half)

    assert done.totals["restated_calls"] == 1
    assert [one.key for one in done.set_aside] == [
        str(path.relative_to(lake)) for path in (first, second)
    ]
    assert "service_tier" in done.set_aside[0].reason


def test_two_repricings_at_once_are_refused(stored, half):
    with locked(stored.data_dir, "reprice"), pytest.raises(LockedError):
        reprice(stored, ALWAYS, half)


def test_the_book_of_a_restatement_is_kept_and_not_in_force(stored, half):
    reprice(stored, ALWAYS, half)

    kept = Path(stored.lake_url) / "_meta" / "books" / half.version
    assert kept.read_bytes() == half.artefact()
    assert price_calls(priced([CALL], half), half)["price_version"][0].as_py()
    timeline = (kept.parent / "timeline.json").read_text()
    assert half.version not in timeline


def test_the_command_tells_the_difference_and_by_which_book(
    stored, half, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("SPANLEDGER_DATA_DIR", str(stored.data_dir))
    book = tmp_path / "book"
    book.write_bytes(half.artefact())

    assert main(["reprice", "--book", str(book), "--dry-run"]) == 0
    assert "dry run" in capsys.readouterr().out
    assert main(["reprice", "--overlay", str(tmp_path / "overlay.toml")]) == 0
    said = capsys.readouterr().out
    assert half.version in said
    assert "difference $-0.007000000000" in said
    assert main(["reprice", "--book", half.version]) == 0
    assert "nothing to restate" in capsys.readouterr().out
    assert main(["reprice", "--book", "nowhere"]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_an_empty_lake_has_nothing_to_restate(tmp_path, half):
    done = reprice(priced_lake(tmp_path, []), ALWAYS, half)

    assert done.totals["calls"] == 0
    assert not done.is_kept


def test_partitions_are_those_of_the_calls(stored, half):
    reprice(stored, ALWAYS, half)

    lake = Path(stored.lake_url)
    folders = {str(path.parent.relative_to(lake)) for path in files(stored)}
    assert folders == {
        f"restatements/{Partition(int(at(hours=hour).timestamp()) // 3600).folder}"
        for hour in (0, 1, 48)
    }


OWN_HOUR = '[[price]]\nkind = "gpu_hour"\nprovider = "vllm"\nusd_per_hour = 10\n'


@pytest.fixture
def served(tmp_path):
    own = {"provider": "vllm", "request_model": "qwen3", "response_model": "qwen3"}
    rows = [{**own, "timestamp": at(minutes=minute)} for minute in (0, 20, 40)]
    book = book_with(tmp_path, OWN_HOUR)
    return priced_lake(tmp_path, [*rows, {**own, "timestamp": at(hours=1)}, {}], book)


SHARES = """
SELECT cost_usd FROM calls_restated WHERE provider = 'vllm' ORDER BY timestamp
"""


def test_hours_of_machines_are_shared_once_they_are_over(served, tmp_path):
    assert {row["cost_usd"] for row in ask(served, SHARES)} == {None}
    book = book_with(tmp_path, OWN_HOUR)

    early = reprice(served, ALWAYS, book, now=at(hours=1))
    first = [row["cost_usd"] for row in ask(served, SHARES)]
    late = reprice(served, ALWAYS, book, now=LATER)
    again = reprice(served, ALWAYS, book, now=LATER)

    assert early.totals["restated_calls"] == 3
    assert (sum(first[:3]), first[3]) == (Decimal(10), None)
    assert [done.totals["restated_calls"] for done in (late, again)] == [1, 0]
    costs = [row["cost_usd"] for row in ask(served, SHARES)]
    assert costs == [*first[:3], Decimal(10)]


def test_a_part_of_an_hour_has_its_part_of_the_share(served, tmp_path):
    period = Period(at(minutes=10), at(minutes=50))

    reprice(served, period, book_with(tmp_path, OWN_HOUR), now=LATER)

    costs = [row["cost_usd"] for row in ask(served, SHARES)]
    assert sum(costs[1:3]) - Decimal("6.666666666666") in (0, Decimal("1e-12"))
    assert costs[0] is costs[3] is None


def test_machine_hours_through_the_command_line(served, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SPANLEDGER_DATA_DIR", str(served.data_dir))
    overlay = str(tmp_path / "overlay.toml")
    monkeypatch.setenv("SPANLEDGER_PRICES__OVERLAY", overlay)

    assert main(["prices", "check", "--format", "json"]) == 1
    (gap,) = json.loads(capsys.readouterr().out)
    assert (gap["cost_reason"], gap["calls"]) == ("gpu_hour_open", 4)
    assert gap["todo"] == "spanledger reprice"
    assert main(["reprice"]) == 0
    capsys.readouterr()
    assert main(["prices", "check"]) == 0
    assert capsys.readouterr().out.startswith("every model has a price")
    assert main(["report", "models", "--restated", "--format", "json"]) == 0

    rows = json.loads(capsys.readouterr().out)["rows"]
    (own,) = [row for row in rows if row["provider"] == "vllm"]
    assert own["cost_usd"] == "20.000000000000"
    assert own["coverage"] == 1
