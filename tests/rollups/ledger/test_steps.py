from ledger_spans import agent, call, span, table_of, tool

from rollups.ledger import draft_ledger


def steps_of(*spans):
    rows = draft_ledger(table_of(list(spans))).calls.to_pylist()
    return [(row["step"], row["step_source"]) for row in rows]


def attempts_of(*spans):
    rows = draft_ledger(table_of(list(spans))).calls.to_pylist()
    return [row["attempt"] for row in rows]


def test_a_calls_own_step_counts():
    spans = [agent(1), call(2, 1, at=1, step=7), call(3, 1, at=20, step=9)]

    assert steps_of(*spans) == [(7, "own"), (9, "own")]


def test_a_numbered_frame_gives_its_number():
    frame = span(2, 1, at=1, ms=50, span_role="step", step=4)

    assert steps_of(agent(1), frame, call(3, 2, at=2), call(4, 2, at=20)) == [
        (4, "frame"),
        (4, "frame"),
    ]


def test_frames_without_numbers_count_from_zero_in_their_run():
    spans = [agent(1)]
    for k in range(3):
        spans.append(span(10 + k, 1, at=100 * k, ms=90, span_role="step"))
        spans.append(call(20 + k, 10 + k, at=100 * k + 1))

    assert steps_of(*spans) == [(0, "frame"), (1, "frame"), (2, "frame")]


def test_a_frame_above_the_agent_says_nothing_of_the_agents_calls():
    spans = [
        span(1, span_role="step", step=4, ms=90),
        agent(2, 1, at=1),
        call(3, 2, at=2),
    ]

    assert steps_of(*spans) == [(0, "order")]


def test_the_order_counts_successful_calls_of_the_run():
    spans = [
        agent(1),
        call(2, 1, at=1),
        call(3, 1, at=20, tokens=None, error_type="429"),
        call(4, 1, at=40),
        call(5, 1, at=60, operation="embeddings"),
        call(6, 1, at=80, operation="rerank"),
        call(7, 1, at=99),
    ]

    assert steps_of(*spans) == [
        (0, "order"),
        (None, None),
        (1, "order"),
        (None, None),
        (None, None),
        (2, "order"),
    ]


def test_a_sub_agent_counts_its_own_steps():
    spans = [agent(1), call(2, 1, at=1), agent(3, 1, at=20), call(4, 3, at=21)]

    assert steps_of(*spans) == [(0, "order"), (0, "order")]


def test_a_step_that_fits_no_column_is_not_a_step():
    assert steps_of(call(1, step=2**40)) == [(0, "order")]
    assert steps_of(call(1, step=-3)) == [(0, "order")]


def test_a_call_after_a_failed_one_is_the_next_attempt():
    failed = {"tokens": None, "error_type": "429"}
    spans = [
        call(2, 1, at=1, **failed),
        call(3, 1, at=20, **failed),
        call(4, 1, at=40),
        call(5, 1, at=60),
    ]

    assert attempts_of(agent(1), *spans) == [1, 2, 3, 1]


def test_a_call_that_started_before_the_other_failed_is_no_retry():
    spans = [call(2, 1, at=1, ms=50, error_type="x", tokens=None), call(3, 1, at=9)]

    assert attempts_of(agent(1), *spans) == [1, 1]


def test_another_declared_step_is_no_retry():
    spans = [
        call(2, 1, at=1, step=1, error_type="x", tokens=None),
        call(3, 1, at=20, step=2),
    ]

    assert attempts_of(agent(1), *spans) == [1, 1]


def test_retries_inside_the_sdk_are_attempts():
    spans = [
        call(2, 1, at=1, resend_count=1, error_type="x", tokens=None),
        call(3, 1, at=20, resend_count=2),
    ]

    assert attempts_of(agent(1), *spans) == [2, 5]


def tool_steps(*spans):
    rows = draft_ledger(table_of(list(spans))).tool_calls.to_pylist()
    return [row["step"] for row in rows]


def test_a_tool_call_belongs_to_the_call_that_ended_before_it():
    spans = [
        agent(1),
        call(2, 1, at=1),
        tool(3, 1, at=12),
        tool(4, 1, at=13),
        call(5, 1, at=30),
        tool(6, 1, at=41),
    ]

    assert tool_steps(*spans) == [0, 0, 1]


def test_a_tool_before_the_first_call_has_no_step():
    assert tool_steps(agent(1), tool(2, 1, at=1), call(3, 1, at=20)) == [None]


def test_a_tool_call_inside_a_call_belongs_to_it():
    spans = [agent(1), call(2, 1), call(3, 1, at=20, ms=50), tool(4, 3, at=30)]

    assert tool_steps(*spans) == [1]


def test_a_tool_that_starts_while_a_call_runs_belongs_to_the_call_before():
    spans = [agent(1), call(2, 1), call(3, 1, at=12, ms=50), tool(4, 1, at=20)]

    assert tool_steps(*spans) == [0]


def test_a_failed_call_asks_for_no_tools():
    failed = call(3, 1, at=20, tokens=None, error_type="x")

    assert tool_steps(agent(1), call(2, 1), failed, tool(4, 1, at=40)) == [0]


def test_a_tools_own_step_counts():
    assert tool_steps(agent(1), call(2, 1), tool(4, 1, at=40, step=5)) == [5]


def test_a_tool_call_reported_by_two_scopes_is_one():
    one = tool(2, 1, at=1, tool_call_id="t", scope_name="framework")
    other = tool(3, 2, at=2, tool_call_id="t", scope_name="sdk", result_bytes=9)

    rows = draft_ledger(table_of([agent(1), one, other])).tool_calls.to_pylist()

    assert [row["result_bytes"] for row in rows] == [9]


def test_a_tool_call_tried_twice_by_one_scope_is_two():
    spans = [tool(k, 1, at=k * 20, tool_call_id="t") for k in (2, 3)]

    assert tool_steps(agent(1), call(9, 1), *spans) == [0, 0]


def test_a_repeat_of_a_tool_call_leaves_the_other_tries_of_its_scope():
    spans = [
        tool(2, 1, at=20, tool_call_id="t", result_bytes=1),
        tool(3, 1, at=40, tool_call_id="t", result_bytes=1),
        tool(4, 3, at=41, tool_call_id="t", scope_name="sdk"),
    ]

    assert len(tool_steps(agent(1), *spans)) == 2
