"""Queries of ours while the service replaces files."""

import itertools
import threading

import pytest
from lake_builder import build_lake, write
from ledger_rows import calls

from collector.errors import QueryError
from collector.query.sql import run_sql
from collector.query.views import Lake


def test_a_query_never_fails_for_a_file_that_is_replaced(tmp_path):
    sizes = [
        calls([{"span_id": f"{n:016x}", "input_tokens": n} for n in range(size)])
        for size in range(100, 1_000, 300)
    ]
    root = build_lake(tmp_path, calls=sizes[0])
    (key,) = [p.relative_to(root) for p in root.glob("calls/**/part.parquet")]
    stop = threading.Event()

    def replace() -> None:
        for table in itertools.cycle(sizes):
            # as the service does: a name that globs pass over, then a rename
            write(root, "calls/.part.tmp", table).replace(root / key)
            if stop.wait(0.2):
                return

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        query = "SELECT count(*) AS n, max(input_tokens) + 1 AS m FROM calls"
        found = [run_sql(Lake(str(root)), query).to_pylist()[0] for _ in range(60)]
    finally:
        stop.set()
        thread.join()

    assert {row["n"] for row in found} <= {100, 400, 700}
    assert all(row["n"] == row["m"] for row in found)


def test_a_file_that_stays_damaged_is_an_error(tmp_path):
    root = build_lake(tmp_path, calls=calls([{"span_id": "1"}]))
    (path,) = root.glob("calls/**/part.parquet")
    path.write_bytes(b"PAR1 and no more")

    with pytest.raises(QueryError, match="lake"):
        run_sql(Lake(str(root)), "SELECT count(*) FROM calls")
