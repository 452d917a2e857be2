"""The working store against a model: a dictionary from trace to its newest rows."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.account.segments import (
    SPANS,
    is_among,
    response_numbers,
    trace_numbers,
)
from collector.account.store import Store

TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [("timestamp", TIME), ("trace_id", pa.string()), ("value", pa.int64())]
)
SCHEMAS = {SPANS: SCHEMA, "calls": SCHEMA}
HOUR_US = 3_600_000_000


def trace_id(number):
    return f"{number:032x}"


def table(rows):
    return pa.Table.from_pylist(
        [
            {"timestamp": hour * HOUR_US, "trace_id": trace_id(trace), "value": value}
            for trace, hour, value in rows
        ],
        schema=SCHEMA,
    )


def values(rows):
    return sorted(
        zip(*(rows.column(c).to_pylist() for c in ("trace_id", "value")), strict=True)
    )


ticks = st.lists(
    st.dictionaries(
        st.integers(1, 6), st.lists(st.integers(0, 2), max_size=3), min_size=1
    ),
    min_size=1,
    max_size=24,
)


@given(ticks=ticks, reopen_at=st.sets(st.integers(0, 24)))
@settings(max_examples=30, deadline=None)
def test_rows_are_those_of_the_last_tick_that_touched_their_trace(ticks, reopen_at):
    spans, calls = [], {}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), SCHEMAS)
        for number, touched in enumerate(ticks):
            new = [(trace, 0, number) for trace in touched]
            spans += new
            rows = {
                trace: [(trace, hour, number) for hour in hours]
                for trace, hours in touched.items()
            }
            calls |= rows
            made = table([row for part in rows.values() for row in part])
            store.put(numbers(touched), {SPANS: table(new), "calls": made}, number)
            store.commit()
            if number in reopen_at:
                store = Store.open(Path(folder), SCHEMAS)

        found = store.rows("calls", since_hour=0)
        expected = table([row for part in calls.values() for row in part])
        kept = store.spans_of(numbers(range(1, 7)))

        assert values(found) == values(expected)
        assert values(pa.concat_tables(kept)) == values(table(spans))
        for hour in range(3):
            assert store.count("calls", hour) == sum(
                row[1] == hour for part in calls.values() for row in part
            )


def numbers(traces):
    return np.unique(trace_numbers(pa.array([trace_id(t) for t in traces])))


@given(ticks=ticks, silent_before=st.integers(0, 24))
@settings(max_examples=30, deadline=None)
def test_only_traces_silent_since_then_are_let_go(ticks, silent_before):
    last_seen, spans = {}, []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), SCHEMAS)
        for number, touched in enumerate(ticks):
            new = [(trace, 0, number) for trace in touched]
            spans += new
            last_seen |= dict.fromkeys(touched, number)
            store.put(
                numbers(touched), {SPANS: table(new), "calls": table(new)}, number
            )

        gone = store.evict(silent_before)
        store.commit()
        store = Store.open(Path(folder), SCHEMAS)

        lost = set(gone.tolist())
        assert all(last_seen[trace] < silent_before for trace in lost)
        kept = [row for row in spans if row[0] not in lost]
        held = store.spans_of(numbers(range(1, 7)))
        assert values(pa.concat_tables(held)) == values(table(kept))


def test_the_number_of_segments_grows_with_the_logarithm_of_ticks(tmp_path):
    store = Store(tmp_path, SCHEMAS)
    for number in range(200):
        rows = table([(number + 1, 0, number)])
        store.put(numbers([number + 1]), {SPANS: rows, "calls": rows}, number)

    assert len(store.segments) <= 16
    assert store.rows("calls", since_hour=0).num_rows == 200


def test_trace_numbers_are_the_lower_half_of_the_id():
    ids = pa.array(["0" * 16 + "00000000000000ff", "f" * 32, "0123456789abcdef" * 2])

    assert trace_numbers(ids).tolist() == [255, 2**64 - 1, 0x0123456789ABCDEF]


def test_equal_long_response_ids_have_equal_numbers_and_short_ones_none():
    ids = ["chatcmpl-0123456789", "x" * 9, None, "resp_1", "chatcmpl-0123456789"]

    numbers = response_numbers(pa.array(ids, pa.string())).tolist()

    assert numbers[0] == numbers[4] != numbers[1]
    assert (numbers[2], numbers[3]) == (0, 0)
    assert 0 not in {numbers[0], numbers[1]}


@given(st.lists(st.integers(0, 2**64 - 1)), st.sets(st.integers(0, 2**64 - 1)))
def test_is_among_is_membership(left, right):
    ordered = np.array(sorted(right), np.uint64)

    found = is_among(np.array(left, np.uint64), ordered)

    assert found.tolist() == [number in right for number in left]
