from ledger_spans import agent, call, span, span_id_of, table_of, tool, trace_id_of

from rollups.ledger import draft_ledger


def drafted(*spans):
    return draft_ledger(table_of(list(spans)))


def runs_of(*spans):
    return drafted(*spans).runs.to_pylist()


def run_ids(*spans):
    return [row["run_id"].lstrip("0") for row in drafted(*spans).calls.to_pylist()]


def test_the_run_of_a_call_is_its_nearest_agent():
    spans = [agent(1), agent(2, 1, at=1), call(3, 2, at=2), call(4, 1, at=3)]

    assert run_ids(*spans) == ["2", "1"]


def test_a_sub_agents_run_has_its_agent_above_as_parent():
    spans = [agent(1), tool(5, 1, at=1), agent(2, 5, at=2)]

    parents = {row["run_id"]: row["parent_run_id"] for row in runs_of(*spans)}

    assert parents == {span_id_of(1): None, span_id_of(2): span_id_of(1)}


def test_a_sub_agents_run_says_which_tool_started_it():
    started = [tool(5, 1, at=1), agent(2, 5, at=2), tool(6, 1, at=1), agent(3, 6, at=2)]
    inner = [tool(7, 2, at=3), agent(4, 2, at=4)]

    tools = {
        row["run_id"]: row["started_by_span_id"]
        for row in runs_of(agent(1), *started, *inner)
    }

    assert tools == {
        span_id_of(1): None,
        span_id_of(2): span_id_of(5),
        span_id_of(3): span_id_of(6),
        span_id_of(4): None,
    }


def test_a_call_that_starts_before_its_agent_changes_nothing_about_parents():
    spans = [agent(1, at=9), agent(2, 1, at=8), call(3, 2, at=0)]

    parents = {row["run_id"]: row["parent_run_id"] for row in runs_of(*spans)}

    assert parents == {span_id_of(1): None, span_id_of(2): span_id_of(1)}


def test_without_an_agent_the_dialects_own_run_id_counts():
    assert run_ids(span(1, run_key="run-7"), call(2, 1, at=1)) == ["run-7"]


def test_without_any_key_the_run_is_the_trace():
    draft = drafted(span(1, name="GET /", ms=99), call(2, 1, at=1))

    (run,) = draft.runs.to_pylist()

    assert run["run_id"] == trace_id_of(1)
    assert (run["name"], run["closed"], run["duration_ms"]) == ("GET /", True, 99.0)


def test_one_run_key_in_two_traces_is_two_runs():
    runs = runs_of(call(1, run_key="k"), call(2, trace=2, run_key="k"))

    assert [run["run_id"] for run in runs] == ["k", "k"]
    assert [run["calls"] for run in runs] == [1, 1]


def test_a_call_whose_parent_never_arrives_is_in_the_traces_run():
    (run,) = runs_of(call(2, 99))

    assert (run["run_id"], run["closed"]) == (trace_id_of(1), False)


def test_a_run_has_its_final_id_before_its_agent_span_arrives():
    children = [call(2, 1, at=1), tool(3, 1, at=20), call(4, 1, at=40)]

    (before,) = runs_of(*children)
    (after,) = runs_of(agent(1), *children)

    assert before["run_id"] == after["run_id"] == span_id_of(1)
    assert (before["closed"], after["closed"]) == (False, True)


def test_a_sub_agent_of_an_agent_that_has_not_arrived_has_it_as_parent():
    runs = runs_of(tool(3, 1), agent(2, 3, at=1), call(4, 1, at=2, own_agent_name="a"))

    assert {run["run_id"][-1]: run["parent_run_id"] for run in runs} == {
        "1": None,
        "2": span_id_of(1),
    }


def test_an_agent_without_calls_is_a_run():
    (run,) = runs_of(agent(1, status_code="ERROR", error_type="_OTHER"))

    assert (run["calls"], run["input_tokens"]) == (0, None)
    assert run["error_type"] == "_OTHER"


def test_a_trace_without_calls_and_agents_is_no_run():
    assert runs_of(span(1), tool(2, 1, at=1)) == []


def test_a_run_counts_its_own_calls_only():
    spans = [
        agent(1),
        agent(2, 1, at=1),
        call(3, 2, at=2, tokens=(70, 7)),
        call(4, 1, at=20, tokens=(30, 3), cache_read_tokens=10),
        call(5, 1, at=40, tokens=None, error_type="500"),
    ]

    outer, inner = runs_of(*spans)

    assert (outer["calls"], outer["failed_calls"], outer["steps"]) == (2, 1, 1)
    assert (outer["input_tokens"], outer["output_tokens"]) == (30, 3)
    assert outer["cache_read_tokens"] == 10
    assert (inner["input_tokens"], inner["cache_read_tokens"]) == (70, None)


def test_a_run_lasts_from_its_first_start_to_its_last_end():
    (run,) = runs_of(agent(1, at=0, ms=50), call(2, 1, at=40, ms=30))

    assert run["duration_ms"] == 70.0


def chains_of(*spans):
    return [row["chain_id"][-4:] for row in drafted(*spans).calls.to_pylist()]


def test_a_run_with_one_conversation_is_one_chain():
    spans = [call(k, 1, at=k * 20, system_prompt_hash="a") for k in (2, 3, 4)]

    assert chains_of(agent(1), *spans) == ["0001"] * 3


def test_system_prompts_that_take_turns_split_a_run_into_chains():
    prompts = ["a", "b", "a", "b"]
    spans = [
        call(2 + k, 1, at=k * 20, system_prompt_hash=p) for k, p in enumerate(prompts)
    ]

    assert chains_of(agent(1), *spans) == ["01/1", "01/2", "01/1", "01/2"]


def test_conversations_split_a_run_into_chains():
    talks = ["x", "x", "y", "x"]
    spans = [
        call(2 + k, 1, at=k * 20, own_conversation_id=c) for k, c in enumerate(talks)
    ]

    assert chains_of(agent(1), *spans) == ["01/1", "01/1", "01/2", "01/1"]


def test_agents_that_take_turns_in_one_run_are_chains():
    names = ["triage", "billing", "billing"]
    spans = [
        call(2 + k, 1, at=k * 20, own_agent_name=name) for k, name in enumerate(names)
    ]

    assert chains_of(agent(1), *spans) == ["01/1", "01/2", "01/2"]


def test_a_prompt_that_is_new_at_every_call_splits_nothing():
    spans = [call(2 + k, 1, at=k * 20, system_prompt_hash=str(k)) for k in range(5)]

    assert chains_of(agent(1), *spans) == ["0001"] * 5


def test_embeddings_do_not_split_a_run():
    spans = [
        call(2, 1, at=1, system_prompt_hash="a"),
        call(3, 1, at=20, operation="embeddings", system_prompt_hash="b"),
    ]

    assert chains_of(agent(1), *spans) == ["0001"] * 2
