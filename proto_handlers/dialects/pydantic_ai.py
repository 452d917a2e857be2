"""Pydantic AI and Logfire."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Kind, Usage
from proto_handlers.dialects.otel_genai import OPERATIONS

PYDANTIC_AI: Final = Dialect(
    name="pydantic_ai",
    source="https://ai.pydantic.dev/logfire, pydantic-ai 2.68.0 (instrumentation "
    "versions 1 to 5): input with the cached part; run totals have names of their own",
    scopes=("pydantic-ai*", "pydantic_ai*"),
    signature=("gen_ai.agent.call.id",),
    keys={
        "run_key": ("gen_ai.agent.call.id",),
        "reported_cost": ("operation.cost",),
    },
    own_keys={
        "agent_name": ("gen_ai.agent.name", "agent_name"),
        "arguments_content": ("gen_ai.tool.call.arguments", "tool_arguments"),
        "result_content": ("gen_ai.tool.call.result", "tool_response"),
        "input_content": ("gen_ai.input.messages", "events"),
    },
    kinds=(
        Kind(
            key="gen_ai.operation.name",
            operations=OPERATIONS,
        ),
    ),
    # Before instrumentation version 3 agents and tools say nothing of the sort.
    names={
        "agent run": "invoke_agent",
        "running tool": "execute_tool",
        "running tool: *": "execute_tool",
    },
    usage=(Usage(input="inclusive"),),
    content=(
        "pydantic_ai.all_messages",
        "all_messages_events",
        "events",
        "final_result",
        "tool_arguments",
        "tool_response",
        "request_data",
        "response_data",
        "model_request_parameters",
    ),
)
