"""
Price stored calls again: ``python -P tests/bench/reprice.py [ROWS]``.

Makes a lake of two days of calls in a temporary folder, priced by the bundled book, and
times what ``spanledger reprice`` does with it: by the same book (nothing changes), by a
book that halves every price (every call is restated), and by that of the first once
more (every call has a restatement to look up). Prints one JSON line each; sums are
checked before. ``DIR`` in ``--in DIR`` is where the folder is made.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from call_mix import mixed_calls

from collector.config import load_settings
from collector.lake.books import Books
from collector.lake.layout import Partition, part_key
from collector.lake.local import LocalTarget
from collector.query.times import ALWAYS
from collector.repricing.reprice import reprice
from pricing import PriceBook, bundled_book, price_calls
from rollups.schema import call_schema

HOURS = 48
CALLS_PER_TRACE = 6
FIRST_HOUR = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp()) // 3600
HALF = '[[price]]\nkind = "multiply"\nfactor = "1/2"\nsource = "bench"\n'


def hex_ids(random, rows, digits):
    """Return random ids as text, made in whole columns."""
    alphabet = np.frombuffer(b"0123456789abcdef", np.uint8)
    letters = alphabet[random.integers(0, 16, rows * digits, np.uint8)]
    offsets = np.arange(0, (rows + 1) * digits, digits, dtype=np.int32)
    return pa.Array.from_buffers(
        pa.string(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(letters)]
    )


def stored_hour(rows, hour, book):
    """Return the calls of one hour as the ledger stores them."""
    random = np.random.default_rng(hour)
    told = mixed_calls(rows, days=1 / 24)
    shift = pa.scalar(hour * 3_600_000_000, pa.duration("us"))
    times = pa.compute.add(told.column("timestamp"), shift)
    traces = hex_ids(random, -(-rows // CALLS_PER_TRACE), 32)
    of_call = pa.array(np.arange(rows) // CALLS_PER_TRACE)
    columns = dict(zip(told.column_names, told.columns, strict=True)) | {
        "timestamp": times,
        "trace_id": traces.take(of_call),
        "span_id": hex_ids(random, rows, 16),
        "run_id": hex_ids(random, rows, 16),
        "attempt": pa.array(np.ones(rows, np.int32)),
        "sampling_weight": pa.array(np.ones(rows)),
        "duration_ms": pa.array(random.random(rows) * 1000),
    }
    columns["chain_id"] = columns["run_id"]
    costs = price_calls(pa.table(columns), book)
    columns |= dict(zip(costs.column_names, costs.columns, strict=True))
    schema = call_schema()
    return pa.table(
        [
            columns[field.name].cast(field.type)
            if field.name in columns
            else pa.nulls(rows, field.type)
            for field in schema
        ],
        schema=schema,
    )


def build(target, rows, book):
    """Write the lake; return what all calls cost."""
    whole = Decimal(0)
    each = rows // HOURS
    for hour in range(HOURS):
        count = each if hour else rows - each * (HOURS - 1)
        calls = stored_hour(count, hour, book)
        whole += pa.compute.sum(calls.column("cost_usd")).as_py()
        target.publish(part_key("calls", Partition(FIRST_HOUR + hour)), calls)
    Books(target).adopt(book, since_unix_nano=0)
    return whole


def main(rows: int, folder: Path) -> None:
    settings = load_settings().model_copy(update={"data_dir": folder})
    target = LocalTarget(Path(settings.lake_url))
    book = bundled_book()
    half = PriceBook({**book.texts, "half.toml": HALF})
    whole = build(target, rows, book)
    for name, by, expected, changed in (
        ("same book", book, whole, 0),
        ("another book", half, None, rows),
        ("back again", book, whole, rows),
    ):
        before, cpu = time.perf_counter(), time.process_time()
        done = reprice(settings, ALWAYS, by)
        seconds = time.perf_counter() - before
        totals = done.totals
        assert totals["calls"] == rows
        assert totals["restated_calls"] <= changed
        assert totals["restated_calls"] >= 0.9 * changed
        assert expected in (None, Decimal(totals["restated_usd"]))
        line = {
            "stage": "reprice",
            "input": name,
            "rows": rows,
            "restated": totals["restated_calls"],
            "seconds": round(seconds, 2),
            "cpu_seconds": round(time.process_time() - cpu, 2),
            "cpus": os.cpu_count(),
            "pyarrow": pa.__version__,
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--in", dest="where", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.where) as made:
        main(asked.rows, Path(made))
