"""What history, repeats and results cost, as the reports tell it."""

from decimal import Decimal

import pytest
from growth_rows import one_chain
from lake_builder import build_lake
from ledger_rows import at, calls, chains, runs, tool_calls

from collector.errors import QueryError
from collector.query.reports import find_report, run_report, with_parameters
from collector.query.views import Lake
from rollups.growth import judge_chains

MICRO = Decimal("0.000001")


def rows(root, name, **parameters):
    kind = with_parameters(find_report(name), parameters)
    return run_report(Lake(str(root)), kind).table.to_pylist()


def judged_lake(root, sizes, results=(), **options):
    """Write the lake of one judged chain whose input costs $3 a million tokens."""
    judged = judge_chains(*one_chain(sizes, results, **options))
    return build_lake(
        root, calls=judged.calls, chains=judged.chains, tool_calls=judged.tool_calls
    )


def kinds(root):
    return {row["kind"]: row for row in rows(root, "waste")}


def test_a_tool_costs_what_its_results_cost_first_and_carried(tmp_path):
    results = [{"at": 0, "result_tokens": 1000}]

    (row,) = rows(judged_lake(tmp_path, [1000, 2000, 2000], results), "tools")

    assert (row["first_sent_usd"], row["carried_usd"]) == (3000 * MICRO, 3000 * MICRO)
    assert (row["cost_usd"], row["coverage"]) == (6000 * MICRO, 1)


def test_cutting_results_saves_what_their_ends_cost_first_and_carried(tmp_path):
    table = tool_calls(
        [
            {
                "tool_name": "fetch",
                "result_tokens": tokens,
                "first_sent_tokens": tokens,
                "first_sent_usd": Decimal(1),
                "carried_tokens": 2 * tokens,
                "carried_usd": Decimal(2),
            }
            for tokens in (500, 4000)
        ]
    )
    root = build_lake(tmp_path, tool_calls=table)

    (by_tool,) = rows(root, "tools", cut_results_to=1000)
    (saved,) = rows(root, "savings", cut_results_to=1000)

    assert by_tool["saved_usd"] == Decimal("2.25")
    assert saved["action"] == "cut results to 1000 tokens"
    assert (saved["times"], saved["saved_tokens"]) == (1, 9000)
    assert saved["saved_usd"] == Decimal("2.25")


def test_a_tool_whose_results_have_no_price_has_unknown_dollars(tmp_path):
    table = tool_calls(
        [{"tool_name": "fetch", "first_sent_tokens": 7, "carried_tokens": 7}]
    )

    (row,) = rows(build_lake(tmp_path, tool_calls=table), "tools")

    assert (row["cost_usd"], row["saved_usd"], row["coverage"]) == (None, None, 0)


SUMMARISED = {"summarise_every": 2, "summary_tokens": 100}


def summarised(root):
    found = rows(root, "savings", **SUMMARISED)
    return [row for row in found if row["action"].startswith("summarise")]


def test_a_summary_saves_history_and_costs_a_reading_and_itself(tmp_path):
    root = judged_lake(tmp_path, [1000, 2000, 3000, 4000], out=100)

    (row,) = summarised(root)

    spared = 2 * 900 * 3 * MICRO
    summary = 2000 * 3 * MICRO + 100 * 15 * MICRO
    assert row["action"] == "summarise every 2 calls"
    assert row["saved_tokens"] == 2 * 900 - 2000 - 100
    assert (row["times"], row["saved_usd"]) == (1, spared - summary)


def test_history_that_is_cached_saves_only_what_reads_cost(tmp_path):
    read = {
        "cache_read_tokens": 3000,
        "input_cost_usd": 1000 * 3 * MICRO,
        "cache_read_cost_usd": 3000 * Decimal("0.3") * MICRO,
    }
    root = judged_lake(tmp_path, [1000, 2000, 3000, 4000], out=100, changes={3: read})

    (row,) = summarised(root)

    spared = 900 * 3 * MICRO + 900 * Decimal("0.3") * MICRO
    summary = 2000 * 3 * MICRO + 100 * 15 * MICRO
    assert row["saved_usd"] == spared - summary


