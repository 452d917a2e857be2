"""Haystack's own OpenTelemetry tracer."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Document, Kind, Usage

HAYSTACK: Final = Dialect(
    name="haystack",
    source="https://docs.haystack.deepset.ai/docs/tracing, haystack-ai 3.4.0: tokens "
    "only in the outputs, which are sent if HAYSTACK_CONTENT_TRACING_ENABLED",
    scopes=("haystack*",),
    signature=("haystack.component.type", "haystack.agent.step"),
    keys={
        "step": ("haystack.agent.step",),
        "tool_name": ("haystack.tool.name",),
        "arguments_content": ("haystack.agent.step.tool.input",),
        "result_content": (
            "haystack.agent.step.tool.output",
            "haystack.component.output",
        ),
        "input_content": ("haystack.agent.step.llm.input", "haystack.component.input"),
    },
    kinds=(
        Kind(
            key="haystack.component.type",
            operations={
                "*generator": "chat",
                "*embedder": "embeddings",
                "*ranker": "rerank",
                "*retriever": "retrieval",
                "agent": "invoke_agent",
                "*": "component",
            },
        ),
    ),
    names={
        "haystack.agent.run": "invoke_agent",
        "haystack.agent.step": "agent_step",
        "haystack.agent.step.llm": "chat",
        "haystack.agent.step.tool": "execute_tool",
        "haystack.pipeline.run": "invoke_workflow",
        "haystack.async_pipeline.run": "invoke_workflow",
    },
    usage=(Usage(input="inclusive"),),
    documents=(
        Document("haystack.agent.step.llm.output"),
        Document("haystack.component.output", "haystack.component.type"),
    ),
    content=(
        "haystack.component.input",
        "haystack.component.output",
        "haystack.pipeline.input_data",
        "haystack.pipeline.output_data",
        "haystack.agent.input",
        "haystack.agent.output",
        "haystack.agent.step.llm.input",
        "haystack.agent.step.llm.output",
        "haystack.agent.step.tool.input",
        "haystack.agent.step.tool.output",
    ),
)
