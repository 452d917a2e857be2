"""Langfuse."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Document, Kind, Usage
from proto_handlers.dialects.metadata import metadata_keys

_METADATA: Final = metadata_keys(
    "langfuse.trace.metadata.", "langfuse.observation.metadata."
)

LANGFUSE: Final = Dialect(
    name="langfuse",
    source="https://langfuse.com/integrations/native/opentelemetry, SDK 3 to 5.0.4. "
    "Usage is a JSON text: the wire's (OpenAI wrapper), or parts that add up "
    "(LangChain callback, by hand)",
    scopes=("langfuse-sdk", "langfuse*"),
    signature=("langfuse.observation.type",),
    keys={
        "request_model": ("langfuse.observation.model.name",),
        "provider": ("langfuse.observation.metadata.ls_provider",),
        **_METADATA,
        "conversation_id": (
            "langfuse.session.id",
            "langfuse.trace.session_id",
            *_METADATA["conversation_id"],
        ),
        "user_id": (
            "langfuse.user.id",
            "langfuse.trace.user_id",
            *_METADATA["user_id"],
        ),
        "run_key": ("langfuse.observation.metadata.langgraph_checkpoint_ns",),
        "agent_name": (
            "langfuse.observation.metadata.lc_agent_name",
            "langfuse.trace.metadata.lc_agent_name",
        ),
        "prompt_name": ("langfuse.observation.prompt.name",),
        "prompt_version": ("langfuse.observation.prompt.version",),
        "environment": ("langfuse.environment",),
        "workflow_name": ("langfuse.trace.name", "langfuse.trace.tags"),
        "finish_reason": ("langfuse.observation.metadata.finish_reason",),
        "first_token_time": ("langfuse.observation.completion_start_time",),
        "tool_call_id": ("langfuse.observation.metadata.tool_call_id",),
        "arguments_content": ("langfuse.observation.input",),
        "result_content": ("langfuse.observation.output",),
        "input_content": ("langfuse.observation.input",),
    },
    kinds=(
        Kind(
            key="langfuse.observation.type",
            operations={
                "generation": "chat",
                "embedding": "embeddings",
                "agent": "invoke_agent",
                "tool": "execute_tool",
                "retriever": "retrieval",
                "chain": "chain",
                "span": "span",
                "evaluator": "evaluator",
                "guardrail": "guardrail",
                "event": "event",
            },
        ),
    ),
    usage=(Usage(input="inclusive"),),
    documents=(
        Document(
            "langfuse.observation.usage_details",
            "langfuse.observation.type",
            ("generation", "embedding"),
            is_usage=True,
        ),
    ),
    content=(
        "langfuse.observation.input",
        "langfuse.observation.output",
        "langfuse.trace.input",
        "langfuse.trace.output",
        "langfuse.observation.status_message",
    ),
    agent_marks=(("langfuse.observation.metadata.lc_agent_name", ""),),
    agent_is_named=True,
)
