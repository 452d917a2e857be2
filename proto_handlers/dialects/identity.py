"""Attribute keys that say whose call it is, best first; from DIALECTS part 5."""

from types import MappingProxyType
from typing import Final

IDENTITY_KEYS: Final = MappingProxyType(
    {
        "tenant": ("spanledger.tenant", "tenant.id", "tenant", "app.tenant"),
        "project": ("spanledger.project", "app.project", "project.name", "project"),
        "environment": ("deployment.environment.name", "deployment.environment"),
        "feature": (
            "spanledger.feature",
            "app.feature",
            "feature",
            "feature.name",
            "traceloop.association.properties.feature",
            "langsmith.metadata.feature",
            "langfuse.trace.metadata.feature",
            "ai.telemetry.metadata.feature",
        ),
        "agent_name": (
            "gen_ai.agent.name",
            "agent.name",
            "traceloop.association.properties.lc_agent_name",
            "langsmith.metadata.lc_agent_name",
            "graph.node.id",
        ),
        "agent_version": ("gen_ai.agent.version", "agent.version"),
        "agent_id": ("gen_ai.agent.id",),
        "conversation_id": (
            "gen_ai.conversation.id",
            "session.id",
            "traceloop.association.properties.chat_id",
            "traceloop.association.properties.session_id",
            "traceloop.association.properties.thread_id",
            "langsmith.metadata.thread_id",
            "langsmith.metadata.session_id",
            "ai.telemetry.metadata.sessionId",
            "langfuse.session.id",
        ),
        "user_id": (
            "user.id",
            "enduser.id",
            "traceloop.association.properties.user_id",
            "langsmith.metadata.user_id",
            "langfuse.user.id",
            "ai.telemetry.metadata.userId",
        ),
        "api_key": ("spanledger.api_key", "gen_ai.api_key.name", "api_key.id"),
        "prompt_name": (
            "gen_ai.prompt.name",
            "langfuse.observation.prompt.name",
            "traceloop.prompt.key",
            "llm.prompt_template.name",
        ),
        "prompt_version": (
            "gen_ai.prompt.version",
            "langfuse.observation.prompt.version",
            "traceloop.prompt.version",
            "llm.prompt_template.version",
        ),
    }
)
"""Identity -> attribute keys; the settings put a user's keys before these."""
