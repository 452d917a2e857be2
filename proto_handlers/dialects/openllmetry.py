"""OpenLLMetry (Traceloop), Python and Node."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Document, Kind, Lie, Usage
from proto_handlers.dialects.metadata import metadata_keys

_PYTHON: Final = "opentelemetry.instrumentation."
_ASSOCIATIONS: Final = metadata_keys("traceloop.association.properties.")

OPENLLMETRY: Final = Dialect(
    name="openllmetry",
    source="https://github.com/traceloop/openllmetry 0.62.4; "
    "@traceloop/instrumentation-openai and -anthropic 0.27.0. OpenAI's cache writes "
    "are dropped; LangChain's Anthropic writes are zero where their lifetimes are told "
    "apart; Bedrock's counts are as sent, and InvokeModel (which alone has a response "
    "id) drops the cache's; Google's output lacks the thoughts, which only the total "
    "tells; Node copies the wire",
    scopes=(
        *(
            _PYTHON + name
            for name in (
                "openai.v1",
                "openai.v0",
                "anthropic",
                "langchain",
                "bedrock",
                "google_generativeai",
                "openai_agents",
                "crewai",
                "crewai.*",
                "llamaindex*",
                "cohere*",
                "mistralai*",
                "groq*",
                "ollama*",
                "together*",
                "watsonx*",
                "replicate*",
                "alephalpha*",
                "sagemaker*",
                "writer*",
                "agno*",
                "haystack*",
                "mcp*",
                "transformers*",
                "voyageai*",
            )
        ),
        "@traceloop/*",
        "traceloop.*",
    ),
    signature=("traceloop.span.kind", "llm.request.type"),
    keys={
        **_ASSOCIATIONS,
        # What an app associates goes before LangGraph's thread.
        "conversation_id": tuple(reversed(_ASSOCIATIONS["conversation_id"])),
        "workflow_name": ("traceloop.workflow.name", "crewai.crew.name"),
        "total_tokens": ("llm.usage.total_tokens",),
        "cache_read_tokens": ("gen_ai.usage.cache_read_input_tokens",),
        "streaming": ("llm.is_streaming",),
        "ttft_seconds": ("llm.time_to_first_token",),
        "arguments_content": ("traceloop.entity.input",),
        "result_content": ("traceloop.entity.output", "gen_ai.task.output"),
        "input_content": ("gen_ai.prompt", "traceloop.entity.input"),
        "agent_name": ("traceloop.association.properties.lc_agent_name",),
        "run_key": ("traceloop.association.properties.langgraph_checkpoint_ns",),
        "prompt_name": ("traceloop.prompt.key",),
        "prompt_version": ("traceloop.prompt.version",),
    },
    own_keys={"tool_name": ("gen_ai.tool.name", "traceloop.entity.name")},
    kinds=(
        # LangChain's retrievers are tasks besides.
        Kind(
            key="gen_ai.operation.name", operations={"vector_db_retrieve": "retrieval"}
        ),
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
                "handoff": "handoff",
            },
        ),
        Kind(key="crewai.crew.id", operations={"*": "invoke_workflow"}),
    ),
    usage=(
        Usage(
            input="exclusive",
            scope=r"\.bedrock",
            having=("gen_ai.response.id", ".+"),
            loses=("cache_read", "cache_write"),
        ),
        Usage(input="exclusive", scope=r"\.bedrock|^@traceloop/.*(anthropic|bedrock)"),
        Usage(input="inclusive", scope=r"google_generat", excludes_reasoning=True),
        Usage(
            input="inclusive",
            scope=r"\.langchain",
            provider="anthropic|bedrock|aws",
            zero_is_lost=("cache_write",),
            loses=("cache_write",),
        ),
        Usage(
            input="inclusive",
            scope=r"^@traceloop/.*openai",
            loses=("cache_read", "cache_write"),
        ),
        Usage(input="inclusive", scope=r"\.openai", loses=("cache_write",)),
        Usage(input="inclusive", scope=r"\.crewai", loses=("cache_write",)),
        Usage(input="inclusive"),
    ),
    lies=(Lie("gen_ai.provider.name", "crewai"),),
    agent_marks=(
        ("traceloop.association.properties.lc_agent_name", "traceloop.entity.name"),
    ),
    documents=(
        Document("crewai.crew.usage_metrics", is_usage=True),
        Document("crewai.crew.token_usage", is_usage=True),
    ),
    content=(
        "traceloop.entity.input",
        "traceloop.entity.output",
        "traceloop.prompt.template_variables",
        "crewai.crew.inputs",
        "crewai.crew.result",
        "crewai.crew.tasks",
        "crewai.crew.tasks_output",
        "crewai.crew.agents",
        "crewai.task.description",
        "crewai.task.expected_output",
        "crewai.task.tools",
        "crewai.agent.goal",
        "crewai.agent.backstory",
        "crewai.agent.tools",
        "llm.request.functions",
    ),
)
