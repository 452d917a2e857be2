"""Identities that apps put into a library's free metadata, under names of their own."""

from collections.abc import Mapping
from typing import Final

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "feature": ("feature", "app.feature", "feature_name", "featureName"),
    "tenant": ("tenant", "tenant_id", "tenantId", "tenant.id", "app.tenant"),
    "user_id": ("user_id", "userId", "user.id"),
    "conversation_id": (
        "thread_id",
        "threadId",
        "session_id",
        "sessionId",
        "conversation_id",
        "conversationId",
        "chat_id",
        "chatId",
    ),
}
"""
Identity -> names it goes by, best first; both Python's and JavaScript's spelling.

A LangGraph thread goes before the session that it may be one of.
"""


def metadata_keys(*prefixes: str) -> dict[str, tuple[str, ...]]:
    """Return identities with their keys under *prefixes*, the best prefix first."""
    return {
        identity: tuple(prefix + name for prefix in prefixes for name in names)
        for identity, names in NAMES.items()
    }


def pattern_of(identity: str, *, quote: str = '"') -> str:
    """
    Return what finds an identity in a JSON object.

    Args:
        identity: One of `NAMES`.

        quote: Characters that quote, for texts that are no JSON.
    """
    names = "|".join(name.replace(".", r"\.") for name in NAMES[identity])
    mark = f"[{quote}]" if len(quote) > 1 else quote
    return rf"{mark}(?:{names}){mark}\s*:\s*{mark}(?P<found>[^{quote}\\]+){mark}"
