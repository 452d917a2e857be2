from decimal import Decimal

import pytest
from agent_lake import FIRST, ROOT, SECOND, TOOL, TRACE, TWIN, build_agent_lake
from hypothesis import given, settings
from hypothesis import strategies as st
from lake_builder import build_lake, spans
from ledger_rows import at, calls, tool_calls

from collector.errors import QueryError
from collector.query.trace import TRACE_SCHEMA, draw_trace, read_trace
from collector.query.views import Lake

KEYS = ("trace_id", "span_id", "timestamp")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return Lake(str(build_agent_lake(tmp_path_factory.mktemp("lake"))))


def build(root, parents, **also):
    sent = [
        {
            "timestamp": at(seconds=number),
            "trace_id": TRACE,
            "span_id": f"{number:016x}",
            "parent_span_id": None if parent is None else f"{parent:016x}",
            "name": f"span {number}",
            **also,
        }
        for number, parent in enumerate(parents)
    ]
    bill = [
        {"trace_id": TRACE, "span_id": f"{number:016x}", "cost_usd": "1"}
        for number, _ in enumerate(parents)
    ]
    return Lake(str(build_lake(root, spans=spans(sent), calls=calls(bill))))


def test_parents_stand_before_their_children_and_each_span_once(lake):
    trace = read_trace(lake, TRACE)

    assert trace.table.schema.equals(TRACE_SCHEMA)
    assert [(row["span_id"], row["depth"]) for row in trace.table.to_pylist()] == [
        (ROOT, 0),
        (FIRST, 1),
        (SECOND, 1),
        (TWIN, 2),
        (TOOL, 1),
    ]


def test_a_span_costs_its_own_and_its_subtree_all_below(lake):
    rows = {row["span_id"]: row for row in read_trace(lake, TRACE).table.to_pylist()}

    assert rows[ROOT]["cost_usd"] is None
    assert rows[ROOT]["subtree_cost_usd"] == Decimal("0.75")
    assert rows[SECOND]["cost_usd"] == Decimal("0.5")
    assert rows[TOOL]["subtree_cost_usd"] is None


def test_a_span_that_is_not_billed_says_why(lake):
    rows = {row["span_id"]: row for row in read_trace(lake, TRACE).table.to_pylist()}

    assert rows[TWIN]["note"] == f"not billed: twin of {SECOND}"
    assert rows[FIRST]["note"] is None


def test_the_drawing_has_a_line_per_span_and_the_total(lake):
    text = draw_trace(read_trace(lake, TRACE))

    head, _, _, *lines = text.splitlines()
    assert "5 spans, 2 calls" in head
    assert "$0.750000000000" in head
    assert len(lines) == 5
    assert "0.250000" in lines[1]


def test_the_drawing_has_the_context_of_each_conversation(tmp_path):
    sizes = [(1000, 1000, 0), (3000, 2000, 0), (4000, 1000, 2000)]
    chats = [
        {
            "trace_id": TRACE,
            "span_id": f"{number:016x}",
            "timestamp": at(seconds=number),
            "input_tokens": whole,
            "new_tokens": new,
            "resent_tokens": again,
            "resent_usd": "0.25",
        }
        for number, (whole, new, again) in enumerate(sizes)
    ]
    fetch = {
        "trace_id": TRACE,
        "span_id": "f" * 16,
        "timestamp": at(seconds=0.5),
        "tool_name": "fetch",
        "result_tokens": 1900,
        "carried_usd": Decimal("0.5"),
    }
    sent = [{"name": "span", **{k: row[k] for k in KEYS}} for row in (*chats, fetch)]
    tables = {
        "spans": spans(sent),
        "calls": calls(chats),
        "tool_calls": tool_calls([fetch]),
    }
    lake = Lake(str(build_lake(tmp_path, **tables)))

    text = draw_trace(read_trace(lake, TRACE))

    assert "3 calls, 2,000 tokens of history sent again, $0.75" in text
    lines = [line.split() for line in text.splitlines()[-3:]]
    assert [line[1] for line in lines] == [
        "░" * 10,
        "█" * 10 + "░" * 20,
        "█" * 10 + "▓" * 20 + "░" * 10,
    ]
    assert " ".join(lines[1][-4:]) == "fetch 1,900, carried $0.500000"


def test_an_upper_case_id_is_found(lake):
    assert read_trace(lake, TRACE.upper()).trace_id == TRACE


def test_a_trace_that_is_not_there_is_one_line(lake):
    with pytest.raises(QueryError, match="no span in the lake"):
        read_trace(lake, "b" * 32)


def test_a_child_whose_parent_never_came_is_a_root(tmp_path):
    lake = build(tmp_path, [None, 77])

    depths = read_trace(lake, TRACE).table["depth"].to_pylist()

    assert depths == [0, 0]


@pytest.mark.parametrize("parents", [[0], [1, 0], [None, 2, 1]], ids=str)
def test_spans_that_hang_on_themselves_are_shown(tmp_path, parents):
    lake = build(tmp_path, parents)

    assert read_trace(lake, TRACE).table.num_rows == len(parents)


def test_a_name_cannot_move_the_cursor(tmp_path):
    lake = build(tmp_path, [None], name="a\x1b[2J\nb")

    assert "\x1b" not in draw_trace(read_trace(lake, TRACE))


@given(st.lists(st.none() | st.integers(0, 9), min_size=1, max_size=8))
@settings(max_examples=10, deadline=None)
def test_any_parents_even_in_circles_give_each_span_once(tmp_path_factory, parents):
    lake = build(tmp_path_factory.mktemp("lake"), parents)

    rows = read_trace(lake, TRACE).table.to_pylist()

    assert len({row["span_id"] for row in rows}) == len(rows) == len(parents)
    roots = [row["subtree_cost_usd"] for row in rows if row["depth"] == 0]
    assert sum(roots) == len(parents)
