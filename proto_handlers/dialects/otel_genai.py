"""OpenTelemetry GenAI semantic conventions, all generations of names."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Kind, Usage

OPERATIONS: Final = {
    word: word
    for word in (
        "chat",
        "text_completion",
        "generate_content",
        "embeddings",
        "rerank",
        "invoke_agent",
        "create_agent",
        "invoke_workflow",
        "execute_tool",
        "retrieval",
        "agent_step",
        "image_generation",
        "speech",
        "transcription",
    )
} | {"completion": "text_completion", "embedding": "embeddings"}

OTEL_GENAI: Final = Dialect(
    name="otel_genai",
    source="https://github.com/open-telemetry/semantic-conventions-genai, 2026-11; "
    "names before v1.42 from open-telemetry/semantic-conventions v1.27 to v1.41; "
    "underscored cache keys as hand-instrumented apps send them",
    scopes=(
        "opentelemetry.instrumentation.genai.openai",
        "opentelemetry.instrumentation.genai.anthropic",
        "opentelemetry.instrumentation.genai.langchain",
        "opentelemetry.instrumentation.genai.openai_agents",
        "opentelemetry.instrumentation.google_genai",
        "opentelemetry.util.genai.handler",
    ),
    keys={
        "provider": ("gen_ai.provider.name", "gen_ai.system"),
        "request_model": ("gen_ai.request.model",),
        "response_model": ("gen_ai.response.model",),
        "response_id": ("gen_ai.response.id",),
        "input_tokens": (
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.prompt_tokens",
        ),
        "output_tokens": (
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
        ),
        "total_tokens": ("gen_ai.usage.total_tokens",),
        "cache_read_tokens": (
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.details.cache_read_input_tokens",
            "gen_ai.usage.details.cache_read_tokens",
        ),
        "cache_write_tokens": (
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_write_input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.details.cache_write_tokens",
            "gen_ai.usage.details.cache_creation_input_tokens",
        ),
        "cache_write_5m_tokens": (
            "anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
        ),
        "cache_write_1h_tokens": (
            "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
        ),
        "reasoning_tokens": (
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.reasoning_tokens",
            "gen_ai.usage.details.reasoning_tokens",
            "gen_ai.usage.details.thoughts_tokens",
        ),
        "input_audio_tokens": ("gen_ai.usage.audio.input_tokens",),
        "output_audio_tokens": ("gen_ai.usage.audio.output_tokens",),
        "input_image_tokens": ("gen_ai.usage.image.input_tokens",),
        "output_image_tokens": ("gen_ai.usage.image.output_tokens",),
        "web_search_requests": (
            "spanledger.usage.web_search_requests",
            "anthropic.usage.server_tool_use.web_search_requests",
        ),
        "reported_cost": ("gen_ai.usage.cost", "gen_ai.usage.cost.amount"),
        "service_tier": (
            "openai.response.service_tier",
            "gen_ai.openai.response.service_tier",
            "anthropic.response.service_tier",
            "gen_ai.response.service_tier",
            "gen_ai.request.service_tier",
            "openai.request.service_tier",
            "gen_ai.openai.request.service_tier",
        ),
        "processing": ("spanledger.processing",),
        "speed": ("spanledger.speed", "gen_ai.request.speed"),
        "deployment": ("spanledger.deployment",),
        "region": ("cloud.region", "aws.region"),
        "server_address": ("server.address",),
        "resend_count": ("http.request.resend_count",),
        "step": ("gen_ai.agent.step",),
        "workflow_name": ("gen_ai.workflow.name",),
        "http_route": ("http.route",),
        "streaming": ("gen_ai.request.stream", "gen_ai.is_streaming"),
        "ttft_seconds": (
            "gen_ai.response.time_to_first_chunk",
            "gen_ai.server.time_to_first_token",
        ),
        "finish_reason": (
            "gen_ai.response.finish_reasons",
            "gen_ai.response.finish_reason",
        ),
        "error_type": ("error.type",),
        "tool_name": ("gen_ai.tool.name",),
        "tool_call_id": ("gen_ai.tool.call.id",),
        "arguments_content": ("gen_ai.tool.call.arguments",),
        "result_content": ("gen_ai.tool.call.result",),
        "result_tokens": ("spanledger.tool.result_tokens",),
        "input_content": ("gen_ai.input.messages",),
        "system_content": ("gen_ai.system_instructions",),
    },
    kinds=(Kind(key="gen_ai.operation.name", operations=OPERATIONS),),
    usage=(Usage(input="inclusive"),),
)

GENAI_APP: Final = Dialect(
    name="genai_app",
    source="apps that set gen_ai attributes by hand; how they count is told by the "
    "names of the cache keys, the provider and the counts themselves",
    signature=("gen_ai.operation.name", "gen_ai.request.model", "gen_ai.agent.name"),
)

OTEL_GENAI_BEDROCK: Final = Dialect(
    name="otel_genai_bedrock",
    source="opentelemetry-instrumentation-genai-bedrock 1.3b0, "
    "opentelemetry-instrumentation-botocore 0.66b2: Converse's own exclusive counts",
    scopes=(
        "opentelemetry.instrumentation.genai.bedrock",
        "opentelemetry.instrumentation.botocore*",
    ),
    usage=(Usage(input="exclusive"),),
)
