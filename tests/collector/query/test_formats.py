import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.query.formats import (
    FORMATS,
    format_table,
    human_dollars,
    plain_rows,
    summary_notes,
    without_empty_columns,
)

MONEY = pa.decimal128(38, 12)
BUCKETS = pa.map_(pa.int32(), pa.int64())

amounts = st.decimals(-(10**20), 10**20, places=12)


@given(st.lists(amounts, min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_money_comes_out_of_json_and_csv_as_it_went_in(given_amounts):
    table = pa.table({"usd": pa.array(given_amounts, MONEY)})

    as_json = json.loads(format_table(table, "json"))
    as_csv = list(csv.DictReader(io.StringIO(format_table(table, "csv"))))

    assert [Decimal(row["usd"]) for row in as_json] == given_amounts
    assert [Decimal(row["usd"]) for row in as_csv] == given_amounts
    assert all(isinstance(row["usd"], str) for row in as_json)


def test_json_has_nothing_that_json_has_not():
    table = pa.table(
        {
            "t": pa.array([datetime(2026, 11, 20, 1, 2, 3, 4, UTC)]),
            "d": [date(2026, 11, 20)],
            "nan": [float("nan")],
            "none": pa.array([None], pa.int64()),
            "map": pa.array([[(1, 2)]], BUCKETS),
            "empty": pa.array([[]], BUCKETS),
            "struct": [{"a": [Decimal("1.5")], "m": None}],
            "bytes": [b"\x00\xff"],
            "flag": [True],
        }
    )

    assert plain_rows(table) == [
        {
            "t": "2026-11-20T01:02:03.000004Z",
            "d": "2026-11-20",
            "nan": None,
            "none": None,
            "map": {"1": 2},
            "empty": {},
            "struct": {"a": ["1.5"], "m": None},
            "bytes": "AP8=",
            "flag": True,
        }
    ]


def test_csv_has_json_in_nested_cells_and_nothing_for_null():
    table = pa.table(
        {"map": pa.array([[(1, 2)], None], BUCKETS), "flag": [True, False]}
    )

    assert format_table(table, "csv") == 'map,flag\n"{""1"": 2}",true\n,false\n'


def test_a_table_is_aligned_numbers_to_the_right():
    table = pa.table(
        {
            "feature": ["refund", None],
            "calls": [1200, 3],
            "usd": pa.array([Decimal("1.5"), None], MONEY),
        }
    )

    assert format_table(table, "table", ["a note"]).splitlines() == [
        "feature  calls       usd",
        "-------  -----  --------",
        "refund   1,200  1.500000",
        "-            3         -",
        "a note",
    ]


def test_a_table_without_rows_says_so():
    assert "(no rows)" in format_table(
        pa.table({"a": pa.array([], pa.int64())}), "table"
    )


def test_notes_are_for_people_only():
    table = pa.table({"a": [1]})

    assert json.loads(format_table(table, "json", ["a note"])) == [{"a": 1}]
    assert format_table(table, "csv", ["a note"]) == "a\n1\n"


def test_text_cannot_move_the_cursor_or_break_the_line():
    table = pa.table({"name": ["a\x1b[2Jb\nc\u202ed"]})

    lines = format_table(table, "table").splitlines()

    assert lines[2] == "a [2Jb c d"


def test_long_text_is_cut_in_tables_only():
    table = pa.table({"name": ["x" * 500]})

    assert max(map(len, format_table(table, "table").splitlines())) < 60
    assert len(json.loads(format_table(table, "json"))[0]["name"]) == 500


def test_an_amount_below_a_micro_dollar_is_not_shown_as_zero():
    assert human_dollars(Decimal("0.000000000012")) == "0.000000000012"
    assert human_dollars(Decimal("1234.5678901")) == "1,234.567890"
    assert human_dollars(Decimal("0E-12")) == "0.000000"


def test_sums_of_whole_numbers_are_whole_numbers():
    sums = [Decimal(51_467), Decimal(10**30)]
    table = pa.table({"tokens": pa.array(sums, pa.decimal128(38, 0))})

    assert [row["tokens"] for row in plain_rows(table)] == [51_467, str(10**30)]
    assert format_table(table.slice(0, 1), "table").split()[-1] == "51,467"
    assert format_table(table, "csv").splitlines()[1:] == ["51467", str(10**30)]


def test_whatever_a_query_returns_can_be_shown():
    table = duckdb.sql(
        "SELECT INTERVAL '1 month 3 days' + INTERVAL 90 SECOND AS span,"
        " INTERVAL 0 DAY AS none, TIME '10:00:01' AS at, DATE '2026-11-28' AS day,"
        " '4ac7a9e9-607c-4c8a-84f3-843f0191e3fd'::UUID AS id, [1, NULL] AS list,"
        " '\\xAA'::BLOB AS bytes, 'nan'::DOUBLE AS number, 1 = 1 AS truth"
    ).to_arrow_table()

    for form in FORMATS:
        assert "10:00:01" in format_table(table, form)
    assert plain_rows(table) == [
        {
            "span": "P1M3DT90S",
            "none": "PT0S",
            "at": "10:00:01",
            "day": "2026-11-28",
            "id": "4ac7a9e9-607c-4c8a-84f3-843f0191e3fd",
            "list": [1, None],
            "bytes": "qg==",
            "number": None,
            "truth": True,
        }
    ]


def test_two_columns_of_one_name_are_both_shown():
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])

    assert format_table(table, "csv") == "a,a\n1,2\n"


def test_columns_that_say_nothing_can_be_left_out():
    table = pa.table({"a": [1], "b": pa.array([None], pa.int64())})

    assert without_empty_columns(table).column_names == ["a"]
    assert without_empty_columns(table.slice(1)).column_names == ["a", "b"]


def summary(**said):
    return {
        "calls": 4,
        "unpriced_calls": 0,
        "coverage": 1.0,
        "cost_usd": "1",
        "weighted_cost_usd": "1",
        "subscription_usd": None,
        "first_call": "t0",
        "last_call": "t1",
        "published_at": None,
        **said,
    }


def test_notes_say_what_is_not_known():
    (note,) = summary_notes(summary(coverage=0.75, unpriced_calls=2))

    assert "priced: 75 % of tokens, 2 calls have no price" in note


def test_notes_say_that_sampling_hides_cost():
    notes = summary_notes(summary(weighted_cost_usd="8"))

    assert notes[1] == "head sampling: counted $1, weighted $8"


def test_notes_say_how_old_the_ledger_is():
    notes = summary_notes(summary(published_at="2026-11-20T00:00:00Z"))

    assert notes[1] == "ledger as of 2026-11-20T00:00:00Z"


def test_notes_of_no_calls_say_so():
    assert summary_notes(summary(calls=0)) == ["no calls in this time"]
