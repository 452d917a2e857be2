"""Reports on restated costs: what they would be if the book had been in force."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from agent_runs import Run
from growth_rows import read_runs
from growth_spans import told_runs
from otlp_requests import START_UNIX_NANO, request
from priced_lake import HALF_PRICE, book_with
from workshop import Workshop

from collector.cli import main
from collector.errors import QueryError
from collector.query.reports import REPORTS, RESTATED, find_report, run_report
from collector.query.times import ALWAYS, Period
from collector.query.views import Lake
from collector.repricing.reprice import reprice

RUNS = read_runs(Path(__file__).parents[2] / "fixtures" / "growth" / "runs.jsonl.gz")
HOUR_NANO = 3600 * 10**9
ASIDE = ("restatements", "costs", "published_at")


def requests():
    """Return runs with tools, sub-agents, loops and growth, others, and a long one."""
    plain = [
        Run(START_UNIX_NANO, feature=name, number=(1 << 40) + number)
        for number, name in enumerate("ab")
    ]
    usual = [
        Run(
            START_UNIX_NANO + HOUR_NANO * (1 + number // 20),
            feature="usual",
            steps=12 if number == 20 else 2,
            number=(1 << 41) + number,
        )
        for number in range(21)
    ]
    return [
        *(request(*one.spans) for one in told_runs(RUNS[:4])),
        *(request(*run.spans()) for run in (*plain, *usual)),
    ]


@pytest.fixture(scope="module")
def lakes(tmp_path_factory):
    """Return a lake that was restated, and one of the same calls at that price."""
    sent = requests()
    folder = tmp_path_factory.mktemp("restated")
    half = book_with(folder, HALF_PRICE)
    with Workshop(folder, rules=False) as shop:
        shop.run(*sent)
        reprice(shop.settings, ALWAYS, half)
        restated = shop.settings
    other = tmp_path_factory.mktemp("other")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workshop.bundled_book", lambda: half)
        with Workshop(other, rules=False) as shop:
            shop.run(*sent)
            return restated, shop.settings


def told_by(settings, kind, **options):
    return run_report(Lake.of(settings), kind, limit=10_000, **options)


@pytest.mark.parametrize("kind", REPORTS, ids=lambda kind: kind.name)
def test_a_restated_report_is_that_of_a_lake_with_this_book_from_the_start(lakes, kind):
    restated, other = lakes

    found = told_by(restated, kind, costs=RESTATED)

    expected = told_by(other, kind)
    assert found.table.to_pylist() == expected.table.to_pylist()
    assert {k: v for k, v in found.summary.items() if k not in ASIDE} == {
        k: v for k, v in expected.summary.items() if k not in ASIDE
    }


@pytest.mark.parametrize("name", ["features", "runs", "growth", "tools"])
def test_a_report_as_recorded_has_the_recorded_costs(lakes, name):
    restated, _ = lakes
    money = ("cost_usd", "resent_usd", "carried_usd")

    rows = told_by(restated, find_report(name)).table.to_pylist()
    other = told_by(restated, find_report(name), costs=RESTATED).table.to_pylist()

    def sums(rows):
        return [sum(row.get(key) or 0 for row in rows) for key in money]

    assert any(sums(rows))
    assert sums(rows) == [pytest.approx(2 * one, abs=1) for one in sums(other)]
    assert sums(rows) != sums(other)


def test_restated_traces_are_whole_at_the_edge_of_a_time(lakes):
    restated, other = lakes
    at = datetime.fromtimestamp(START_UNIX_NANO // 10**9).astimezone()
    period = Period(None, at + timedelta(seconds=2))

    found = told_by(restated, find_report("runs"), costs=RESTATED, period=period)

    expected = told_by(other, find_report("runs"), period=period)
    costs = [row["cost_usd"] for row in found.table.to_pylist()]
    assert costs == [row["cost_usd"] for row in expected.table.to_pylist()]
    assert costs


def test_restated_runs_are_as_long_as_recorded_ones(lakes):
    restated, _ = lakes

    found = told_by(restated, find_report("growth"), costs=RESTATED)

    rows = found.table.to_pylist()
    assert [row["calls"] for row in rows if row["too_long"]] == [12]


def test_costs_are_recorded_or_restated(lakes):
    with pytest.raises(QueryError, match="recorded or restated"):
        told_by(lakes[0], find_report("features"), costs="wished")


def test_the_command_shows_either_and_says_which(lakes, monkeypatch, capsys):
    monkeypatch.setenv("SPANLEDGER_DATA_DIR", str(lakes[0].data_dir))

    assert main(["report", "features"]) == 0
    recorded = capsys.readouterr().out
    assert main(["report", "features", "--as-recorded"]) == 0
    assert capsys.readouterr().out == recorded
    assert main(["report", "features", "--restated"]) == 0
    restated = capsys.readouterr().out

    assert "--restated" in recorded
    assert "costs as restated" in restated
    assert restated.splitlines()[2] != recorded.splitlines()[2]
    with pytest.raises(SystemExit):
        main(["report", "features", "--restated", "--as-recorded"])
