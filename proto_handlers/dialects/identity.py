"""Attribute keys of no dialect in particular that say whose call it is."""

from types import MappingProxyType
from typing import Final

IDENTITY_KEYS: Final = MappingProxyType(
    {
        "tenant": ("spanledger.tenant", "tenant.id", "tenant", "app.tenant"),
        "project": (
            "spanledger.project",
            "app.project",
            "project.name",
            "project",
            "openinference.project.name",
        ),
        "environment": ("deployment.environment.name", "deployment.environment"),
        "feature": (
            "spanledger.feature",
            "app.feature",
            "feature",
            "feature.name",
        ),
        "agent_name": (
            "gen_ai.agent.name",
            "agent.name",
        ),
        "agent_version": ("gen_ai.agent.version", "agent.version"),
        "agent_id": ("gen_ai.agent.id",),
        "conversation_id": (
            "gen_ai.conversation.id",
            "session.id",
        ),
        "user_id": (
            "user.id",
            "enduser.id",
        ),
        "api_key": ("spanledger.api_key", "gen_ai.api_key.name", "api_key.id"),
        "prompt_name": ("gen_ai.prompt.name",),
        "prompt_version": ("gen_ai.prompt.version",),
    }
)
"""
Identity -> attribute keys, best first. The settings put a user's keys before these;
the keys of dialects come after them.
"""
