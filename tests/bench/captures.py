"""
Compare the ledger with the truth over captured requests of real instrumentations.

    python -P tests/bench/captures.py --captures DIR [--only NAME ...] [--all] [--logs]

DIR has ``<instrumentation>/<scenario>/*.traces.{pb,json}`` and a ``truth.json`` beside
them: what the LLM server was asked and answered. All files are ingested as
`spanledger ingest` does it, with ``--logs`` those of log records (``*.logs.*``), too:
what they repeat must change nothing. Prints a line per scenario that differs (with
``--all`` per scenario) and a total as JSON; exits 1 if a scenario has more than was
billed, or a wrong number that its price does not admit.

A scenario is *equal* if calls, uncached, read, written and output tokens are, in sum
and call by call, null taken for none; *unsent* if the library left the cache out, and
the ledger says so: calls, all input and output are equal, and what differs is partly
priced; *under* if calls or counts are missing because they were not sent; *OVER* if
there are more calls, input (cached included) or output than in truth; *SILENT* if a
call's numbers are wrong under the status ``priced``.
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import duckdb

from collector.config import load_settings
from collector.ingest import ingest_files
from collector.ingest.files import read_requests

FIELDS = ("uncached", "read", "write", "output")
STREAMS_COUNT_ONE_MORE = ("traceloop-anthropic",)
"""Message starts count as output beside the rest, so each stream has one too many."""
QUERY = """
    SELECT trace_id, response_id, cost_status, input_tokens, uncached_input_tokens,
           cache_read_tokens, cache_write_tokens, output_tokens
    FROM read_parquet(? || '/calls/**/*.parquet', union_by_name = true)
    WHERE cost_status <> 'not_billed' ORDER BY timestamp
"""


class Call(NamedTuple):
    """One call; null where unknown."""

    response_id: str | None
    status: str
    total: int
    uncached: int | None
    read: int | None
    write: int | None
    output: int | None

    def counts(self) -> tuple[int, ...]:
        """Return the compared counts, 0 for null."""
        return tuple(count or 0 for count in self[-4:])


def read_truth(folder):
    calls = []
    truth = json.loads((folder / "truth.json").read_text())
    for call in truth["calls"]:
        if call["status"] == 200:
            written = sum(
                value for key, value in call.items() if key.startswith("cache_write")
            )
            fresh, read = call["uncached_input"], call["cache_read"]
            calls.append(
                Call(
                    call["response_id"],
                    "billed",
                    fresh + read + written,
                    fresh,
                    read,
                    written,
                    call["output"],
                )
            )
    assert len(calls) == truth["billable_calls"], folder
    return calls


def trace_ids(files):
    return {
        span.trace_id.hex()
        for path in files
        for request in read_requests(path)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def scenario_files(folder, signal="traces"):
    return sorted(
        p
        for p in folder.glob(f"*.{signal}.*")
        if p.suffix in {".pb", ".json"} and not p.name.endswith(".meta.json")
    )


def ledger_of(folders, *, signals):
    scenario_of = {}
    for folder in folders:
        for trace_id in trace_ids(scenario_files(folder)):
            scenario_of[trace_id] = folder
    with tempfile.TemporaryDirectory() as directory:
        settings = load_settings(data_dir=Path(directory))
        files = [
            path
            for folder in folders
            for signal in signals
            for path in scenario_files(folder, signal)
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            ingest_files(settings, files)
        rows = duckdb.execute(QUERY, [settings.lake_url]).fetchall()
    calls = defaultdict(list)
    for trace_id, *row in rows:
        response_id, status, total, *counts = row
        calls[scenario_of[trace_id]].append(
            Call(response_id, status, total or 0, *counts)
        )
    return calls


def paired(truth, seen):
    """Return pairs of calls: by response id, the rest in order if as many are left."""
    by_id = {call.response_id: call for call in truth if call.response_id}
    pairs, rest = [], []
    for call in seen:
        match = by_id.pop(call.response_id, None)
        if match is None:
            rest.append(call)
        else:
            pairs.append((match, call))
    taken = {id(match) for match, _ in pairs}
    left = [call for call in truth if id(call) not in taken]
    if len(left) == len(rest):
        pairs += zip(left, rest, strict=True)
    return pairs


def judge(truth, seen, *, slack):
    if not paired_differences(truth, seen, slack=slack) and len(truth) == len(seen):
        return "equal"
    total = sum(call.total for call in truth)
    output = sum(call.output for call in truth)
    seen_total = sum(call.total for call in seen)
    seen_output = sum(call.output or 0 for call in seen)
    if (
        len(seen) > len(truth)
        or seen_total > total
        or seen_output > output + slack * len(seen)
    ):
        return "OVER"
    wrong = paired_differences(truth, seen, slack=slack)
    if any(status == "priced" for status in wrong):
        return "SILENT"
    same_sums = (len(seen), seen_total, seen_output) == (len(truth), total, output)
    return "unsent" if same_sums else "under"


def paired_differences(truth, seen, *, slack):
    """Return the statuses of the calls that differ from the truth."""
    statuses = []
    for true, call in paired(truth, seen):
        *tokens, output = call.counts()
        *true_tokens, true_output = true.counts()
        if tokens != true_tokens or not 0 <= output - true_output <= slack:
            statuses.append(call.status)
    return statuses


def line_of(verdict, name, truth, seen):
    shown = [f"calls={len(seen)}/{len(truth)}"]
    for place, field in enumerate(FIELDS):
        sums = [sum(call.counts()[place] for call in calls) for calls in (seen, truth)]
        shown.append(f"{field}={sums[0]}/{sums[1]}")
    statuses = dict(Counter(call.status for call in seen))
    return f"{verdict:6} {name}: {' '.join(shown)} {statuses}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--captures", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--logs", action="store_true")
    arguments = parser.parse_args()
    folders = [
        truth.parent
        for truth in sorted(arguments.captures.glob("*/*/truth.json"))
        if not arguments.only or truth.parent.parent.name in arguments.only
    ]
    signals = ("traces", "logs") if arguments.logs else ("traces",)
    ledger = ledger_of(folders, signals=signals)
    verdicts = Counter()
    for folder in folders:
        truth, seen = read_truth(folder), ledger[folder]
        slack = int(folder.parent.name in STREAMS_COUNT_ONE_MORE)
        verdict = judge(truth, seen, slack=slack)
        verdicts[verdict] += 1
        if verdict != "equal" or arguments.all:
            name = f"{folder.parent.name}/{folder.name}"
            print(line_of(verdict, name, truth, seen))
    print(json.dumps({"scenarios": len(folders), **verdicts}))
    return 1 if verdicts["OVER"] or verdicts["SILENT"] else 0


if __name__ == "__main__":
    sys.exit(main())
