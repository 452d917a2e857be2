"""
How long an acknowledged span takes to plain SQL over Parquet, and to a webhook.

    python -P tests/bench/latency.py [--runs 20] [--load]

A service with default settings runs on loopback. Each run is an agent whose context
grows: one request, whose reply starts the clock; the clock stops when DuckDB finds its
calls in ``lake/calls``, and when its signed webhook arrives. With ``--load`` two
senders add about a hundred requests a second. Prints one JSON line per way.
"""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

SUPPORT = Path(__file__).parents[1] / "support"
sys.path.insert(0, str(SUPPORT))

from agent_runs import Run, protobuf_body  # noqa: E402
from lake_queries import query  # noqa: E402
from load import Load, post  # noqa: E402
from service import service, wait_until, write_config  # noqa: E402
from webhook_sink import KEY, SECRET, webhook_sink  # noqa: E402


def measure(running, sink, number):
    """Return seconds from reply to SQL and to webhook for one run."""
    run = Run(time.time_ns() - 10**10, feature=f"latency-{number}")
    assert post(running.addresses.http, protobuf_body(run.spans())) == 200
    replied = time.monotonic()
    text = f"SELECT count(*) FROM calls WHERE trace_id = '{run.trace_id}'"
    wait_until(lambda: query(running.lake, text)[0][0] == run.steps, what="SQL")
    to_sql = time.monotonic() - replied
    delivery = wait_until(lambda: find_delivery(sink, run), what="webhook")
    assert delivery.is_signed_with(KEY)
    return to_sql, delivery.arrived - replied


def find_delivery(sink, run):
    """Return the delivery about *run*, if it came."""
    found = [
        delivery
        for delivery in list(sink.deliveries)
        if delivery.json["data"]["scope"]["trace_id"] == run.trace_id
    ]
    return found[0] if found else None


def quantiles(seconds):
    ordered = sorted(seconds)
    return {
        "p50_seconds": round(statistics.median(ordered), 3),
        "p99_seconds": round(
            ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], 3
        ),
        "max_seconds": round(ordered[-1], 3),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--load", action="store_true")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
        sink = exits.enter_context(webhook_sink())
        alerts = (
            f'webhook_url = "{sink.url}"\nwebhook_secret = "{SECRET}"\n'
            # The load's runs grow, too; each alert is to come by itself.
            "max_per_minute = 10000\nruns_told = 10000"
        )
        running = exits.enter_context(service(write_config(folder, alerts=alerts)))
        measure(running, sink, "warm-up")
        if arguments.load:
            exits.enter_context(Load(lambda: running.addresses, seed=1))
        pairs = [measure(running, sink, n) for n in range(arguments.runs)]
    for way, seconds in zip(("sql", "webhook"), zip(*pairs, strict=True), strict=True):
        line = {"bench": "latency", "from": "acknowledged", "to": way}
        print(
            json.dumps(
                line
                | {"runs": arguments.runs, "load": arguments.load}
                | quantiles(seconds)
            )
        )


if __name__ == "__main__":
    main()