def test_history_shorter_than_its_summary_is_left_alone(tmp_path):
    root = judged_lake(tmp_path, [1000, 1010, 1020, 1030], out=5)

    (row,) = summarised(root)

    assert (row["times"], row["saved_usd"]) == (0, 0)


def test_an_action_at_an_unknown_price_saves_tokens_and_unknown_dollars(tmp_path):
    unpriced = {"input_cost_usd": None, "cost_status": "unpriced"}
    root = judged_lake(tmp_path, [1000, 2000, 3000], out=100, changes={2: unpriced})

    (row,) = summarised(root)

    assert (row["saved_usd"], row["unpriced"]) == (None, 1)


def test_carried_tells_history_by_version_and_what_it_is_made_of(tmp_path):
    named = {"feature": "refund", "agent_name": "triage"}
    parts = {
        "resent_tokens": 60,
        "resent_usd": Decimal("0.6"),
        "carried_result_usd": Decimal("0.3"),
        "carried_output_usd": Decimal("0.2"),
        "carried_other_usd": Decimal("0.1"),
    }
    root = build_lake(
        tmp_path,
        runs=runs(
            [
                {**named, "run_id": "a", "agent_version": "1", "input_tokens": 100},
                {**named, "run_id": "b", "agent_version": "2", "input_tokens": 100},
            ]
        ),
        chains=chains(
            [
                {"run_id": "a", "chain_id": "a/1", **parts},
                {"run_id": "a", "chain_id": "a/2", **parts},
                {"run_id": "b", "resent_tokens": 50},
            ]
        ),
    )

    dear, unknown = rows(root, "carried")

    assert (dear["agent_version"], dear["resent_usd"]) == ("1", Decimal("1.2"))
    assert dear["carried_result_usd"] == Decimal("0.6")
    assert dear["resent_share"] == pytest.approx(1.2)
    assert (unknown["resent_usd"], unknown["coverage"]) == (None, 0)
    assert unknown["unpriced_chains"] == 1


def test_a_trend_tells_where_contexts_begin_and_how_they_grow(tmp_path):
    def of(version, day, floor, slope, **also):
        return {
            "timestamp": at(hours=24 * day),
            "feature": "refund",
            "agent_name": "triage",
            "agent_version": version,
            "first_input_tokens": floor,
            "slope_tokens_per_step": slope,
            "calls": 5,
            **also,
        }

    rows_ = [
        of("1", 0, 1000, 100.0),
        of("1", 0, 3000, 300.0),
        of("1", 0, 2000, 9000.0, calls=2),
        of("2", 1, 6000, 500.0, quadratic=True),
    ]
    root = build_lake(tmp_path, chains=chains(rows_))

    after, before = rows(root, "trend")

    assert (before["agent_version"], before["conversations"]) == ("1", 3)
    assert (before["floor_tokens"], before["slope_tokens_per_step"]) == (2000, 200)
    assert before["floor_change_tokens"] is None
    assert (after["agent_version"], after["growing"]) == ("2", 1)
    assert after["floor_change_tokens"] == 4000
    assert after["slope_change_tokens_per_step"] == 300


FOUND = {
    "documents": 5,
    "document_bytes": 800,
    "largest_document_bytes": 400,
    "median_document_bytes": 100,
}


def test_retrieval_is_told_apart_with_its_share_of_the_prompts(tmp_path):
    sent = {
        "tool_name": "docs",
        "tool_type": "retrieval",
        "carried_tokens": 0,
        "carried_usd": Decimal(0),
        "first_sent_usd": Decimal("0.1"),
    }
    root = build_lake(
        tmp_path,
        runs=runs([{"input_tokens": 1000}]),
        tool_calls=tool_calls(
            [
                {**sent, "result_tokens": 50, "first_sent_tokens": 50},
                {**sent, "result_tokens": 200, "first_sent_tokens": 200, **FOUND},
                {"tool_name": "bash", "result_tokens": 999, "carried_tokens": 999},
            ]
        ),
    )

    (row,) = rows(root, "retrieval")

    assert (row["source"], row["retrievals"], row["result_tokens"]) == ("docs", 2, 250)
    assert (row["result_tokens_p50"], row["max_result_tokens"]) == (50, 200)
    assert (row["prompt_share"], row["cost_usd"]) == (0.25, Decimal("0.2"))
    assert (row["documents"], row["documents_p50"]) == (5, 5)
    assert (row["document_bytes_p50"], row["document_tokens_p50"]) == (100, 25)
    assert (row["max_document_bytes"], row["max_document_tokens"]) == (400, 100)


