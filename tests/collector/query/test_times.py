from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import QueryError
from collector.query.times import Period, parse_period, parse_time

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T10:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00+02:00", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("7d", NOW - timedelta(days=7)),
        (" 90 m ", NOW - timedelta(minutes=90)),
        ("2w", NOW - timedelta(weeks=2)),
    ],
)
def test_a_moment_is_iso_or_how_long_ago(text, moment):
    assert parse_time(text, now=NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "yesterday", "7", "7y", "-1d", "2026-13-01", "999999w"]
)
def test_anything_else_is_refused_with_what_it_may_be(text):
    with pytest.raises(QueryError, match="ISO 8601"):
        parse_time(text)


@given(st.text(max_size=12))
def test_no_text_makes_it_fail_otherwise(text):
    try:
        moment = parse_time(text, now=NOW)
    except QueryError:
        return
    assert moment.tzinfo is not None


def test_an_end_that_is_not_given_is_open():
    assert parse_period(None, None) == Period(None, None)
