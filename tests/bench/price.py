"""
Price calls on one core: ``python -P tests/bench/price.py [ROWS]``.

Prints one JSON line per input. The result is checked by adding up before it is timed;
the first run is not counted. The mix has 24 kinds of calls, with caches, reasoning,
dates and time of day; columns as account hands them over. Seconds are the process's
own on one core, so that a busy machine disturbs them less.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from call_mix import mixed_calls

from pricing import bundled_book, price_calls


def encoded(calls: pa.Table) -> pa.Table:
    """Return the calls with their texts as dictionaries."""
    for place, field in enumerate(calls.schema):
        if pa.types.is_string(field.type):
            words = calls[field.name].dictionary_encode()
            calls = calls.set_column(place, field.name, words)
    return calls


def main(rows: int) -> None:
    before = time.perf_counter()
    book = bundled_book()
    line = {"stage": "load", "seconds": round(time.perf_counter() - before, 3)}
    print(json.dumps({**line, "version": book.version}))
    inputs = {
        "one hour": mixed_calls(rows, days=1 / 24),
        "sixty days": mixed_calls(rows, days=60),
        "one hour, texts as dictionaries": encoded(mixed_calls(rows, days=1 / 24)),
    }
    for name, calls in inputs.items():
        costs = price_calls(calls, book)
        assert costs.num_rows == rows
        parts = [pc.sum(costs[column]).as_py() for column in costs.column_names[1:6]]
        assert pc.sum(costs["cost_usd"]).as_py() == sum(parts)
        seconds = []
        for _ in range(7):
            before = time.process_time()
            price_calls(calls, book)
            seconds.append(time.process_time() - before)
        result = {
            "stage": "price",
            "input": name,
            "rows": rows,
            "median_rows_per_second": round(rows / statistics.median(seconds)),
            "best_rows_per_second": round(rows / min(seconds)),
            "pyarrow": pa.__version__,
            "numpy": np.__version__,
        }
        print(json.dumps(result))


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