def test_what_a_retrieval_of_unknown_size_cost_is_unknown(tmp_path):
    unknown = {"tool_name": "docs", "tool_type": "retrieval", "carried_tokens": 0}
    root = build_lake(
        tmp_path,
        runs=runs([{"input_tokens": 1000}]),
        tool_calls=tool_calls([{**unknown, "carried_usd": Decimal(0)}]),
    )

    (row,) = rows(root, "retrieval")

    assert (row["unknown_sizes"], row["cost_usd"]) == (1, None)
    assert (row["prompt_share"], row["documents"]) == (None, None)


def test_loops_tell_the_calls_from_the_third_round_on(tmp_path):
    again = {
        "arguments_hash": "a",
        "result_hash": "a",
        "result_tokens": 0,
        "tool_name": "poll",
    }

    root = judged_lake(tmp_path, [1000] * 6, [{"at": at, **again} for at in range(5)])

    (row,) = rows(root, "loops")

    assert (row["tools"], row["loop_period"]) == (["poll"], 1)
    assert (row["wasted_calls"], row["first_wasted_step"]) == (3, 2)
    assert row["wasted_usd"] == 3 * 3000 * MICRO
    assert kinds(root)["loop"]["waste_usd"] == 3 * 3000 * MICRO


def test_a_jumps_carry_is_waste_beside_whole_calls(tmp_path):
    results = [{"at": 1, "result_tokens": 17_900}]
    failed = {"error_type": "timeout", "step": None}
    sizes = [2000, 2500, 20_500, 20_600, 20_600, 20_700]

    root = judged_lake(tmp_path, sizes, results, changes={3: failed})

    found = kinds(root)
    assert found["failed"]["waste_usd"] == 20_600 * 3 * MICRO
    assert found["jump_carry"]["waste_usd"] == 2 * 17_900 * 3 * MICRO
    assert found["jump_carry"]["mostly"] == "read"


def test_the_same_input_to_the_same_model_within_a_minute_is_sent_again(tmp_path):
    sent = {"input_hash": "h", "input_tokens": 9, "cost_usd": "1", "service_name": "s"}
    spent = calls(
        [
            {**sent, "trace_id": "a", "timestamp": at()},
            {**sent, "trace_id": "b", "timestamp": at(seconds=30)},
            {**sent, "trace_id": "c", "timestamp": at(minutes=2)},
            {**sent, "trace_id": "d", "timestamp": at(minutes=2), "input_tokens": 8},
        ]
    )
    root = build_lake(tmp_path, calls=spent)

    found = kinds(root)["resent_request"]
    (row,) = rows(root, "retries")
    longer = rows(root, "retries", gap_seconds=90)

    assert (found["occurrences"], found["waste_usd"]) == (1, Decimal(1))
    assert (row["reason"], row["needless_calls"]) == ("same_input", 1)
    assert (row["amplification"], row["sent_usd"]) == (2, Decimal(1))
    assert longer[0]["sent_usd"] == Decimal(2)


def test_failed_attempts_are_retries_with_billed_and_unbilled_dollars(tmp_path):
    spent = calls(
        [
            {
                "timestamp": at(seconds=1),
                "error_type": "429",
                "cost_status": "not_billed",
            },
            {
                "timestamp": at(seconds=2),
                "error_type": "429",
                "cost_status": "not_billed",
                "attempt": 2,
            },
            {"timestamp": at(seconds=3), "error_type": "timeout", "cost_usd": "0.5"},
            {
                "timestamp": at(seconds=4),
                "cost_usd": "0.75",
                "input_cost_usd": "0.5",
                "output_cost_usd": "0.25",
                "attempt": 4,
            },
            {"timestamp": at(seconds=5), "cost_usd": "9"},
        ]
    )

    found = {
        row["reason"]: row for row in rows(build_lake(tmp_path, calls=spent), "retries")
    }

    assert found.keys() == {"429", "timeout"}
    limited, late = found["429"], found["timeout"]
    assert (limited["requests"], limited["needless_calls"]) == (1, 2)
    assert (limited["amplification"], limited["unbilled_calls"]) == (3, 2)
    assert (limited["sent_usd"], limited["unbilled_usd"]) == (None, Decimal(1))
    assert (late["sent_usd"], late["never_answered"]) == (Decimal("0.5"), 0)


