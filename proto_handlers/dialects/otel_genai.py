"""OpenTelemetry GenAI semantic conventions, all generations of names."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Kind, Usage
from proto_handlers.dialects.spanledger import (
    DOCUMENT_BYTES,
    DOCUMENTS,
    LARGEST_BYTES,
    MEDIAN_BYTES,
)

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
"""Words of ``gen_ai.operation.name``, and two older ones."""

GENAI_KIND: Final = Kind(key="gen_ai.operation.name", operations=OPERATIONS)

OTEL_GENAI: Final = Dialect(
    name="otel_genai",
    source="https://github.com/open-telemetry/semantic-conventions-genai, 2026-11; "
    "names before v1.42 from open-telemetry/semantic-conventions v1.27 to v1.41; "
    "underscored cache keys as hand-instrumented apps send them",
    scopes=(
        "opentelemetry.instrumentation.genai.*",
        "opentelemetry.instrumentation.google_genai",
        "opentelemetry.instrumentation.vertexai",
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
        "cache_read_audio_tokens": ("gen_ai.usage.audio.cache_read.input_tokens",),
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
            "gen_ai.client.operation.time_to_first_chunk",
            "gen_ai.server.time_to_first_token",
        ),
        "ttft_of_any": ("gen_ai.server.time_to_first_token",),
        "finish_reason": (
            "gen_ai.response.finish_reasons",
            "gen_ai.response.finish_reason",
        ),
        "error_type": ("error.type",),
        "http_status": ("http.response.status_code", "http.status_code"),
        "tool_name": ("gen_ai.tool.name",),
        "tool_call_id": ("gen_ai.tool.call.id",),
        "arguments_content": ("gen_ai.tool.call.arguments",),
        "result_content": ("gen_ai.tool.call.result", "gen_ai.retrieval.documents"),
        "result_tokens": ("spanledger.tool.result_tokens",),
        "documents": (
            DOCUMENTS,
            "gen_ai.retrieval.document_count",
        ),
        "document_bytes": (DOCUMENT_BYTES,),
        "largest_document_bytes": (LARGEST_BYTES,),
        "median_document_bytes": (MEDIAN_BYTES,),
        "input_content": ("gen_ai.input.messages",),
        "system_content": ("gen_ai.system_instructions",),
    },
    kinds=(GENAI_KIND,),
    usage=(Usage(input="inclusive"),),
    log_events=("gen_ai.client.inference.operation.details",),
    content=(
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.tool.definitions",
        "gen_ai.tool.description",
        "gen_ai.prompt",
        "gen_ai.completion",
        "gen_ai.event.content",
        "gen_ai.retrieval.query.text",
        "gen_ai.retrieval.documents",
        "gen_ai.content.prompt",
        "gen_ai.content.completion",
    ),
)

OTEL_BEDROCK: Final = Dialect(
    name="otel_bedrock",
    source="opentelemetry-instrumentation-genai-bedrock 1.3b0, "
    "opentelemetry-instrumentation-botocore 0.66b2: Bedrock's own exclusive counts; "
    "botocore drops the cache's on InvokeModel",
    scopes=(
        "opentelemetry.instrumentation.genai.bedrock",
        "opentelemetry.instrumentation.botocore*",
    ),
    own_keys={"resend_count": ("http.request.resend_count", "retry_attempts")},
    usage=(
        Usage(
            input="exclusive",
            scope=r"\.botocore",
            having=("rpc.method", "InvokeModel.*"),
            loses=("cache_read", "cache_write"),
        ),
        Usage(input="exclusive"),
    ),
)

OTEL_OPENAI: Final = Dialect(
    name="otel_openai",
    source="opentelemetry-instrumentation-openai-v2 2.4b0 (also through util-genai "
    "0.4b0), @opentelemetry/instrumentation-openai 0.21: no cache counts",
    scopes=(
        "opentelemetry.instrumentation.openai_v2",
        "opentelemetry.util.genai.handler",
        "@opentelemetry/instrumentation-openai",
    ),
    usage=(Usage(input="inclusive", loses=("cache_read", "cache_write")),),
)

GENAI_APP: Final = Dialect(
    name="genai_app",
    source="apps that set gen_ai attributes by hand; how they count is told by the "
    "names of the cache keys, the provider and the counts themselves",
    signature=("gen_ai.operation.name", "gen_ai.request.model", "gen_ai.agent.name"),
)
