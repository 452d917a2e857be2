"""
Attribute dialects as data, in order of precedence.

An attribute key that two dialects use for one field is read as the earlier one says.
The first dialect whose scope matches, else whose signature is on the span, names it.
"""

from typing import Final

from proto_handlers.dialects.dialect import Dialect
from proto_handlers.dialects.identity import IDENTITY_KEYS
from proto_handlers.dialects.openinference import OPENINFERENCE
from proto_handlers.dialects.openllmetry import (
    OPENLLMETRY,
    OPENLLMETRY_BEDROCK,
    OPENLLMETRY_GOOGLE,
    OPENLLMETRY_NODE_ANTHROPIC,
)
from proto_handlers.dialects.otel_genai import GENAI_APP, OTEL_GENAI, OTEL_GENAI_BEDROCK
from proto_handlers.dialects.vercel_ai import VERCEL_AI, VERCEL_AI_OTEL

DIALECTS: Final[tuple[Dialect, ...]] = (
    OTEL_GENAI_BEDROCK,
    OPENLLMETRY_BEDROCK,
    OPENLLMETRY_NODE_ANTHROPIC,
    OPENLLMETRY_GOOGLE,
    VERCEL_AI_OTEL,
    VERCEL_AI,
    OPENINFERENCE,
    OPENLLMETRY,
    OTEL_GENAI,
    GENAI_APP,
)

__all__ = ["DIALECTS", "IDENTITY_KEYS", "Dialect"]
