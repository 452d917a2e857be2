"""Vercel AI SDK, versions 5 to 7."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Kind, Usage
from proto_handlers.dialects.metadata import metadata_keys
from proto_handlers.dialects.otel_genai import GENAI_KIND

VERCEL_AI: Final = Dialect(
    name="vercel_ai",
    source="https://ai-sdk.dev/docs/ai-sdk-core/telemetry, ai 5, 6.0.326: version 5 "
    "gives Anthropic's input without the cached part, 6 names the uncached part",
    scopes=("ai",),
    signature=("ai.operationId",),
    keys={
        **metadata_keys("ai.telemetry.metadata.", "ai.settings.context."),
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
        "workflow_name": ("ai.telemetry.functionId", "resource.name"),
        "tool_name": ("ai.toolCall.name",),
        "tool_call_id": ("ai.toolCall.id",),
        "arguments_content": ("ai.toolCall.args",),
        "result_content": ("ai.toolCall.result",),
        "input_content": ("ai.prompt.messages", "ai.values", "ai.value"),
    },
    # As version 7 does.
    own_keys={"agent_name": ("ai.telemetry.functionId",)},
    kinds=(
        Kind(
            key="ai.operationId",
            operations={
                "*.dogenerate": "chat",
                "*.dostream": "chat",
                "*.doembed": "embeddings",
                "*.dorerank": "rerank",
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
    content=(
        "ai.prompt",
        "ai.prompt.messages",
        "ai.prompt.tools",
        "ai.response.text",
        "ai.response.object",
        "ai.response.reasoning",
        "ai.response.toolCalls",
        "ai.response.files",
        "ai.result.text",
        "ai.result.object",
        "ai.result.toolCalls",
        "ai.toolCall.args",
        "ai.toolCall.result",
        "ai.value",
        "ai.values",
        "ai.embedding",
        "ai.embeddings",
        "ai.documents",
        "ai.ranking",
        "ai.schema",
        "ai.request.body",
        "ai.response.body",
    ),
)

VERCEL_AI_OTEL: Final = Dialect(
    name="vercel_ai_otel",
    source="@ai-sdk/otel 1.0 with ai 7.0.173: the agent's name is the function's",
    scopes=("gen_ai", "@ai-sdk/otel"),
    own_keys={"workflow_name": ("gen_ai.agent.name",)},
    kinds=(GENAI_KIND,),
    usage=(Usage(input="inclusive"),),
)
