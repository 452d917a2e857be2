"""
Time every report on a large lake: ``reports.py [--copies N] [--data FILE]``.

FILE holds recorded runs (gzipped JSON lines, as in `tests/fixtures/growth`). They are
judged once, then written N times as other traces, an hour apart. Prints one JSON line
per report: seconds of the second run, of processor and of the clock.
"""

import argparse
import json
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS / "support"))

from growth_rows import read_runs, tables_of  # noqa: E402
from lake_builder import build_lake  # noqa: E402
from ledger_rows import runs as run_table  # noqa: E402

from collector.lake.books import Books  # noqa: E402
from collector.lake.local import LocalTarget  # noqa: E402
from collector.query.reports import REPORTS, run_report  # noqa: E402
from collector.query.views import Lake  # noqa: E402
from pricing import bundled_book, price_calls  # noqa: E402
from rollups.growth import judge_chains  # noqa: E402
from rollups.schema import COST_COLUMNS, call_schema, run_schema  # noqa: E402

FIXTURE = TESTS / "fixtures" / "growth" / "runs.jsonl.gz"
MODEL = "claude-sonnet-4-5"
RUNS = """
    SELECT min(timestamp) AS timestamp, trace_id, run_id, count(*) AS calls,
        sum(input_tokens)::BIGINT AS input_tokens, 'agent' AS agent_name,
        sum(cost_usd)::DECIMAL(38, 12) AS cost_usd
    FROM calls GROUP BY trace_id, run_id
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=30)
    parser.add_argument("--data", type=Path, default=FIXTURE)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tables = write_lake(Path(folder), arguments.data, arguments.copies)
        sizes = {name: table.num_rows for name, table in tables.items()}
        del tables
        for kind in REPORTS:
            run_report(Lake(folder), kind)
            begin, processor = time.perf_counter(), time.process_time()
            run_report(Lake(folder), kind)
            print(
                json.dumps(
                    {
                        "stage": "reports",
                        "report": kind.name,
                        **sizes,
                        "seconds": round(time.perf_counter() - begin, 2),
                        "processor_seconds": round(time.process_time() - processor, 2),
                        "duckdb": duckdb.__version__,
                    }
                ),
                flush=True,
            )


def write_lake(folder: Path, data: Path, copies: int) -> dict[str, pa.Table]:
    book = bundled_book()
    calls, tools = tables_of(read_runs(data))
    for name, text in (("provider", "anthropic"), ("request_model", MODEL)):
        calls = _set(calls, name, pa.array([text] * calls.num_rows))
    calls = _set(calls, "cache_unknown", pa.array([False] * calls.num_rows))
    costs = price_calls(calls, book)
    for name in COST_COLUMNS:
        stored = costs.column(name).cast(call_schema().field(name).type)
        calls = _set(calls, name, stored)
    judged = judge_chains(calls.cast(call_schema()), tools)
    named = {"agent_name": "agent", "feature": "work"}
    marked = {name: pa.scalar(text) for name, text in named.items()}
    tables = {
        "calls": _marked(judged.calls, marked),
        "tool_calls": _marked(judged.tool_calls, marked),
        "chains": judged.chains,
    }
    with duckdb.connect() as connection:
        connection.register("calls", tables["calls"])
        found = connection.sql(RUNS).to_arrow_table().to_pylist()
    tables["runs"] = run_table(found).cast(run_schema())
    whole = {name: _copied(table, copies) for name, table in tables.items()}
    build_lake(folder, **whole)
    Books(LocalTarget(folder)).adopt(book, since_unix_nano=0)
    return whole


def _copied(table: pa.Table, copies: int) -> pa.Table:
    parts = []
    for copy in range(copies):
        trace = pc.binary_join_element_wise(
            table.column("trace_id"), pa.scalar(f"{copy:04}"), ""
        )
        moved = pc.add(
            table.column("timestamp"), pa.scalar(timedelta(hours=copy))
        ).cast(table.schema.field("timestamp").type)
        parts.append(_set(_set(table, "trace_id", trace), "timestamp", moved))
    return pa.concat_tables(parts)


def _marked(table: pa.Table, scalars: dict[str, pa.Scalar]) -> pa.Table:
    for name, scalar in scalars.items():
        table = _set(table, name, pa.repeat(scalar, table.num_rows))
    return table


def _set(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(place), column)


if __name__ == "__main__":
    main()
