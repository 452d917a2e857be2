"""OpenInference, the conventions of Arize Phoenix."""

from typing import Final

from proto_handlers.dialects.dialect import (
    Dialect,
    Document,
    Excerpt,
    Kind,
    Usage,
)
from proto_handlers.dialects.metadata import NAMES, pattern_of

_CALLS: Final = ("LLM", "EMBEDDING", "RERANKER")
_IDS: Final = (
    r'^\s*\{\s*"id"\s*:\s*"(?P<found>[^"]{9,})"',
    r'"id"\s*:\s*"(?P<found>(?:resp_|chatcmpl-|cmpl-|gen-)[^"]+)"',
    r'"(?:response_id|responseId)"\s*:\s*"(?P<found>[^"]{9,})"',
    r'"id"\s*:\s*"(?P<found>msg_[^"]+)"',
    # smolagents prints the client's object.
    r"\(id='(?P<found>(?:chatcmpl-|msg_)[^']+)'",
)
_BLIND: Final = (
    r"^@arizeai/openinference|^openinference\.instrumentation\."
    r"(?!(?:openai|openai_agents|anthropic|bedrock|google_genai|vertexai)$)"
)
"""All but the instrumentations that were seen to send what was written."""

OPENINFERENCE: Final = Dialect(
    name="openinference",
    source="https://github.com/Arize-ai/openinference/tree/main/spec, 2026-11; "
    "openinference-instrumentation-openai 0.1.66, -anthropic 3.1.0, -langchain "
    "0.1.80, -litellm 0.1.51, -smolagents 0.1.43, -haystack 0.1.46, -crewai 1.1.21, "
    "-claude-agent-sdk 0.1.22, @arizeai/openinference-instrumentation-openai 4.2.7. "
    "Cache writes of OpenAI models stand only in the response document, if there is "
    "one; smolagents, Haystack and CrewAI leave out reads as well; the Claude Agent "
    "SDK's span counts the last message only",
    scopes=("openinference.*", "@arizeai/openinference-*"),
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
        "arguments_content": ("input.value",),
        "result_content": ("output.value", "retrieval.documents"),
        "input_content": ("input.value", "llm.input_messages"),
        "agent_name": ("agent.name", "graph.node.id"),
        "prompt_name": ("llm.prompt_template.name",),
        "prompt_version": ("llm.prompt_template.version",),
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
    # openai-agents' turns and smolagents' steps are chains that only names tell.
    names={"turn": "agent_step", "Step *": "agent_step"},
    usage=(
        Usage(input="inclusive", scope="claude_agent_sdk", is_part=True),
        Usage(
            input="inclusive",
            scope="(smolagents|crewai|haystack)",
            loses=("cache_read", "cache_write"),
        ),
        Usage(
            input="inclusive",
            scope=_BLIND,
            provider="^(?!.*(anthropic|bedrock|google))",
            loses=("cache_write",),
        ),
        Usage(input="inclusive"),
    ),
    documents=(
        Document("output.value", "openinference.span.kind", _CALLS),
        Document("output.value", "crew_key", ()),
    ),
    excerpts=(
        Excerpt("output.value", "response_id", _IDS, "openinference.span.kind", _CALLS),
        # Google's SDK makes several calls in one span, which counts the last.
        Excerpt(
            "output.value",
            "calls_inside",
            (r'"automatic_function_calling_history"\s*:\s*(?P<found>\[)\s*\{',),
            "llm.provider",
            ("google",),
        ),
        Excerpt(
            "output.value",
            "tool_call_id",
            (r'"tool_call_id"\s*:\s*"(?P<found>[^"]+)"',),
            "openinference.span.kind",
            ("TOOL",),
        ),
        *(Excerpt("metadata", name, (pattern_of(name),)) for name in NAMES),
        *(
            Excerpt("metadata", name, (rf'"{key}"\s*:\s*"(?P<found>[^"\\]+)"',))
            for name, key in (
                ("agent_name", "lc_agent_name"),
                ("run_key", "langgraph_checkpoint_ns"),
            )
        ),
    ),
    content=(
        "input.value",
        "output.value",
        "llm.prompts",
        "llm.completions",
        "llm.function_call",
        "llm.invocation_parameters",
        "llm.prompt_template.template",
        "llm.prompt_template.variables",
        "tool.parameters",
        "tool.description",
        "reranker.query",
        "crew_inputs",
        "crew_tasks",
        "crew_agents",
    ),
    agent_is_named=True,
)
