"""Verdicts on recorded agent runs that arrive as spans."""

from pathlib import Path

from growth_rows import read_runs, tables_of
from growth_spans import told_runs
from otlp_requests import request
from workshop import Workshop

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
