from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from agent_lake import (
    FIRST,
    ROOT,
    SECOND,
    TRACE,
    TWIN,
    agent_tables,
    build_agent_lake,
    recent,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from lake_builder import build_lake, spans, write
from ledger_rows import at, calls, connect, excluded, runs
from pyarrow import fs

from collector.errors import QueryError
from collector.lake.layout import Partition, part_key
from collector.lake.local import LocalTarget
from collector.lake.restatements import Restatement, commit_restatement
from collector.query.spans_view import documented_keys, spans_statement
from collector.query.sql import run_sql
from collector.query.times import ALWAYS, Period
from collector.query.views import Lake, open_lake, view_names
from rollups.engine import run_rollup
from rollups.registry import ROLLUPS, find_rollup
from rollups.schema import RESTATEMENT_SCHEMA

FEATURES = """
SELECT attributes['app.feature'] AS feature, count(DISTINCT trace_id) AS runs, sum(attributes['gen_ai.usage.cost']) AS usd
FROM spans WHERE name LIKE 'chat %' AND timestamp >= now() - INTERVAL 7 DAY GROUP BY feature ORDER BY usd DESC;
"""  # noqa: E501
STEPS = """
SELECT attributes['gen_ai.agent.step'] AS step, count(*) AS calls, avg(attributes['gen_ai.usage.input_tokens']) AS avg_in_tokens,
       sum(attributes['gen_ai.usage.cost']) AS usd FROM spans WHERE name LIKE 'chat %' GROUP BY step ORDER BY step;
"""  # noqa: E501


@pytest.fixture(params=["directory", "bucket"])
def lake(request, tmp_path):
    """Return the agent's lake, as a directory and through Arrow's file systems."""
    root = build_agent_lake(tmp_path / "lake")
    files = fs.LocalFileSystem() if request.param == "bucket" else None
    return Lake(str(root), files=files)


def rows(lake, sql, **options):
    return run_sql(lake, sql, **options).to_pylist()


def test_the_feature_query_of_articles_runs_verbatim_and_is_right(lake):
    found = rows(lake, FEATURES)

    assert found == [{"feature": "refund", "runs": 1, "usd": Decimal("0.75")}]


def test_the_step_query_of_articles_runs_verbatim_and_is_right(lake):
    found = rows(lake, STEPS)

    assert found == [
        {"step": 0, "calls": 1, "avg_in_tokens": 3500.0, "usd": Decimal("0.25")},
        {"step": 1, "calls": 1, "avg_in_tokens": 4500.0, "usd": Decimal("0.5")},
    ]


def test_spans_has_no_column_that_an_alias_of_articles_could_mean(lake):
    with open_lake(lake) as connection:
        columns = set(connection.table("spans").columns)

    assert not columns & {"feature", "step", "runs", "calls", "usd"}


def test_a_span_that_is_not_billed_has_neither_cost_nor_usage(lake):
    (row,) = rows(lake, f"SELECT * FROM spans WHERE span_id = '{TWIN}'")

    usage = {k: v for k, v in row["attributes"].items() if "usage" in k}
    assert usage
    assert set(usage.values()) == {None}


def test_attribute_map_has_every_key_as_sent(lake):
    (row,) = rows(lake, f"SELECT attribute_map FROM spans WHERE span_id = '{ROOT}'")

    assert dict(row["attribute_map"])["odd.key"] == "odd"


def test_a_call_says_what_the_ledger_says_and_not_what_was_sent(lake):
    (row,) = rows(lake, f"SELECT attributes FROM spans WHERE span_id = '{FIRST}'")

    attributes = row["attributes"]
    assert attributes["gen_ai.usage.input_tokens"] == 3500
    assert attributes["gen_ai.usage.cache_read_input_tokens"] == 3000
    assert attributes["gen_ai.usage.cost"] == Decimal("0.25")
    assert attributes["app.feature"] == "refund"
    assert attributes["gen_ai.provider.name"] == "anthropic"


def test_a_span_that_is_no_call_says_what_it_or_its_resource_says(lake):
    (row,) = rows(lake, f"SELECT attributes FROM spans WHERE span_id = '{ROOT}'")

    assert row["attributes"]["app.feature"] == "refund"
    assert row["attributes"]["service.name"] == "shop"


def test_spans_as_stored_are_there_too(lake):
    (row,) = rows(
        lake, f"SELECT count(*) AS n FROM raw.spans WHERE span_id = '{FIRST}'"
    )

    assert row["n"] == 2


def test_there_are_about_forty_documented_keys():
    assert 30 <= len(documented_keys({})) <= 42


def test_a_configured_dimension_is_a_key_that_calls_inherit(tmp_path):
    tables = agent_tables(at())
    labelled = calls(
        [{"trace_id": TRACE, "span_id": SECOND, "team": "blue"}], ("team",)
    )
    root = build_lake(
        tmp_path / "lake",
        dimensions=("team",),
        spans=tables["spans"],
        calls=labelled,
        excluded=tables["excluded"],
    )
    lake = Lake(str(root), {"team": ("team", "app.team")})

    found = rows(lake, "SELECT span_id, attributes['team'] AS team FROM spans")

    teams = {row["span_id"]: row["team"] for row in found}
    assert teams[SECOND] == "blue"
    assert teams[ROOT] == "blue"


def test_a_dimension_that_the_ledger_does_not_have_yet_is_as_sent(tmp_path):
    lake = Lake(str(build_agent_lake(tmp_path / "lake")), {"team": ("team",)})

    (row,) = rows(
        lake, f"SELECT attributes['team'] AS team FROM spans WHERE span_id = '{ROOT}'"
    )

    assert row["team"] == "blue"


ids = st.sampled_from([f"{number:016x}" for number in range(4)])


@given(st.lists(ids, min_size=1, max_size=12), st.sets(ids), st.data())
@settings(max_examples=20, deadline=None)
def test_summing_spans_is_summing_calls_however_often_spans_repeat(sent, billed, data):
    repeated = {one for one in sent if sent.count(one) > 1}
    table = spans(
        [
            {"timestamp": at(), "trace_id": TRACE, "span_id": one, "name": "chat"}
            | {"end_unix_nano": data.draw(st.integers(1, 3)), "is_call": True}
            for one in sent
        ]
    )
    ledger = calls(
        [
            {"trace_id": TRACE, "span_id": one, "cost_usd": "0.1"}
            for one in sorted(billed & set(sent))
        ]
    )
    copies = excluded(
        [
            {"trace_id": TRACE, "span_id": one, "reason": "retransmitted"}
            for one in sorted(repeated)
        ]
    )
    connection = connect(calls=ledger, excluded=copies)
    connection.register("spans_arrow", table)
    connection.execute("CREATE SCHEMA raw")
    connection.execute(
        "CREATE TABLE raw.spans AS SELECT *, timestamp::DATE AS date FROM spans_arrow"
    )
    statement = spans_statement({}, call_columns=ledger.column_names)

    ((count, usd),) = connection.sql(
        "SELECT count(*), coalesce(sum(attributes['gen_ai.usage.cost']), 0)"
        f" FROM ({statement})"
    ).fetchall()

    assert count == len(set(sent))
    assert usd == Decimal("0.1") * len(billed & set(sent))


def test_every_table_and_rollup_of_an_empty_lake_answers_with_no_rows(tmp_path):
    lake = Lake(str(build_lake(tmp_path / "lake")))

    with open_lake(lake) as connection:
        counts = {name: len(connection.table(name).fetchall()) for name in view_names()}

    assert set(counts.values()) == {0}
    assert {"spans", "calls", "runs", "findings", "calls_restated"} <= counts.keys()
    assert {rollup.name for rollup in ROLLUPS} <= counts.keys()


def test_tables_without_any_file_answer_with_no_rows(tmp_path):
    with open_lake(Lake(str(tmp_path))) as connection:
        assert connection.sql("SELECT count(*) FROM spans").fetchall() == [(0,)]
        assert connection.sql("SELECT count(*) FROM trace").fetchall() == [(0,)]


def test_a_missing_lake_is_one_line_with_a_hint(tmp_path):
    with pytest.raises(QueryError, match="no such directory") as caught:
        open_lake(Lake(str(tmp_path / "nowhere")))

    assert caught.value.hint
    assert "\n" not in caught.value.line()


def test_a_damaged_object_is_one_line(tmp_path):
    root = build_agent_lake(tmp_path / "lake")
    (root / part_key("calls", Partition(0))).write_bytes(b"nothing")

    with pytest.raises(QueryError, match="lake") as caught:
        open_lake(Lake(str(root)))

    assert "\n" not in caught.value.line()


def test_a_path_with_signs_of_patterns_and_quotes_is_just_a_path(tmp_path):
    root = build_agent_lake(tmp_path / "it's [a] *lake?")

    (row,) = rows(Lake(str(root)), "SELECT count(*) AS n FROM calls")

    assert row["n"] == 2


def test_date_is_a_date_and_hour_is_not_there(lake):
    with open_lake(lake) as connection:
        for name in view_names():
            table = connection.table(name)
            types = dict(zip(table.columns, map(str, table.types), strict=True))

            assert types["date"] == "DATE"
            assert "hour" not in types


def test_rollups_can_be_read(tmp_path):
    ledger = calls([{"timestamp": at(), "feature": "refund", "cost_usd": "1"}])
    made = run_rollup(
        connect(calls=ledger), find_rollup("feature_hourly"), at(), at(hours=24)
    )
    root = build_lake(tmp_path / "lake", rollups={"feature_hourly": made})

    (row,) = rows(Lake(str(root)), "SELECT feature, cost_usd FROM feature_hourly")

    assert row == {"feature": "refund", "cost_usd": Decimal(1)}


def test_a_file_from_before_a_column_was_added_has_nulls_there(tmp_path):
    root = build_lake(tmp_path / "lake")
    older = calls([{"timestamp": at()}]).drop_columns(["prompt_name"])
    write(root, part_key("calls", Partition(int(at().timestamp()) // 3600)), older)

    for period in (ALWAYS, Period(at(hours=-1), at(hours=1))):
        (row,) = rows(Lake(str(root)), "SELECT prompt_name FROM calls", period=period)

        assert row == {"prompt_name": None}


def test_columns_that_no_file_has_yet_are_null(tmp_path):
    older = calls([{"timestamp": at()}]).drop_columns(["prompt_name"])
    root = tmp_path / "lake"
    write(root, part_key("calls", Partition(int(at().timestamp()) // 3600)), older)

    assert rows(Lake(str(root)), "SELECT prompt_name FROM calls") == [
        {"prompt_name": None}
    ]
    assert rows(Lake(str(root)), "SHOW TABLES")[0] == {"name": "agent_version_daily"}


@pytest.mark.parametrize(
    ("period", "seen"),
    [
        (Period(at(hours=1), None), [1, 2, 48]),
        (Period(at(hours=1), at(hours=2)), [1]),
        (Period(None, at(hours=2)), [0, 1]),
        (Period(at(hours=3), at(hours=48)), []),
        (Period(at(hours=48), at(hours=49)), [48]),
    ],
    ids=["since", "both", "until", "between", "another day"],
)
def test_a_period_is_half_open_in_every_view(tmp_path, period, seen):
    hours = [{"timestamp": at(hours=hour)} for hour in (0, 1, 2, 48)]
    root = build_lake(tmp_path / "lake", calls=calls(hours), runs=runs(hours))

    for name in ("calls", "runs", "calls_restated"):
        found = rows(Lake(str(root)), f"SELECT timestamp FROM {name}", period=period)

        assert sorted(row["timestamp"] for row in found) == [at(hours=h) for h in seen]


def test_the_newest_restatement_with_a_manifest_counts(tmp_path):
    root = build_agent_lake(tmp_path / "lake")
    restated = {"trace_id": TRACE, "span_id": FIRST, "price_version": "b"}
    table = pa.Table.from_pylist(
        [
            {
                **restated,
                "timestamp": recent(),
                "restatement_id": name,
                "known_at": moment,
                "cost_usd": Decimal(usd),
                "output_cost_usd": Decimal(usd),
                "recorded_cost_usd": Decimal("0.25"),
                "cost_status": "priced",
            }
            for name, moment, usd in [
                ("open", at(hours=3), 3),
                ("new", at(hours=2), 2),
                ("old", at(hours=1), 1),
            ]
        ],
        schema=RESTATEMENT_SCHEMA,
    )
    write(root, part_key("restatements", Partition(0)), table)
    for name in ("new", "old"):
        restatement = Restatement(name, at(), "b", None, None, 2, 1)
        commit_restatement(LocalTarget(root), restatement)

    found = rows(Lake(str(root)), "SELECT * FROM calls_restated ORDER BY span_id")

    assert [row["cost_usd"] for row in found] == [Decimal(2), Decimal("0.5")]
    assert [row["restatement_id"] for row in found] == ["new", None]
    assert [row["output_cost_usd"] for row in found] == [Decimal(2), None]
    assert found[0]["feature"] == "refund"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_parquet('/etc/*')",
        "COPY calls TO '/tmp/calls.csv'",
        "ATTACH '/tmp/other.db'",
        "SET memory_limit = '1GB'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ],
)
def test_nothing_but_the_lake_can_be_reached(lake, statement):
    with open_lake(lake) as connection, pytest.raises(duckdb.Error):
        connection.execute(statement)
