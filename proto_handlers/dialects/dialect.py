"""What a dialect is, and one look-up by attribute key for all of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from proto_handlers.content import MARKER_PREFIX

Convention = Literal["inclusive", "exclusive"]

COUNT_FIELDS: Final = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
    "web_search_requests",
    "resend_count",
    "step",
    "result_tokens",
)
"""Fields read as whole numbers."""

TEXT_FIELDS: Final = (
    "provider",
    "request_model",
    "response_model",
    "response_id",
    "reported_cost",
    "service_tier",
    "processing",
    "speed",
    "deployment",
    "region",
    "server_address",
    "run_key",
    "workflow_name",
    "http_route",
    "streaming",
    "ttft_seconds",
    "ttft_ms",
    "finish_reason",
    "error_type",
    "tool_name",
    "tool_call_id",
    "arguments_content",
    "result_content",
    "input_content",
    "system_content",
)
"""Fields read as text and interpreted once per distinct value."""


@dataclass(frozen=True, slots=True)
class Kind:
    """An attribute whose values say what a span is."""

    key: str
    operations: Mapping[str, str]
    """Value, lower case -> operation word of the semantic conventions."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How a dialect counts, for all providers or those whose name has *provider*."""

    input: Convention
    provider: str = ""
    unless: str = ""
    """An attribute whose presence on the span rules this convention out."""
    excludes_reasoning: bool = False
    """Whether output leaves reasoning out, so that it must be added."""
    cache_lost: bool = False
    """Whether the library drops cache counts; they are unknown then, not zero."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one family of instrumentations names what a span says."""

    name: str
    source: str
    """Where it was read: library, version, address."""
    scopes: tuple[str, ...] = ()
    """Scope names; a trailing ``*`` stands for any rest."""
    signature: tuple[str, ...] = ()
    """Keys that tell the dialect when the scope is unknown."""
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Field or identity -> attribute keys, best first, read on any span."""
    own_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """As *keys*, but too plain to be read on spans of other dialects."""
    kinds: tuple[Kind, ...] = ()
    """What says that a span is a call, an agent or a tool, best first."""
    usage: tuple[Usage, ...] = ()
    """Counting conventions, first match wins; none: decided by the counts."""
    not_providers: tuple[str, ...] = ()
    """Provider values that name the framework instead."""


class KeyUse(NamedTuple):
    """One use of an attribute key: which field, and for which dialect only."""

    key: str
    field: str
    dialect: int | None


def flatten(dialects: Iterable[Dialect]) -> tuple[KeyUse, ...]:
    """
    Return all uses of all keys, worst first.

    Whoever assigns in this order ends with the best: later dialects are worse than
    earlier ones, later keys worse than earlier ones, and a dialect's own keys are
    best of all.
    """
    shared: list[KeyUse] = []
    own: list[KeyUse] = []
    for place, dialect in enumerate(dialects):
        for name, keys in dialect.keys.items():
            shared.extend(KeyUse(_stored(key, name), name, None) for key in keys)
        for name, keys in dialect.own_keys.items():
            own.extend(KeyUse(_stored(key, name), name, place) for key in keys)
    return tuple(reversed([*own, *shared]))


def _stored(key: str, name: str) -> str:
    return MARKER_PREFIX + key if name.endswith("_content") else key


def matches_scope(dialect: Dialect, scope: str) -> bool:
    """Return whether *scope* is one of the dialect's."""
    return any(
        scope.startswith(pattern[:-1]) if pattern.endswith("*") else scope == pattern
        for pattern in dialect.scopes
    )
