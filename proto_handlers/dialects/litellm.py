"""LiteLLM's OpenTelemetry callback."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Document, Excerpt, Usage
from proto_handlers.dialects.metadata import NAMES, pattern_of

_QUOTES: Final = "'\""
"""Values are Python literals."""

LITELLM: Final = Dialect(
    name="litellm",
    source="https://docs.litellm.ai/docs/observability/opentelemetry_integration, "
    "1.106.2: input with the cached part; the cache's counts stand in a Python literal",
    scopes=("litellm*",),
    signature=("litellm.call_id",),
    keys={
        "reported_cost": ("gen_ai.cost.total_cost",),
        "user_id": (
            "llm.user",
            "metadata.user_api_key_end_user_id",
            "metadata.user_api_key_user_id",
            "metadata.user_api_key_user_email",
        ),
        "api_key": ("metadata.user_api_key_alias", "metadata.user_api_key_hash"),
    },
    own_keys={
        "project": (
            "metadata.user_api_key_project_alias",
            "metadata.user_api_key_project_id",
        ),
        "tenant": (
            "metadata.user_api_key_team_alias",
            "metadata.team_alias",
            "metadata.user_api_key_team_id",
            "metadata.team_id",
            "metadata.user_api_key_org_alias",
            "metadata.user_api_key_org_id",
        ),
    },
    usage=(Usage(input="inclusive", loses=("cache_read", "cache_write")),),
    documents=(Document("metadata.usage_object", is_usage=True),),
    # What a client of the proxy says of its request.
    excerpts=tuple(
        Excerpt("metadata.requester_metadata", name, (pattern_of(name, quote=_QUOTES),))
        for name in NAMES
    ),
    content=("hidden_params",),
)
