"""Vercel AI SDK, versions 5 to 7."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Kind, Usage
from proto_handlers.dialects.otel_genai import OPERATIONS

VERCEL_AI: Final = Dialect(
    name="vercel_ai",
    source="https://ai-sdk.dev/docs/ai-sdk-core/telemetry, ai 5, 6.0.326",
    scopes=("ai",),
    signature=("ai.operationId",),
    keys={
        "provider": ("ai.model.provider",),
        "request_model": ("ai.model.id",),
        "response_model": ("ai.response.model",),
        "response_id": ("ai.response.id",),
        "input_tokens": (
            "ai.usage.inputTokens",
            "ai.usage.promptTokens",
            "ai.usage.tokens",
        ),
        "output_tokens": ("ai.usage.outputTokens", "ai.usage.completionTokens"),
        "total_tokens": ("ai.usage.totalTokens",),
        "cache_read_tokens": (
            "ai.usage.inputTokenDetails.cacheReadTokens",
            "ai.usage.cachedInputTokens",
        ),
        "cache_write_tokens": ("ai.usage.inputTokenDetails.cacheWriteTokens",),
        "reasoning_tokens": (
            "ai.usage.outputTokenDetails.reasoningTokens",
            "ai.usage.reasoningTokens",
        ),
        "finish_reason": ("ai.response.finishReason",),
        "ttft_ms": ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk"),
        "workflow_name": ("ai.telemetry.functionId",),
        "tool_name": ("ai.toolCall.name",),
        "tool_call_id": ("ai.toolCall.id",),
        "arguments_content": ("ai.toolCall.args",),
        "result_content": ("ai.toolCall.result",),
        "input_content": ("ai.prompt.messages",),
    },
    kinds=(
        Kind(
            key="ai.operationId",
            operations={
                "ai.generatetext.dogenerate": "chat",
                "ai.streamtext.dostream": "chat",
                "ai.generateobject.dogenerate": "chat",
                "ai.streamobject.dostream": "chat",
                "ai.embed.doembed": "embeddings",
                "ai.embedmany.doembed": "embeddings",
                "ai.rerank.dorerank": "rerank",
                "ai.generatetext": "invoke_agent",
                "ai.streamtext": "invoke_agent",
                "ai.generateobject": "invoke_agent",
                "ai.streamobject": "invoke_agent",
                "ai.embed": "invoke_workflow",
                "ai.embedmany": "invoke_workflow",
                "ai.rerank": "invoke_workflow",
                "ai.toolcall": "execute_tool",
            },
        ),
    ),
    usage=(
        Usage(
            input="exclusive",
            provider="anthropic",
            unless="ai.usage.inputTokenDetails.noCacheTokens",
        ),
        Usage(input="inclusive"),
    ),
)

VERCEL_AI_OTEL: Final = Dialect(
    name="vercel_ai_otel",
    source="@ai-sdk/otel 1.0 with ai 7.0.173",
    scopes=("gen_ai",),
    kinds=(Kind(key="gen_ai.operation.name", operations=OPERATIONS),),
    usage=(Usage(input="inclusive"),),
)
