"""MLflow tracing."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Document, Excerpt, Kind, Usage
from proto_handlers.dialects.otel_genai import GENAI_KIND

_CALLS: Final = ('"CHAT_MODEL"', '"LLM"', '"EMBEDDING"')

MLFLOW: Final = Dialect(
    name="mlflow",
    source="https://mlflow.org/docs/latest/genai/tracing, mlflow 3.17.2: values are "
    "JSON; usage in mlflow.chat.tokenUsage, the provider's own in the outputs. With "
    "the GenAI conventions switched on, the cache's counts are dropped",
    scopes=("mlflow*",),
    signature=("mlflow.spanType",),
    keys={
        "request_model": ("mlflow.llm.model",),
        "provider": ("mlflow.llm.provider",),
        "conversation_id": ("mlflow.trace.session",),
        "user_id": ("mlflow.trace.user",),
        "arguments_content": ("mlflow.spanInputs",),
        "result_content": ("mlflow.spanOutputs",),
        "input_content": ("mlflow.spanInputs",),
    },
    own_keys={"request_model": ("gen_ai.request.model", "mlflow.llm.model", "model")},
    kinds=(
        Kind(
            key="mlflow.spanType",
            operations={
                "chat_model": "chat",
                "llm": "chat",
                "embedding": "embeddings",
                "reranker": "rerank",
                "agent": "invoke_agent",
                "tool": "execute_tool",
                "retriever": "retrieval",
                "workflow": "invoke_workflow",
                "chain": "chain",
                "parser": "chain",
                "task": "task",
                "memory": "memory",
                "guardrail": "guardrail",
                "evaluator": "evaluator",
            },
        ),
        GENAI_KIND,
    ),
    usage=(
        Usage(
            input="inclusive",
            unless="mlflow.spanType",
            loses=("cache_read", "cache_write"),
        ),
        Usage(input="inclusive", loses=("cache_write",)),
    ),
    documents=(
        Document("mlflow.spanOutputs", "mlflow.spanType", _CALLS),
        Document("mlflow.chat.tokenUsage", "mlflow.spanType", _CALLS, is_usage=True),
    ),
    excerpts=(
        Excerpt(
            "mlflow.spanOutputs",
            "response_id",
            (r'^\s*\{\s*"id"\s*:\s*"(?P<found>[^"]{9,})"',),
            "mlflow.spanType",
            _CALLS,
        ),
    ),
    content=(
        "mlflow.spanInputs",
        "mlflow.spanOutputs",
        "mlflow.traceInputs",
        "mlflow.traceOutputs",
        "mlflow.chat.tools",
        "mlflow.chat.messages",
    ),
    agent_is_named=True,
)
