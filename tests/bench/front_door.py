"""
Score growth verdicts through the front door: ``front_door.py [--data DIR]``.

The labelled runs of `growth.py` are sent as spans (`tests/support/growth_spans.py`) the
way ``spanledger ingest`` takes them: journal, drain, account. What is scored is what
stands in ``lake/chains`` afterwards. Prints the JSON lines of `growth.py`, and how long
it took. With ``--no-steps`` spans do not say which step they are. Replays of real
increments are sent as runs of their own.
"""

import argparse
import contextlib
import io
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

BENCH = Path(__file__).parent
sys.path[:0] = [str(BENCH.parent / "support"), str(BENCH)]

import growth  # noqa: E402
from growth_spans import told_runs  # noqa: E402
from otlp_requests import request  # noqa: E402

from collector.config import load_settings  # noqa: E402
from collector.ingest import ingest_files  # noqa: E402

SPANS_PER_REQUEST = 2000
QUERY = """
    SELECT * FROM read_parquet(? || '/chains/**/*.parquet', union_by_name = true)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=growth.FIXTURES)
    parser.add_argument("--no-steps", action="store_true")
    parser.add_argument("--no-replays", action="store_true")
    parser.add_argument("--name", default="labelled_dev")
    arguments = parser.parse_args()
    steps = not arguments.no_steps

    def judge(runs: list[growth.Run]) -> dict[str, dict[str, growth.Verdict]]:
        return judged_in_lake(runs, steps=steps)

    runs = growth.read(arguments.data, arguments.name, "runs")
    labelled = [run for run in runs if "label" in run]
    verdicts = judge(labelled)
    growth.score_labelled(labelled, verdicts)
    if not arguments.no_replays:
        found = growth.read(arguments.data, "real_runs", "runs")
        real = [run for run in found if "label" not in run]
        growth.score_replays(real, judge)


def judged_in_lake(
    runs: list[growth.Run], *, steps: bool
) -> dict[str, dict[str, growth.Verdict]]:
    """Return rows of ``chains`` by run and recorded chain."""
    names: dict[tuple[str, str], tuple[str, str]] = {}
    found: dict[str, dict[str, growth.Verdict]] = defaultdict(dict)
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        spans = write_requests(runs, folder / "sent", names, steps=steps)
        settings = load_settings(data_dir=folder / "data")
        begin = time.monotonic()
        with contextlib.redirect_stdout(io.StringIO()):
            refused = ingest_files(settings, [folder / "sent"])
        assert refused == 0
        seconds = time.monotonic() - begin
        rows = (
            duckdb.sql(QUERY, params=[settings.lake_url]).to_arrow_table().to_pylist()
        )
    for row in rows:
        run_id, chain = names[row["trace_id"], row["run_id"]]
        part = row["chain_id"].removeprefix(row["run_id"])
        found[run_id][chain + part] = row
    growth.report(
        "front door", spans=spans, chains=len(rows), seconds=round(seconds, 1)
    )
    return found


def write_requests(
    runs: list[growth.Run],
    folder: Path,
    names: dict[tuple[str, str], tuple[str, str]],
    *,
    steps: bool,
) -> int:
    folder.mkdir()
    waiting: list[Any] = []
    total = 0

    def batches() -> Iterator[list[Any]]:
        nonlocal waiting
        for run, told in zip(runs, told_runs(runs, steps=steps), strict=True):
            for run_id, chain in told.chains.items():
                names[told.trace_id, run_id] = run["run_id"], chain
            waiting += told.spans
            if len(waiting) >= SPANS_PER_REQUEST:
                yield waiting
                waiting = []
        yield waiting

    for number, spans in enumerate(batches()):
        total += len(spans)
        body = request(*spans, scope="agents", resource={"service.name": "agents"})
        (folder / f"{number:05}.pb").write_bytes(body.SerializeToString())
    return total


if __name__ == "__main__":
    main()
