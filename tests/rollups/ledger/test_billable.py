import random

import pytest
from ledger_spans import agent, call, span, span_id_of, table_of, trace_id_of

from rollups.ledger import draft_ledger


def drafted(*spans):
    return draft_ledger(table_of(list(spans)))


def calls_of(*spans):
    return drafted(*spans).calls.to_pylist()


def excluded_of(*spans):
    return [
        (
            row["span_id"].lstrip("0"),
            row["reason"],
            (row["billed_span_id"] or "").lstrip("0"),
        )
        for row in drafted(*spans).excluded.to_pylist()
    ]


def ids(rows):
    return [row["span_id"].lstrip("0") for row in rows]


def test_one_response_id_in_a_trace_is_one_call():
    framework = call(2, 1, ms=20, response_id="resp_1", scope_name="framework")
    sdk = call(3, 2, at=1, response_id="resp_1", scope_name="sdk", name="create")

    assert ids(calls_of(agent(1), framework, sdk)) == ["2"]
    assert excluded_of(agent(1), framework, sdk) == [("3", "twin", "2")]


def test_different_response_ids_are_different_calls_whatever_else_is_equal():
    one = call(2, ms=20, response_id="resp_1", scope_name="framework")
    other = call(3, 2, at=1, response_id="resp_2", scope_name="sdk")

    assert len(calls_of(one, other)) == 2


def test_a_provider_made_id_is_one_call_across_traces():
    gateway = call(5, trace=2, at=2, ms=5, response_id="chatcmpl-8f2a", name="proxy")
    app = call(2, 1, at=1, response_id="chatcmpl-8f2a", scope_name="sdk")
    spans = (gateway, agent(1), app)

    (row,) = calls_of(*spans)
    (repeat,) = drafted(*spans).excluded.to_pylist()

    assert row["trace_id"] == trace_id_of(1)
    assert repeat["reason"] == "duplicate_response"
    assert (repeat["billed_trace_id"], repeat["billed_span_id"]) == (
        trace_id_of(1),
        span_id_of(2),
    )


def test_of_two_traces_the_one_that_started_first_has_the_call():
    gateway = call(5, trace=1, at=2, ms=5, response_id="chatcmpl-8f2a")
    app = call(2, trace=2, at=1, response_id="chatcmpl-8f2a", scope_name="sdk")

    (row,) = calls_of(gateway, app)

    assert row["trace_id"] == trace_id_of(2)


def test_of_two_traces_the_one_with_the_agent_has_the_call():
    gateway = call(5, trace=1, at=0, ms=50, response_id="chatcmpl-8f2a")
    app = call(2, 9, trace=2, at=1, response_id="chatcmpl-8f2a", name="create")

    (row,) = calls_of(gateway, agent(9, trace=2), app)

    assert row["trace_id"] == trace_id_of(2)


def test_an_id_of_eight_characters_means_nothing_in_another_trace():
    one, other = (
        call(1, response_id="run-0001"),
        call(2, trace=2, response_id="run-0001"),
    )

    assert len(calls_of(one, other)) == 2


def test_one_scope_reporting_a_response_twice_is_a_duplicate_response():
    one = call(1, response_id="resp_1")
    other = call(2, at=20, response_id="resp_1")

    assert excluded_of(one, other) == [("2", "duplicate_response", "1")]


def test_a_span_without_id_is_the_twin_of_the_one_it_contains():
    framework = call(2, 1, ms=20, scope_name="framework")
    sdk = call(3, 2, at=1, response_id="resp_1", scope_name="sdk", name="create")

    rows = calls_of(agent(1), framework, sdk)

    assert ids(rows) == ["2"]
    assert rows[0]["response_id"] == "resp_1"


def test_twins_need_not_be_parent_and_child():
    framework = call(2, 1, ms=20, scope_name="framework")
    sdk = call(3, 1, at=1, scope_name="sdk")

    assert excluded_of(agent(1), framework, sdk) == [("3", "twin", "2")]


GATEWAY_ID = "chatcmpl-0b1f9f4e-6a5b-4c3d-8e2f-1a2b3c4d5e6f"


def test_a_gateways_own_id_is_no_other_call_than_the_providers():
    gateway = call(2, 1, ms=20, response_id=GATEWAY_ID, scope_name="litellm")
    sdk = call(3, 2, at=1, response_id="msg_01aaaaaaaa", scope_name="sdk")

    (row,) = calls_of(agent(1), gateway, sdk)

    assert row["span_id"] == span_id_of(2)


def test_two_ids_of_one_gateway_are_two_calls():
    other_id = GATEWAY_ID.replace("0b1f", "0b10")
    one = call(2, ms=20, response_id=GATEWAY_ID, scope_name="proxy")
    other = call(3, 2, at=1, response_id=other_id, scope_name="client")

    assert len(calls_of(one, other)) == 2


