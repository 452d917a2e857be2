import duckdb
import pytest
from agent_lake import build_agent_lake

from collector.errors import QueryError
from collector.query.sql import run_sql
from collector.query.time_limit import time_limit
from collector.query.views import Lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return Lake(str(build_agent_lake(tmp_path_factory.mktemp("lake"))))


def test_the_answer_has_exact_types(lake):
    found = run_sql(lake, "SELECT sum(cost_usd) AS usd, max(timestamp) AS t FROM calls")

    assert [str(kind) for kind in found.schema.types] == [
        "decimal128(38, 12)",
        "timestamp[us, tz=UTC]",
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "SHOW TABLES",
        "DESCRIBE calls",
        "SUMMARIZE calls",
        "FROM query_table('calls')",
        "EXPLAIN SELECT * FROM calls",
        "EXPLAIN ANALYZE SELECT * FROM calls",
        "WITH c AS (FROM calls) SELECT * FROM c JOIN runs USING (trace_id)",
        'SELECT count(*) FROM "calls"; -- all',
        "PIVOT calls ON step USING sum(cost_usd) GROUP BY feature",
        "VALUES (1)",
    ],
)
def test_whatever_reads_is_allowed(lake, statement):
    assert run_sql(lake, statement).num_rows > 0


@pytest.mark.parametrize(
    "statement",
    [
        "COPY calls TO '{lake}/x.csv'",
        "COPY (SELECT 1) TO '{lake}/calls/x.parquet'",
        "EXPLAIN ANALYZE COPY calls TO '{lake}/x.csv'",
        "EXPLAIN (ANALYZE, FORMAT JSON) COPY calls TO '{lake}/x.csv'",
        "CREATE TABLE t AS FROM calls",
        "DROP VIEW calls",
        "SET threads = 1",
        "PRAGMA enable_profiling",
        "ATTACH '{lake}/x.db'",
        "EXPORT DATABASE '{lake}/x'",
        "CALL force_checkpoint()",
    ],
)
def test_whatever_writes_is_refused_and_leaves_no_trace(lake, statement):
    before = sorted(lake.directory.rglob("*"))

    with pytest.raises(QueryError, match="is not allowed"):
        run_sql(lake, statement.format(lake=lake.url))

    assert sorted(lake.directory.rglob("*")) == before


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("", "0 statements, not one"),
        ("SELECT 1; SELECT 2", "2 statements, not one"),
        ("SELEC 1", "syntax error"),
        ("SELECT nope FROM calls", '"nope" not found.*Candidate bindings'),
        ("SELECT * FROM nope", "nope does not exist"),
        ("SELECT 'x'::INTEGER", "Could not convert"),
    ],
    ids=["none", "two", "syntax", "column", "table", "value"],
)
def test_a_query_that_fails_says_why_in_one_line(lake, statement, says):
    with pytest.raises(QueryError, match=says) as caught:
        run_sql(lake, statement)

    assert "\n" not in caught.value.line()


def test_a_query_that_takes_too_long_is_stopped(lake):
    endless = "SELECT count(*) FROM range(100000000000) a, range(100000000000) b"

    with pytest.raises(QueryError, match=r"stopped after 0\.1 seconds") as caught:
        run_sql(lake, endless, timeout_seconds=0.1)

    assert caught.value.line().endswith("with since and until")


def test_what_is_not_the_querys_own_work_is_in_its_time():
    with duckdb.connect() as connection, pytest.raises(QueryError, match="stopped"):
        with time_limit(connection, 0) as check:
            check()


def test_no_more_rows_than_asked_for_are_returned(lake):
    assert run_sql(lake, "FROM range(10)", max_rows=3).num_rows == 3
    assert run_sql(lake, "SHOW TABLES", max_rows=3).num_rows == 3
