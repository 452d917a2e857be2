"""Whose a call is, in a library's free metadata and in the gateways' own words."""

import pytest
from attribute_texts import raw_table
from otlp_requests import request, span

from proto_handlers.dialects.metadata import NAMES
from proto_handlers.normalise import normalise
from proto_handlers.otlp_traces import Payload, decode_traces

NODE_ID = "0311e217-489c-9118-8646-e577299b8497"
PREFIXES = (
    "ai.telemetry.metadata.",
    "ai.settings.context.",
    "langfuse.trace.metadata.",
    "langsmith.metadata.",
    "traceloop.association.properties.",
)


def read(attributes, *, scope=None):
    row = {"attributes": attributes, "scope_name": scope}
    return normalise(raw_table([row])).to_pylist()[0]


def sent(attributes, *, scope):
    wire = request(span(1, attributes=attributes), scope=scope).SerializeToString()
    decoded = decode_traces([Payload(wire, 1)])
    return normalise(decoded.spans).to_pylist()[0]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("identity", NAMES)
def test_every_spelling_of_an_identity_is_read_in_metadata(prefix, identity):
    for name in NAMES[identity]:
        assert read({prefix + name: "x"})[f"own_{identity}"] == "x"


@pytest.mark.parametrize(
    ("metadata", "identity"),
    [
        ('{"userId": "x", "note": "y"}', "user_id"),
        ('{"a": {"feature": "x"}}', "feature"),
        ('{"sessionId": "x"}', "conversation_id"),
        ('{"thread_id": "x", "lc_agent_name": "y"}', "conversation_id"),
        ('{"tenant": "x"}', "tenant"),
    ],
)
def test_openinference_metadata_is_a_json_text(metadata, identity):
    row = sent({"metadata": metadata}, scope="openinference.instrumentation.langchain")

    assert row[f"own_{identity}"] == "x"


def test_a_gateway_names_the_key_the_team_and_what_its_client_says():
    row = sent(
        {
            "metadata.user_api_key_alias": "ci",
            "metadata.user_api_key_team_id": "team-7",
            "metadata.user_api_key_user_id": "user-17",
            "metadata.requester_metadata": "{'feature': 'refund'}",
        },
        scope="litellm",
    )

    assert (row["own_api_key"], row["own_tenant"]) == ("ci", "team-7")
    assert (row["own_user_id"], row["own_feature"]) == ("user-17", "refund")


@pytest.mark.parametrize(
    ("namespace", "run_key"),
    [
        (f"billing:{NODE_ID}|model:{NODE_ID}", f"billing:{NODE_ID}"),
        (f"model:{NODE_ID}", None),
        ("e-0311e217", "e-0311e217"),
    ],
)
def test_a_node_of_a_subgraph_is_in_the_run_of_that_subgraph(namespace, run_key):
    told = {"langsmith.metadata.langgraph_checkpoint_ns": namespace}

    assert read(told, scope="langsmith")["run_key"] == run_key


@pytest.mark.parametrize(
    ("tags", "workflow"),
    [('["trip-desk"]', "trip-desk"), ('["a","b"]', None), ("[", "["), ("[1]", None)],
)
def test_the_only_tag_of_a_trace_suggests_a_workflow(tags, workflow):
    row = read({"langfuse.trace.tags": tags}, scope="langfuse-sdk")

    assert row["workflow_name"] == workflow
    named = read({"langfuse.trace.tags": tags, "langfuse.trace.name": "desk"})
    assert named["workflow_name"] == "desk"


def test_a_hand_off_that_openlit_tells_as_an_agent_is_none():
    told = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "billing"}
    scope = "openlit.instrumentation.openai_agents"

    assert read(told, scope=scope)["span_role"] == "agent"
    handed = read(told | {"gen_ai.agent.source": "triage"}, scope=scope)
    assert (handed["operation"], handed["span_role"]) == ("handoff", "other")


def test_botocore_tells_how_often_it_tried_again():
    scope = "opentelemetry.instrumentation.botocore.bedrock-runtime"

    assert read({"retry_attempts": "2"}, scope=scope)["resend_count"] == 2
    assert read({"retry_attempts": "2"}, scope="app")["resend_count"] is None


@pytest.mark.parametrize(
    ("scope", "attributes"),
    [
        (
            "langsmith",
            {
                "langsmith.span.kind": "chain",
                "langsmith.metadata.lc_agent_name": "billing_agent",
            },
        ),
        (
            "langfuse-sdk",
            {
                "langfuse.observation.type": "chain",
                "langfuse.observation.metadata.lc_agent_name": '"billing_agent"',
            },
        ),
        (
            "opentelemetry.instrumentation.langchain",
            {
                "traceloop.span.kind": "task",
                "traceloop.entity.name": "billing_agent",
                "traceloop.association.properties.lc_agent_name": "billing_agent",
            },
        ),
    ],
)
def test_the_chain_that_has_the_agents_name_is_the_agent(scope, attributes):
    def role(name, changes=()):
        row = {"attributes": attributes | dict(changes), "scope_name": scope}
        return normalise(raw_table([row | {"name": name}])).to_pylist()[0]["span_role"]

    assert role("billing_agent") == "agent"
    named = {"traceloop.entity.name": "model"}
    assert role("model", named if "traceloop.entity.name" in attributes else {}) == (
        "other"
    )
    call = {"gen_ai.operation.name": "chat", "llm.request.type": "chat"}
    call |= {"langsmith.span.kind": "llm", "langfuse.observation.type": "generation"}
    assert role("billing_agent", call) == "call"
