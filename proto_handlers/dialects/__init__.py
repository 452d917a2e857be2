"""
Attribute dialects as data, in order of precedence.

An attribute key that two dialects use for one field is read as the earlier one says.
The first dialect whose scope matches, else whose signature is on the span, names it.
"""

from typing import Final

from proto_handlers.dialects.anthropic import ANTHROPIC_SDK, CLAUDE_CODE
from proto_handlers.dialects.dialect import Dialect
from proto_handlers.dialects.google_adk import GOOGLE_ADK
from proto_handlers.dialects.haystack import HAYSTACK
from proto_handlers.dialects.identity import IDENTITY_KEYS
from proto_handlers.dialects.langfuse import LANGFUSE
from proto_handlers.dialects.langsmith import LANGSMITH
from proto_handlers.dialects.litellm import LITELLM
from proto_handlers.dialects.microsoft import (
    AGENT_FRAMEWORK,
    AUTOGEN,
    SEMANTIC_KERNEL,
)
from proto_handlers.dialects.mlflow import MLFLOW
from proto_handlers.dialects.openinference import OPENINFERENCE
from proto_handlers.dialects.openlit import OPENLIT, OPENLIT_LANGGRAPH
from proto_handlers.dialects.openllmetry import OPENLLMETRY
from proto_handlers.dialects.otel_genai import (
    GENAI_APP,
    OTEL_BEDROCK,
    OTEL_GENAI,
    OTEL_OPENAI,
)
from proto_handlers.dialects.pydantic_ai import PYDANTIC_AI
from proto_handlers.dialects.spanledger import SPANLEDGER
from proto_handlers.dialects.strands import STRANDS
from proto_handlers.dialects.vercel_ai import VERCEL_AI, VERCEL_AI_OTEL

DIALECTS: Final[tuple[Dialect, ...]] = (
    OTEL_BEDROCK,
    OTEL_OPENAI,
    ANTHROPIC_SDK,
    CLAUDE_CODE,
    VERCEL_AI_OTEL,
    VERCEL_AI,
    OPENLIT_LANGGRAPH,
    OPENLIT,
    LANGFUSE,
    MLFLOW,
    LANGSMITH,
    LITELLM,
    PYDANTIC_AI,
    GOOGLE_ADK,
    STRANDS,
    AGENT_FRAMEWORK,
    SEMANTIC_KERNEL,
    AUTOGEN,
    HAYSTACK,
    OPENINFERENCE,
    OPENLLMETRY,
    OTEL_GENAI,
    GENAI_APP,
    SPANLEDGER,
)

CONTENT_KEYS: Final = frozenset(key for dialect in DIALECTS for key in dialect.content)
"""Keys whose whole value is message content, from the libraries' documentation."""

__all__ = ["CONTENT_KEYS", "DIALECTS", "IDENTITY_KEYS", "Dialect"]
