"""
Compare the ledger with the truth over captured requests of real instrumentations.

    python -P tests/bench/captures.py --captures DIR [--only NAME ...] [--all]

DIR has ``<instrumentation>/<scenario>/*.traces.{pb,json}`` and a ``truth.json`` beside
them: what the LLM server was asked and answered. All files are ingested as
`spanledger ingest` does it. Prints a line per scenario that differs (with ``--all`` per
scenario) and a total as JSON; exits 1 if a scenario has more than was billed.
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import duckdb

from collector.config import load_settings
from collector.ingest import ingest_files
from collector.ingest.files import read_requests

FIELDS = ("calls", "uncached", "read", "write", "output")
QUERY = """
    SELECT trace_id, count(*) FILTER (WHERE cost_status <> 'not_billed') AS calls,
           sum(uncached_input_tokens), sum(cache_read_tokens), sum(cache_write_tokens),
           sum(output_tokens), list_sort(list(DISTINCT cost_status))
    FROM read_parquet(? || '/calls/**/*.parquet', union_by_name = true) GROUP BY ALL
"""


def read_truth(folder):
    truth = json.loads((folder / "truth.json").read_text())
    totals = truth["totals"]
    written = sum(
        value for key, value in totals.items() if key.startswith("cache_write")
    )
    return (
        truth["billable_calls"],
        totals["uncached_input"],
        totals["cache_read"],
        written,
        totals["output"],
    )


def trace_ids(files):
    return {
        span.trace_id.hex()
        for path in files
        for request in read_requests(path)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def scenario_files(folder):
    return sorted(
        p
        for p in folder.glob("*.traces.*")
        if p.suffix in {".pb", ".json"} and not p.name.endswith(".meta.json")
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--captures", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--all", action="store_true")
    arguments = parser.parse_args()
    folders = [
        truth.parent
        for truth in sorted(arguments.captures.glob("*/*/truth.json"))
        if not arguments.only or truth.parent.parent.name in arguments.only
    ]
    scenario_of = {}
    for folder in folders:
        for trace_id in trace_ids(scenario_files(folder)):
            scenario_of[trace_id] = folder
    with tempfile.TemporaryDirectory() as directory:
        settings = load_settings(data_dir=Path(directory))
        files = [path for folder in folders for path in scenario_files(folder)]
        with contextlib.redirect_stdout(io.StringIO()):
            ingest_files(settings, files)
        rows = duckdb.execute(QUERY, [settings.lake_url]).fetchall()
    found = defaultdict(lambda: [0, 0, 0, 0, 0])
    statuses = defaultdict(set)
    for trace_id, *numbers, status in rows:
        folder = scenario_of[trace_id]
        statuses[folder] |= set(status)
        for place, number in enumerate(numbers):
            found[folder][place] += int(number or 0)
    equal = over = 0
    for folder in folders:
        truth, seen = read_truth(folder), tuple(found[folder])
        name = f"{folder.parent.name}/{folder.name}"
        if seen == truth:
            equal += 1
        is_over = any(s > t for s, t in zip(seen, truth, strict=True))
        over += is_over and seen != truth
        if seen != truth or arguments.all:
            verdict = "equal" if seen == truth else "OVER" if is_over else "under"
            shown = " ".join(
                f"{field}={s}" if s == t else f"{field}={s}/{t}"
                for field, s, t in zip(FIELDS, seen, truth, strict=True)
            )
            print(f"{verdict:6} {name}: {shown} {sorted(statuses[folder])}")
    print(json.dumps({"scenarios": len(folders), "equal": equal, "over": over}))
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