def test_a_gateways_own_id_is_one_call_across_traces():
    gateway = call(5, trace=2, at=2, ms=5, response_id=GATEWAY_ID, scope_name="litellm")
    app = call(2, 1, at=1, response_id=GATEWAY_ID, scope_name="openai")

    assert len(calls_of(gateway, agent(1), app)) == 1


@pytest.mark.parametrize("size", [12, 40])
@pytest.mark.parametrize("seed", range(6))
def test_equal_calls_at_once_find_a_twin_each_whatever_their_order(size, seed):
    # The order in which requests leave has nothing to do with that in which they began.
    dice = random.Random(f"{size} {seed}")
    spans = []
    for number in range(size):
        begin = dice.uniform(0, 100)
        delay, length = dice.uniform(3, 60), dice.uniform(5, 80)
        framework = {"at": begin, "ms": delay + length + dice.uniform(3, 30)}
        spans.append(call(f"a{number}", 1, scope_name="framework", **framework))
        spans.append(
            call(f"b{number}", 1, at=begin + delay, ms=length, scope_name="sdk")
        )
    dice.shuffle(spans)

    rows = calls_of(agent(1), *spans)

    assert len(rows) == size
    assert len(excluded_of(agent(1), *spans)) == size


def test_a_twin_may_stick_out_by_two_milliseconds():
    framework = call(2, 1, ms=10, scope_name="framework")
    near = call(3, 1, at=2, ms=10, scope_name="sdk")
    far = call(3, 1, at=2.1, ms=10, scope_name="sdk")

    assert len(calls_of(framework, near)) == 1
    assert len(calls_of(framework, far)) == 2


def test_a_twin_may_count_one_output_token_more():
    framework = call(2, ms=20, tokens=(100, 91), scope_name="framework")

    assert (
        len(calls_of(framework, call(3, 2, at=1, tokens=(100, 90), scope_name="s")))
        == 1
    )
    assert (
        len(calls_of(framework, call(3, 2, at=1, tokens=(100, 89), scope_name="s")))
        == 2
    )


def test_the_extra_output_token_of_a_twin_is_not_billed():
    framework = call(2, ms=20, tokens=(100, 91), scope_name="framework")
    sdk = call(3, 2, at=1, tokens=(100, 90), scope_name="sdk")

    assert [row["output_tokens"] for row in calls_of(framework, sdk)] == [90]


def test_a_twin_that_lost_its_cached_tokens_repeats_the_fresh_part():
    lossy = call(2, ms=20, tokens=(21, 90), scope_name="botocore")
    whole = call(
        3, 2, at=1, tokens=(3521, 90), cache_write_tokens=3500, scope_name="sdk"
    )

    (row,) = calls_of(lossy, whole)

    assert (row["span_id"], row["usage_span_id"]) == (span_id_of(2), span_id_of(3))
    assert (row["input_tokens"], row["uncached_input_tokens"]) == (3521, 21)


def test_two_equal_calls_of_one_scope_stay_two():
    assert len(calls_of(call(2, 1), call(3, 1), agent(1))) == 2


def test_two_equal_parallel_calls_with_a_twin_each_are_two():
    spans = [agent(1)]
    for k in range(2):
        spans.append(call(10 + k, 1, at=k / 10, ms=20, scope_name="framework"))
        spans.append(call(20 + k, 1, at=1 + k / 10, ms=5, scope_name="sdk"))

    draft = drafted(*spans)

    assert ids(draft.calls.to_pylist()) == ["10", "11"]
    assert draft.excluded.num_rows == 2


def test_three_scopes_are_one_call():
    spans = [
        call(2, 1, ms=30, scope_name="framework"),
        call(3, 2, at=1, ms=20, scope_name="gateway", response_id="resp_1"),
        call(4, 3, at=2, ms=10, scope_name="sdk", name="post"),
    ]

    assert len(calls_of(agent(1), *spans)) == 1


def test_many_parallel_calls_find_their_twins():
    spans = [agent(1)]
    for k in range(200):
        spans.append(
            call(1000 + k, 1, at=k / 100, ms=50, tokens=(100 + k, 7), scope_name="a")
        )
        spans.append(
            call(2000 + k, 1000 + k, at=3 + k / 100, ms=9, tokens=(100 + k, 7))
        )

    assert len(calls_of(*spans)) == 200


def test_a_span_without_id_is_the_twin_of_one_id_only():
    spans = [
        call(2, 1, ms=50, scope_name="framework"),
        call(3, 2, at=1, ms=40, scope_name="gateway", response_id="resp_1"),
        call(4, 3, at=2, ms=30, scope_name="sdk", response_id="resp_2"),
    ]

    assert len(calls_of(agent(1), *spans)) == 2


