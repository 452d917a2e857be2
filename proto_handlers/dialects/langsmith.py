"""LangSmith's OpenTelemetry exporter."""

from typing import Final

from proto_handlers.dialects.dialect import (
    Dialect,
    Document,
    Excerpt,
    Kind,
    Lie,
    Usage,
)
from proto_handlers.dialects.metadata import metadata_keys

LANGSMITH: Final = Dialect(
    name="langsmith",
    source="https://docs.langchain.com/langsmith/trace-with-opentelemetry, langsmith "
    "0.15.0: the operation name says chat of prompts and embeddings of retrievers, so "
    "the run's type goes first; the cache's counts stand in a JSON text",
    scopes=("langsmith*",),
    signature=("langsmith.span.kind",),
    keys={
        **metadata_keys("langsmith.metadata."),
        "provider": ("langsmith.metadata.ls_provider",),
        "request_model": ("langsmith.metadata.ls_model_name",),
        "agent_name": ("langsmith.metadata.lc_agent_name",),
        "run_key": ("langsmith.metadata.langgraph_checkpoint_ns",),
        "project": ("langsmith.trace.session_name",),
        "streaming": ("langsmith.metadata.stream",),
        "arguments_content": ("gen_ai.prompt",),
        "result_content": ("gen_ai.completion",),
        "input_content": ("gen_ai.prompt",),
    },
    kinds=(
        Kind(
            key="langsmith.span.kind",
            operations={
                "llm": "chat",
                "embedding": "embeddings",
                "tool": "execute_tool",
                "retriever": "retrieval",
                "chain": "chain",
                "prompt": "prompt",
                "parser": "chain",
            },
        ),
    ),
    usage=(Usage(input="inclusive", loses=("cache_read", "cache_write")),),
    lies=(Lie("gen_ai.system", "langchain"), Lie("gen_ai.provider.name", "langchain")),
    documents=(
        Document(
            "langsmith.metadata.usage_metadata",
            "langsmith.span.kind",
            ("llm", "embedding"),
            is_usage=True,
        ),
        Document("gen_ai.completion", "langsmith.span.kind", ("llm", "embedding")),
    ),
    excerpts=(
        Excerpt(
            "gen_ai.completion",
            "response_id",
            (
                r'"id"\s*:\s*"(?P<found>(?:resp_|chatcmpl-)[^"]+)"',
                r'"id"\s*:\s*"(?P<found>msg_[^"]+)"',
            ),
            "langsmith.span.kind",
            ("llm",),
        ),
        Excerpt(
            "gen_ai.completion",
            "tool_call_id",
            (r'"tool_call_id"\s*:\s*"(?P<found>[^"]+)"',),
            "langsmith.span.kind",
            ("tool",),
        ),
    ),
    agent_marks=(("langsmith.metadata.lc_agent_name", ""),),
    content=("langsmith.metadata.LANGSMITH_API_KEY", "langsmith.metadata.inputs"),
)
