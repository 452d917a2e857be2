"""Verdicts on recorded agent runs that arrive as spans."""

import random
import tempfile
import time
from pathlib import Path

from agent_runs import Run
from growth_rows import read_runs, tables_of
from growth_spans import told_runs
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_requests import START_UNIX_NANO, request
from workshop import Workshop

from collector.account.rebuild import rebuild
from rollups.growth import judge_chains

RUNS = read_runs(Path(__file__).parents[2] / "fixtures" / "growth" / "runs.jsonl.gz")
SEEN = ("calls", "quadratic", "is_loop", "loop_period")


def verdicts(rows, name_of):
    """Return what chains of one conversation are found to be."""
    return {name_of(row): {column: row[column] for column in SEEN} for row in rows}


def as_rows():
    rows = judge_chains(*tables_of(RUNS)).chains.to_pylist()
    return verdicts(rows, lambda row: (row["trace_id"], row["chain_id"]))


def test_a_recorded_run_sent_as_spans_gets_the_verdict_of_its_rows(tmp_path):
    told = list(told_runs(RUNS))
    names = {
        (one.trace_id, run_id): (run["run_id"], chain)
        for run, one in zip(RUNS, told, strict=True)
        for run_id, chain in one.chains.items()
    }
    with Workshop(tmp_path) as shop:
        shop.run(*(request(*one.spans, scope="agents") for one in told))
        rows = shop.published()["chains"]

    found = verdicts(rows, lambda row: names[row["trace_id"], row["run_id"]])

    assert found == as_rows()


FEW = ("loop_flat", "jump_linear", "linear", "subagents")


def a_few_runs():
    """Return one short recorded run of each kind."""
    chosen = []
    for kind in FEW:
        alike = [run for run in RUNS if run["run_id"].startswith(f"syn/{kind}/")]
        chosen.append(min(alike, key=lambda run: len(run["steps"])))
    return chosen


def judged(shop):
    """Return what was found, whatever the order of rows."""
    tables = ("chains", "tool_calls", "runs", "findings")
    rows = {name: shop.account.store.rows(name, since_hour=0) for name in tables}
    return {name: sorted(map(repr, rows[name].to_pylist())) for name in tables}


def tick(shop, spans):
    if spans:
        shop.send(request(*spans, scope="agents"))
        shop.drain_all()
        shop.account.tick(publish=False)


@given(
    seed=st.integers(0, 2**32),
    cuts=st.lists(st.integers(1, 60), max_size=4),
    repeated=st.integers(0, 20),
)
@settings(max_examples=5, deadline=None)
def test_any_order_and_any_split_into_ticks_end_in_the_same_verdicts(
    seed, cuts, repeated
):
    spans = [span for one in told_runs(a_few_runs()) for span in one.spans]
    with tempfile.TemporaryDirectory() as folder, Workshop(Path(folder)) as shop:
        tick(shop, spans)
        expected = judged(shop)
    shuffled = [*spans, *spans[:repeated]]
    random.Random(seed).shuffle(shuffled)

    with tempfile.TemporaryDirectory() as folder, Workshop(Path(folder)) as shop:
        for cut in cuts:
            tick(shop, shuffled[:cut])
            del shuffled[:cut]
        tick(shop, shuffled)
        found = judged(shop)

    assert found == expected
    assert any("runaway_loop" in row for row in found["findings"])


MINUTE_NANO = 60 * 10**9


def usual_runs_and_a_long_one():
    """Return 20 short runs of 2 hours, a long one, and a short one an hour later."""
    usual = [
        Run(START_UNIX_NANO + 5 * n * MINUTE_NANO, steps=2, number=n + 1)
        for n in range(20)
    ]
    long = Run(START_UNIX_NANO + 161 * MINUTE_NANO, steps=12, number=99)
    later = Run(START_UNIX_NANO + 221 * MINUTE_NANO, steps=2, number=100)
    return [request(*run.spans()) for run in (*usual, long, later)]


def lengths(published):
    """Return what is said of lengths, whoever says it."""
    columns = ("trace_id", "timestamp", "too_long", "severity")
    said = {
        name: sorted([row[column] for column in columns] for row in published[name])
        for name in ("chains", "runs")
    }
    found = [row for row in published["findings"] if row["rule"] == "run_too_long"]
    return {**said, "findings": found}


def test_a_run_is_too_long_whichever_came_first_and_after_a_rebuild(tmp_path):
    requests = usual_runs_and_a_long_one()
    with Workshop(tmp_path / "long last") as shop:
        shop.run(*requests[:-2])
        shop.run(*requests[-2:])
        expected = lengths(shop.published())
        rebuild(shop.settings)
        rebuilt = lengths(shop.published())
    with Workshop(tmp_path / "long first") as shop:
        shop.run(*requests[-2:])
        shop.run(*requests[:10])
        shop.reopen()
        shop.run(*requests[10:-2])
        found = lengths(shop.published())

    (finding,) = expected["findings"]
    assert (finding["value"], finding["threshold"]) == (12, 10)
    for name in ("chains", "runs"):
        *usual, long, later = [row[2:] for row in sorted_by_time(expected[name])]
        assert usual == [[None, "none"]] * 20
        assert (long, later) == ([True, "warning"], [False, "none"])
    assert rebuilt == expected
    assert found == expected


def sorted_by_time(rows):
    return sorted(rows, key=lambda row: row[1])


def test_earlier_runs_that_come_late_are_compared_with_hours_let_go(tmp_path):
    requests = usual_runs_and_a_long_one()
    with Workshop(tmp_path / "in order") as shop:
        shop.run(*requests)
        expected = lengths(shop.published())
    with Workshop(tmp_path / "late") as shop:
        shop.run(*requests[-2:])
        shop.run(*requests[:1])
        shop.account.let_go(time.time() + 3600)
        assert shop.account.store.settled
        shop.run(*requests[1:-2])
        found = lengths(shop.published())

    assert found["chains"] == expected["chains"]
    assert found["runs"] == expected["runs"]