def test_a_call_has_one_span_of_each_scope():
    spans = [
        call(2, 1, ms=50, scope_name="framework"),
        call(3, 2, at=1, scope_name="sdk"),
        call(4, 2, at=1, scope_name="sdk"),
    ]

    assert len(calls_of(agent(1), *spans)) == 2


@pytest.mark.parametrize("jumble", [1, 37], ids=["in order", "jumbled"])
def test_many_equal_calls_at_once_find_their_twins_under_one_parent(jumble):
    spans = [agent(1)]
    for k in range(100):
        at, ms = k / 10, 50 + k * jumble % 100
        spans.append(call(1000 + k, 1, at=at, ms=ms, scope_name="framework"))
        spans.append(call(2000 + k, 1, at=20 + at, ms=ms - 25, scope_name="sdk"))

    assert len(calls_of(*spans)) == 100


def test_a_crowd_where_each_call_waits_for_the_next_is_settled():
    spans = [agent(1)]
    for k in range(300):
        spans.append(call(1000 + k, 1, at=k / 10, ms=500, scope_name="framework"))
        spans.append(call(2000 + k, 1, at=k / 10 + 0.05, ms=400, scope_name="sdk"))

    assert len(calls_of(*spans)) < 360


def test_a_twin_without_counts_is_the_call_it_wraps():
    stream = call(2, 1, ms=20, tokens=None, scope_name="framework")
    sdk = call(3, 2, at=1, scope_name="sdk", name="create")

    (row,) = calls_of(agent(1), stream, sdk)

    assert (row["span_id"], row["input_tokens"]) == (span_id_of(2), 100)


def test_a_failed_attempt_is_not_the_twin_of_the_call_that_wraps_it():
    outer = call(2, 1, ms=50, scope_name="framework", response_id="resp_1")
    first = call(3, 2, at=1, ms=5, tokens=None, error_type="429", scope_name="sdk")
    second = call(4, 2, at=9, ms=9, response_id="resp_1", scope_name="sdk")

    rows = calls_of(agent(1), outer, first, second)

    assert [(row["span_id"][-1], row["error_type"]) for row in rows] == [
        ("2", None),
        ("3", "429"),
    ]


def test_a_stream_without_counts_is_not_the_twin_of_a_failed_attempt():
    stream = call(2, 1, ms=50, tokens=None, scope_name="framework")
    failed = call(3, 2, at=1, ms=40, tokens=None, error_type="429", scope_name="sdk")
    answered = call(4, 2, at=42, ms=5, scope_name="sdk")

    errors = [row["error_type"] for row in calls_of(agent(1), stream, failed, answered)]

    assert errors == [None, "429"]


def test_a_split_of_writes_is_the_best_detail():
    known = {"tokens": (3521, 90), "cache_write_tokens": 3500}
    framework = call(
        2, ms=20, **known, response_id="resp_1", cache_read_tokens=9, scope_name="f"
    )
    sdk = call(3, 2, at=1, **known, cache_write_5m_tokens=3500, scope_name="sdk")

    assert [row["usage_span_id"] for row in calls_of(framework, sdk)] == [span_id_of(3)]


def test_writes_that_are_counted_go_before_writes_of_zero():
    framework = call(
        2, ms=20, response_id="resp_1", cache_write_tokens=0, scope_name="framework"
    )
    sdk = call(3, 2, at=1, cache_write_tokens=80, scope_name="sdk")

    assert [row["cache_write_tokens"] for row in calls_of(framework, sdk)] == [80]


def test_an_agent_is_a_total_even_where_it_calls_itself_a_call():
    total = agent(1, is_call=True, has_usage=True, input_tokens=100)

    assert ids(calls_of(total, call(2, 1, at=1))) == ["2"]


def test_the_member_with_most_detail_gives_the_counts():
    zeroed = call(
        2, ms=20, tokens=(3521, 90), cache_write_tokens=0, scope_name="framework"
    )
    split = call(
        3,
        2,
        at=1,
        tokens=(3521, 90),
        cache_write_tokens=3500,
        cache_write_5m_tokens=3000,
        cache_write_1h_tokens=500,
        scope_name="sdk",
        name="create",
    )

    (row,) = calls_of(zeroed, split)

    assert row["cache_write_tokens"] == 3500
    assert row["cache_write_1h_tokens"] == 500
    assert row["usage_span_id"] == span_id_of(3)


def test_what_one_member_does_not_know_another_tells():
    framework = call(
        2, ms=20, scope_name="framework", finish_reason="stop", request_model=None
    )
    sdk = call(3, 2, at=1, cache_read_tokens=40, streaming=True, scope_name="sdk")

    (row,) = calls_of(framework, sdk)

    assert (row["finish_reason"], row["streaming"]) == ("stop", True)
    assert (row["request_model"], row["uncached_input_tokens"]) == ("gpt", 60)


