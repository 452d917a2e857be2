import pytest
from ledger_spans import agent, call, span, table_of, tool

from rollups.ledger import draft_ledger


def call_row(*spans, dimensions=()):
    table = table_of(list(spans), dimensions=dimensions)
    return draft_ledger(table, dimensions=dimensions).calls.to_pylist()[0]


@pytest.mark.parametrize(
    ("root", "parent", "leaf", "expected"),
    [
        pytest.param(
            {"own_feature": "r"},
            {"own_feature": "p"},
            {"own_feature": "o"},
            ("o", "own"),
            id="own",
        ),
        pytest.param(
            {"own_feature": "r"},
            {"own_feature": "p"},
            {},
            ("p", "ancestor"),
            id="nearest",
        ),
        pytest.param(
            {"own_feature": "r"},
            {},
            {"resource_feature": "x"},
            ("r", "ancestor"),
            id="ancestor",
        ),
        pytest.param(
            {},
            {"workflow_name": "w"},
            {"resource_feature": "x"},
            ("x", "resource"),
            id="resource",
        ),
        pytest.param(
            {"http_route": "/a"},
            {"workflow_name": "w"},
            {},
            ("w", "workflow"),
            id="workflow",
        ),
        pytest.param({"http_route": "/a"}, {}, {}, ("/a", "route"), id="route"),
        pytest.param({}, {}, {"service_name": "s"}, (None, None), id="none"),
    ],
)
def test_feature_comes_from(root, parent, leaf, expected):
    row = call_row(
        span(1, **root), agent(2, 1, at=1, **parent), call(3, 2, at=2, **leaf)
    )

    assert (row["feature"], row["feature_source"]) == expected


def test_a_tokens_tenant_goes_before_attributes():
    row = call_row(agent(1), call(2, 1, at=1, own_tenant="mine", tenant="token"))

    assert row["tenant"] == "token"


def test_an_attributes_tenant_is_inherited():
    assert call_row(agent(1, own_tenant="t"), call(2, 1, at=1))["tenant"] == "t"


def test_the_environment_of_the_wire_is_the_last_resort():
    assert call_row(call(1, environment="prod"))["environment"] == "prod"
    assert (
        call_row(call(1, environment="prod", own_environment="x"))["environment"] == "x"
    )


def test_the_nearest_agent_counts_not_the_roots():
    spans = [
        agent(1, own_agent_name="triage"),
        agent(2, 1, at=1, own_agent_name="refund"),
        call(3, 2, at=2),
    ]

    assert call_row(*spans)["agent_name"] == "refund"


def test_an_agent_without_version_does_not_take_the_version_of_the_agent_above():
    spans = [
        agent(1, own_agent_name="triage", own_agent_version="2", own_agent_id="a"),
        agent(2, 1, at=1, own_agent_name="refund"),
        call(3, 2, at=2),
    ]

    row = call_row(*spans)

    assert (row["agent_version"], row["agent_id"]) == (None, None)


def test_a_call_that_names_its_agent_has_the_version_of_that_agent():
    spans = [
        agent(1, own_agent_name="triage", own_agent_version="2"),
        call(3, 1, at=2, own_agent_name="triage"),
    ]

    assert call_row(*spans)["agent_version"] == "2"


def test_configured_dimensions_are_columns_and_are_inherited():
    row = call_row(agent(1, own_team="red"), call(2, 1, at=1), dimensions=("team",))

    assert row["team"] == "red"


def test_any_twin_gives_identity_the_nearest_first():
    spans = [
        agent(1, own_user_id="far", own_feature="f"),
        call(2, 1, at=1, ms=20, scope_name="framework"),
        call(3, 2, at=2, scope_name="sdk", name="create", own_user_id="near"),
    ]

    row = call_row(*spans)

    assert (row["span_id"][-1], row["user_id"], row["feature"]) == ("2", "near", "f")


def test_a_run_takes_from_its_first_call_what_it_does_not_say_itself():
    spans = [agent(1), call(2, 1, at=1), call(3, 1, at=2, own_conversation_id="c")]

    (run,) = draft_ledger(table_of(spans)).runs.to_pylist()

    assert run["conversation_id"] == "c"


def test_a_feature_that_a_call_was_told_goes_before_the_route_of_the_run():
    root = span(9, ms=99, http_route="/refund")
    spans = [root, agent(1, 9), call(2, 1, at=1, own_feature="f")]

    said, suggested = (
        draft_ledger(table_of(rows)).runs.to_pylist()[0]["feature"]
        for rows in (spans, [*spans[:2], call(2, 1, at=1)])
    )

    assert (said, suggested) == ("f", "/refund")


def test_a_tool_call_has_an_identity_too():
    spans = [agent(1, own_feature="f"), tool(2, 1, at=1)]

    (row,) = draft_ledger(table_of(spans)).tool_calls.to_pylist()

    assert row["feature"] == "f"
