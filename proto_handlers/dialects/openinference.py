"""OpenInference, the conventions of Arize Phoenix."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Kind, Usage

OPENINFERENCE: Final = Dialect(
    name="openinference",
    source="https://github.com/Arize-ai/openinference/tree/main/spec, 2026-11; "
    "openinference-instrumentation-openai 0.1.66, -anthropic 3.1.0, -langchain 0.1.80",
    scopes=("openinference.instrumentation.*", "@arizeai/openinference-*"),
    signature=("openinference.span.kind",),
    keys={
        "provider": ("llm.provider", "llm.system"),
        "request_model": ("llm.request.model_name",),
        "response_model": (
            "llm.response.model_name",
            "llm.model_name",
            "embedding.model_name",
            "reranker.model_name",
        ),
        "input_tokens": ("llm.token_count.prompt",),
        "output_tokens": ("llm.token_count.completion",),
        "total_tokens": ("llm.token_count.total",),
        "cache_read_tokens": ("llm.token_count.prompt_details.cache_read",),
        "cache_write_tokens": ("llm.token_count.prompt_details.cache_write",),
        "reasoning_tokens": ("llm.token_count.completion_details.reasoning",),
        "input_audio_tokens": ("llm.token_count.prompt_details.audio",),
        "output_audio_tokens": ("llm.token_count.completion_details.audio",),
        "reported_cost": ("llm.cost.total",),
        "finish_reason": ("llm.finish_reason",),
        "tool_name": ("tool.name",),
        "tool_call_id": ("tool_call.id", "tool.id"),
        "arguments_content": ("tool.parameters", "input.value"),
        "result_content": ("output.value",),
        "input_content": ("input.value",),
    },
    kinds=(
        Kind(
            key="openinference.span.kind",
            operations={
                "llm": "chat",
                "embedding": "embeddings",
                "reranker": "rerank",
                "agent": "invoke_agent",
                "tool": "execute_tool",
                "retriever": "retrieval",
                "chain": "chain",
                "prompt": "prompt",
                "guardrail": "guardrail",
                "evaluator": "evaluator",
            },
        ),
    ),
    usage=(Usage(input="inclusive"),),
)