def test_a_call_named_chat_stands_for_its_twins_else_the_one_nearest_the_agent():
    near = call(2, 1, ms=20, name="Response", scope_name="framework")
    far = call(3, 2, at=1, scope_name="sdk")

    assert ids(calls_of(agent(1), near, far)) == ["3"]
    assert ids(calls_of(agent(1), near, far | {"name": "create"})) == ["2"]


def test_a_total_on_an_agent_restates_its_calls():
    total = agent(1, has_usage=True, is_total=True, input_tokens=100)

    assert ids(calls_of(total, call(2, 1, at=1))) == ["2"]
    assert excluded_of(total, call(2, 1, at=1)) == [("1", "aggregate", "2")]


def test_a_call_that_adds_up_the_calls_below_it_restates_them():
    outer = call(2, 1, ms=90, tokens=(300, 31), response_id="resp_2")
    first = call(3, 2, at=1, tokens=(100, 10), response_id="resp_1")
    second = call(4, 2, at=20, tokens=(200, 20), response_id="resp_2")

    draft = drafted(agent(1), outer, first, second)

    assert ids(draft.calls.to_pylist()) == ["3", "4"]
    assert excluded_of(agent(1), outer, first, second) == [("2", "aggregate", "3")]


def test_sums_of_sums_restate_the_calls_too():
    spans = [
        call(2, 1, ms=99, tokens=(300, 30), scope_name="x"),
        call(3, 2, at=1, ms=90, tokens=(300, 30), scope_name="y"),
        call(4, 3, at=2, tokens=(100, 10)),
        call(5, 3, at=20, tokens=(200, 20)),
    ]

    assert ids(calls_of(agent(1), *spans)) == ["4", "5"]


def test_a_call_with_other_counts_than_the_calls_below_it_is_a_call():
    spans = [
        call(2, 1, ms=99, tokens=(301, 30)),
        call(4, 2, at=2, tokens=(100, 10)),
        call(5, 2, at=20, tokens=(200, 20)),
    ]

    assert len(calls_of(agent(1), *spans)) == 3


def test_a_total_is_booked_when_no_call_below_it_has_counts():
    total = agent(1, has_usage=True, input_tokens=500, output_tokens=9)

    rows = calls_of(
        span(9), total | {"parent_span_id": span_id_of(9)}, call(2, 1, tokens=None)
    )

    assert [(row["span_id"][-1], row["operation"], row["step"]) for row in rows] == [
        ("1", "aggregate", None),
        ("2", "chat", 0),
    ]


def test_of_nested_totals_the_uppermost_is_booked():
    outer = agent(1, has_usage=True, input_tokens=500)
    inner = agent(2, 1, has_usage=True, input_tokens=200, at=1)

    assert ids(calls_of(outer, inner)) == ["1"]
    assert excluded_of(outer, inner) == [("2", "aggregate", "1")]


def test_usage_below_a_call_restates_the_call():
    raw = span(3, 2, at=1, has_usage=True, input_tokens=100)

    assert excluded_of(call(2, ms=20), raw) == [("3", "aggregate", "2")]


def test_a_total_waits_while_calls_hang_on_a_missing_parent():
    total = agent(1, has_usage=True, input_tokens=500)
    lost = call(3, 77, at=5)

    assert ids(calls_of(total, lost)) == ["3"]
    assert excluded_of(total, lost) == [("1", "aggregate", "")]


def test_a_total_beside_a_call_of_the_same_missing_parent_is_booked():
    total = agent(1, 77, has_usage=True, input_tokens=500)

    assert ids(calls_of(total, call(3, 77, at=5))) == ["1", "3"]


def test_the_lesser_version_of_a_billed_span_is_retransmitted():
    early, late = call(1, ms=5, tokens=(10, 1)), call(1, ms=10)

    assert [row["input_tokens"] for row in calls_of(early, late)] == [100]
    assert excluded_of(early, late, late) == [("1", "retransmitted", "1")]
    assert excluded_of(late, late) == []


def test_uncached_input_is_never_negative():
    (row,) = calls_of(call(1, cache_read_tokens=90, cache_write_tokens=90))

    assert row["uncached_input_tokens"] == 0


def test_counts_that_were_not_sent_are_null():
    (row,) = calls_of(call(1, tokens=None))

    assert (row["input_tokens"], row["uncached_input_tokens"]) == (None, None)
    assert row["usage_span_id"] is None


def test_a_call_is_received_with_its_first_member():
    framework = call(2, ms=20, scope_name="framework", received_unix_nano=50)
    sdk = call(3, 2, at=1, scope_name="sdk", received_unix_nano=7)

    assert [row["received_unix_nano"] for row in calls_of(framework, sdk)] == [7]
