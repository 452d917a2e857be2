"""OpenLLMetry (Traceloop), Python and Node."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Kind, Usage

OPENLLMETRY: Final = Dialect(
    name="openllmetry",
    source="https://github.com/traceloop/openllmetry 0.62.4; "
    "@traceloop/instrumentation-openai and -anthropic 0.27.0",
    scopes=(
        "opentelemetry.instrumentation.openai.v1",
        "opentelemetry.instrumentation.openai.v0",
        "opentelemetry.instrumentation.anthropic",
        "opentelemetry.instrumentation.langchain",
        "opentelemetry.instrumentation.bedrock",
        "opentelemetry.instrumentation.google_generativeai",
        "opentelemetry.instrumentation.openai_agents",
        "opentelemetry.instrumentation.crewai",
        "opentelemetry.instrumentation.llamaindex",
        "opentelemetry.instrumentation.cohere",
        "opentelemetry.instrumentation.mistralai",
        "opentelemetry.instrumentation.groq",
        "opentelemetry.instrumentation.ollama",
        "opentelemetry.instrumentation.vertexai",
        "opentelemetry.instrumentation.watsonx",
        "@traceloop/*",
        "traceloop.*",
    ),
    signature=("traceloop.span.kind", "llm.request.type"),
    keys={
        "workflow_name": ("traceloop.workflow.name",),
        "total_tokens": ("llm.usage.total_tokens",),
        "streaming": ("llm.is_streaming",),
        "ttft_seconds": ("llm.time_to_first_token",),
        "arguments_content": ("traceloop.entity.input",),
        "result_content": ("traceloop.entity.output",),
        "input_content": ("gen_ai.prompt",),
    },
    own_keys={"tool_name": ("traceloop.entity.name",)},
    kinds=(
        Kind(
            key="llm.request.type",
            operations={
                "chat": "chat",
                "completion": "text_completion",
                "embedding": "embeddings",
                "rerank": "rerank",
            },
        ),
        Kind(
            key="traceloop.span.kind",
            operations={
                "agent": "invoke_agent",
                "tool": "execute_tool",
                "workflow": "invoke_workflow",
                "task": "task",
            },
        ),
    ),
)

OPENLLMETRY_BEDROCK: Final = Dialect(
    name="openllmetry_bedrock",
    source="opentelemetry-instrumentation-bedrock 0.62.4: counts as Bedrock sends them",
    scopes=("opentelemetry.instrumentation.bedrock",),
    usage=(Usage(input="exclusive"),),
)

OPENLLMETRY_NODE_ANTHROPIC: Final = Dialect(
    name="openllmetry_node_anthropic",
    source="@traceloop/instrumentation-anthropic 0.27.0: counts as on the wire",
    scopes=("@traceloop/instrumentation-anthropic",),
    usage=(Usage(input="exclusive"),),
)

OPENLLMETRY_GOOGLE: Final = Dialect(
    name="openllmetry_google",
    source="opentelemetry-instrumentation-google-generativeai 0.62.4: output without "
    "thoughts, which only the total tells",
    scopes=("opentelemetry.instrumentation.google_generativeai",),
    usage=(Usage(input="inclusive", excludes_reasoning=True),),
)