def test_attempts_inside_an_sdk_are_counted_apart(tmp_path):
    spent = calls([{"attempt": 4, "cost_usd": "1"}])

    (row,) = rows(build_lake(tmp_path, calls=spent), "retries")

    assert (row["reason"], row["hidden_attempts"]) == ("inside_sdk", 3)
    assert (row["needless_calls"], row["amplification"]) == (0, 4)


def test_a_failure_that_nothing_answered_says_so(tmp_path):
    spent = calls([{"error_type": "500", "cost_status": "not_billed"}])

    (row,) = rows(build_lake(tmp_path, calls=spent), "retries")

    assert (row["never_answered"], row["unbilled_usd"]) == (1, None)


def test_an_input_that_was_embedded_before_is_waste_at_any_distance(tmp_path):
    sent = {
        "operation": "embeddings",
        "input_hash": "h",
        "request_model": "e",
        "input_tokens": 5,
        "cost_usd": "0.1",
    }
    spent = calls([{**sent, "timestamp": at(hours=hour)} for hour in range(3)])

    found = kinds(build_lake(tmp_path, calls=spent))

    assert found["same_embedding"]["occurrences"] == 2
    assert found["same_embedding"]["waste_usd"] == Decimal("0.2")
    assert found["same_embedding"]["mostly"] == "e"


def test_a_tool_call_with_the_same_result_in_one_run_is_waste_from_the_second_on(
    tmp_path,
):
    same = {
        "tool_name": "read",
        "arguments_hash": "a",
        "result_hash": "r",
        "first_sent_tokens": 10,
        "first_sent_usd": Decimal("0.1"),
        "carried_tokens": 20,
        "carried_usd": Decimal("0.2"),
    }
    table = tool_calls(
        [
            {**same, "timestamp": at(seconds=1)},
            {**same, "timestamp": at(seconds=2)},
            {**same, "timestamp": at(seconds=3), "result_hash": "other"},
            {**same, "timestamp": at(seconds=4), "run_id": "other"},
        ]
    )

    found = kinds(build_lake(tmp_path, tool_calls=table))["same_tool_call"]

    assert (found["occurrences"], found["tokens"]) == (1, 30)
    assert (found["waste_usd"], found["mostly"]) == (Decimal("0.3"), "read")


def test_sub_agents_that_return_the_same_are_waste_with_all_below_them(tmp_path):
    below = {"parent_run_id": "run", "name": "helper", "duration_ms": 1000.0}
    root = build_lake(
        tmp_path,
        runs=runs(
            [
                {
                    **below,
                    "run_id": name,
                    "timestamp": at(seconds=10 * place),
                    "input_tokens": 1,
                    "output_tokens": 1,
                    "subtree_cost_usd": Decimal(place + 1),
                }
                for place, name in enumerate(("a", "b", "c"))
            ]
        ),
        tool_calls=tool_calls(
            [
                {
                    "tool_name": "helper",
                    "timestamp": at(seconds=10 * place),
                    "duration_ms": 2000.0,
                    "result_hash": result,
                    "arguments_hash": str(place),
                }
                for place, result in enumerate(("same", "other", "same"))
            ]
        ),
    )

    found = kinds(root)["same_sub_agent"]

    assert (found["occurrences"], found["waste_usd"]) == (1, Decimal(3))
    assert found["mostly"] == "helper"


