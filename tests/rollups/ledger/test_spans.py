import numpy as np
import pytest
from ledger_spans import agent, call, span, table_of

from rollups.ledger.columns import NONE
from rollups.ledger.spans import read_spans


def names(spans):
    return spans.pick("name", np.arange(spans.size)).to_pylist()


def test_spans_are_sorted_by_trace_then_start_then_id():
    rows = [
        span(2, trace=2, at=0, name="d"),
        span(9, at=5, name="b"),
        span(3, at=5, name="a", trace=1),
        span(1, at=9, name="c"),
    ]

    spans = read_spans(table_of(rows))

    assert names(spans) == ["a", "b", "c", "d"]


def test_of_two_versions_the_one_that_ends_later_wins():
    rows = [span(1, ms=20, name="late"), span(1, ms=10, name="zz early")]

    assert names(read_spans(table_of(rows))) == ["late"]
    assert names(read_spans(table_of(rows[::-1]))) == ["late"]


def test_of_two_versions_with_one_end_the_order_of_arrival_does_not_matter():
    rows = [span(1, name="a", input_tokens=5), span(1, name="b"), span(1, name="a")]

    chosen = {
        tuple(names(read_spans(table_of([rows[i] for i in order]))))
        for order in [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1), (0, 1, 2, 1, 0)]
    }

    assert len(chosen) == 1


def test_the_replaced_version_is_remembered_and_an_equal_repeat_is_not():
    one, other = span(1, name="a"), span(1, name="b", ms=20)

    replaced = read_spans(table_of([other, one, other, one])).replaced
    alone = read_spans(table_of([one, one | {"received_unix_nano": 5}])).replaced

    assert replaced.tolist() in ([1], [3])
    assert alone.tolist() == [NONE]


def test_a_span_is_received_when_its_first_version_was():
    rows = [span(1, received_unix_nano=9), span(1, received_unix_nano=4, ms=1)]

    assert read_spans(table_of(rows)).received_unix_nano.tolist() == [4]


def test_a_parent_is_looked_for_in_the_same_trace_only():
    rows = [
        span(1),
        span(2, 1),
        span(3, 1, trace=2),
        span(1, trace=3),
        span(4, 1, trace=3),
    ]

    spans = read_spans(table_of(rows))

    assert spans.tree.up.tolist() == [5, 0, 5, 5, 3, 5]
    assert (spans.missing != NONE).tolist() == [False, False, True, False, False]


def test_depth_and_root_follow_parents():
    rows = [
        span(1),
        span(2, 1, at=1),
        span(3, 2, at=2),
        span(4, 9, at=3),
        span(5, 4, at=4),
    ]

    tree = read_spans(table_of(rows)).tree

    assert tree.depth.tolist() == [0, 1, 2, 0, 1]
    assert tree.root.tolist() == [0, 0, 0, 3, 3]


def test_a_cycle_is_cut_at_its_first_span():
    rows = [
        span(1, 3),
        span(2, 1, at=1),
        span(3, 2, at=2),
        span(4, 3, at=3),
        span(5, 5, at=4),
    ]

    spans = read_spans(table_of(rows))

    assert spans.tree.depth.tolist() == [0, 1, 2, 3, 0]


def test_a_chain_of_a_thousand_spans_has_its_depth():
    rows = [span(i, i - 1 if i else None, at=i) for i in range(1000)]

    spans = read_spans(table_of(rows))
    marked = np.arange(1000) == 3

    assert spans.tree.depth.tolist() == list(range(1000))
    assert spans.tree.nearest(marked).tolist() == [1000] * 3 + [3] * 997
    assert spans.tree.nearest_above(marked).tolist() == [1000] * 4 + [3] * 996


def test_a_missing_column_is_named():
    table = table_of([agent(1), call(2, 1)]).drop_columns(["run_key"])

    with pytest.raises(ValueError, match="no column run_key"):
        read_spans(table)


def test_no_spans_are_no_trouble():
    assert read_spans(table_of([])).size == 0