def beside_each_other(*results, **known):
    """Return runs that tools started at the same time, with what these returned."""
    names = [f"helper {place}" for place in range(len(results))]
    below = {"parent_run_id": "run", "name": "helper", "duration_ms": 1000.0}
    costs = {"input_tokens": 1, "output_tokens": 1, "subtree_cost_usd": Decimal(1)}
    tools = {"tool_name": "helper", "duration_ms": 2000.0}
    return {
        "runs": runs(
            [
                {**below, **costs, "run_id": name}
                | ({"started_by_span_id": name} if known["is_known"] else {})
                for name in names
            ]
        ),
        "tool_calls": tool_calls(
            [
                {**tools, "span_id": name, "result_hash": result}
                for name, result in zip(names, results, strict=True)
            ]
        ),
    }


@pytest.mark.parametrize("is_known", [True, False])
def test_sub_agents_beside_each_other_are_told_apart(tmp_path, is_known):
    root = build_lake(tmp_path, **beside_each_other("a", "b", "c", is_known=is_known))

    assert "same_sub_agent" not in kinds(root)


def test_sub_agents_beside_each_other_may_return_the_same(tmp_path):
    root = build_lake(tmp_path, **beside_each_other("a", "b", "a", is_known=True))

    assert kinds(root)["same_sub_agent"]["occurrences"] == 1


def prefix_calls(changes):
    """Return three calls of one agent, a minute apart, $1 for each 1000 tokens."""
    sent = {
        "agent_name": "triage",
        "input_tokens": 2000,
        "uncached_input_tokens": 2000,
        "new_tokens": 0,
        "resent_tokens": 0,
        "input_cost_usd": "2",
        "cost_usd": "2",
        "cache_unknown": False,
    }
    first = {**sent, "new_tokens": 2000}
    made = [first, sent, {**first, "trace_id": "other"}]
    return calls(
        [
            {**row, "timestamp": at(minutes=minute), **changes.get(minute, {})}
            for minute, row in enumerate(made)
        ]
    )


def tax(root, changes):
    found = kinds(build_lake(root, calls=prefix_calls(changes)))
    return found.get("uncached_prefix")


def test_a_constant_prefix_that_is_not_cached_is_a_tax(tmp_path):
    row = tax(tmp_path, {})

    assert (row["occurrences"], row["waste_usd"]) == (2, Decimal(4))


def test_what_is_retrieved_before_a_conversation_is_no_prefix_of_its_agent(tmp_path):
    found = {"tool_type": "retrieval", "first_sent_tokens": 1500}
    root = build_lake(
        tmp_path,
        calls=prefix_calls({}),
        tool_calls=tool_calls([{**found, "timestamp": at(seconds=-1)}]),
    )

    assert kinds(root)["uncached_prefix"]["occurrences"] == 1


def test_a_prefix_that_is_read_from_the_cache_is_no_tax(tmp_path):
    cached = {"cache_read_tokens": 2000, "uncached_input_tokens": 0}

    row = tax(tmp_path, {1: cached})

    assert (row["occurrences"], row["waste_usd"]) == (1, Decimal(2))


@pytest.mark.parametrize(
    "changes",
    [
        {1: {"timestamp": at(minutes=9)}, 2: {"timestamp": at(minutes=18)}},
        {0: {"input_tokens": 900, "new_tokens": 900}}
        | {place: {"input_tokens": 900} for place in (1,)}
        | {2: {"input_tokens": 900, "new_tokens": 900}},
    ],
    ids=["too late", "too short"],
)
def test_a_prefix_that_no_cache_would_have_is_no_tax(tmp_path, changes):
    assert tax(tmp_path, changes) is None


def test_a_tax_is_unknown_where_the_library_hides_the_cache(tmp_path):
    row = tax(tmp_path, {1: {"cache_unknown": True}, 2: {"agent_name": "other"}})

    assert (row["occurrences"], row["unpriced"], row["waste_usd"]) == (1, 1, None)
    assert (row["waste_lower_usd"], row["waste_upper_usd"]) == (None, None)


def test_a_parameter_that_a_report_does_not_have_is_refused_with_those_it_has():
    with pytest.raises(QueryError, match="no parameter 'size'") as caught:
        with_parameters(find_report("retries"), {"size": 1})

    assert "gap_seconds" in caught.value.line()


def test_a_parameter_of_nothing_is_refused():
    with pytest.raises(QueryError, match="cut_results_to must be 1 to"):
        with_parameters(find_report("tools"), {"cut_results_to": 0})
