"""What a dialect is, and one look-up by attribute key for all of them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Literal, NamedTuple

Convention = Literal["inclusive", "exclusive"]
Lost = Literal["cache_read", "cache_write"]

MARKER_PREFIX: Final = "spanledger.content."
"""Before the key of content whose size and hash are kept."""

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
    "cache_read_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
    "found_input_tokens",
    "found_output_tokens",
    "found_cache_read_tokens",
    "found_cache_write_tokens",
    "extra_input_tokens",
    "extra_output_tokens",
    "web_search_requests",
    "resend_count",
    "attempt",
    "step",
    "result_tokens",
    "documents",
    "document_bytes",
    "largest_document_bytes",
    "median_document_bytes",
)
"""Fields read as whole numbers; ``found_`` marks those found inside documents."""

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
    "ttft_of_any",
    "first_token_time",
    "finish_reason",
    "error_type",
    "http_status",
    "tool_name",
    "tool_call_id",
    "calls_inside",
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
    """
    Value, lower case -> operation word of the semantic conventions.

    A leading or trailing ``*`` in a value stands for any rest; exact values go first,
    then patterns in order.
    """


@dataclass(frozen=True, slots=True)
class Usage:
    """How a dialect counts; of several, the first that fits a span."""

    input: Convention
    scope: str = ""
    """Regular expression found in the scope's name; empty for all."""
    provider: str = ""
    """Regular expression found in the provider's name, lower case; empty for all."""
    operation: str = ""
    """The only operation it holds for; empty for all."""
    having: tuple[str, str] | None = None
    """An attribute that must be there, and what its whole value must match."""
    unless: str = ""
    """An attribute whose presence on the span rules this convention out."""
    excludes_reasoning: bool = False
    """Whether output leaves reasoning out, so that it must be added."""
    loses: tuple[Lost, ...] = ()
    """Counts that the library drops: where not sent, they are unknown, not zero."""
    zero_is_lost: tuple[Lost, ...] = ()
    """Counts that the library sends as zero when it has dropped them."""
    is_part: bool = False
    """Whether the counts are those of one of several calls behind the span."""


@dataclass(frozen=True, slots=True)
class Lie:
    """Values of an attribute that do not mean what the attribute's name says."""

    key: str
    values: str
    """Regular expression that matches the whole value; it is not read then."""


@dataclass(frozen=True, slots=True)
class Document:
    """An attribute that holds usage or an id inside a text, read before it is cut."""

    key: str
    kind_key: str = ""
    """Attribute that must be on the span besides; empty for any span."""
    kinds: tuple[str, ...] = ()
    """Values of it that make the span one to read; empty for any."""
    is_usage: bool = False
    """Whether the document is the usage itself; else it is somewhere inside."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A text inside an attribute, found by a regular expression before it is cut."""

    key: str
    found: str
    """What it tells: a field of `proto_handlers.dialects.spanledger`."""
    patterns: tuple[str, ...]
    """RE2 expressions with a group called ``found``; the first that matches counts."""
    kind_key: str = ""
    kinds: tuple[str, ...] = ()
    """As in `Document`."""


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
    """As *keys*, but too plain, or too odd, to be read on spans of other dialects."""
    kinds: tuple[Kind, ...] = ()
    """What says that a span is a call, an agent or a tool, best first."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Span name, as in `Kind` -> operation, where names alone tell; goes first."""
    usage: tuple[Usage, ...] = ()
    """Counting conventions, first match wins; none: decided by the counts."""
    log_events: tuple[str, ...] = ()
    """Names of log events that tell a call with its counts."""
    failure_events: tuple[str, ...] = ()
    """Names of log events that tell a call that was given up."""
    lies: tuple[Lie, ...] = ()
    """What is not to be believed on this dialect's spans."""
    documents: tuple[Document, ...] = ()
    """Where usage stands inside a text, best first."""
    excerpts: tuple[Excerpt, ...] = ()
    """What else stands inside texts."""
    content: tuple[str, ...] = ()
    """Keys whose value is message content."""
    agent_marks: tuple[tuple[str, str], ...] = ()
    """
    Attributes that hold the agent's name on all that it does, each with the attribute
    that names the span itself, empty for the span's name. Where the two are equal on
    what is no call, tool or workflow, the span is the agent's.
    """
    agent_is_named: bool = False
    """Whether the name of an agent's span is the agent's, if nothing else names it."""


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
    return any(matches(pattern, scope) for pattern in dialect.scopes)


def matches(pattern: str, text: str) -> bool:
    """Return whether *text* is *pattern*, whose ``*`` stand for any text."""
    return _expression(pattern).fullmatch(text) is not None


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    parts = (re.escape(part) for part in pattern.split("*"))
    return re.compile(".*".join(parts), re.DOTALL)


def meaning_of(operations: Mapping[str, str], text: str) -> str | None:
    """Return the operation that *text* stands for: exactly, else by pattern."""
    exact = operations.get(text)
    if exact is not None:
        return exact
    return next(
        (
            operation
            for pattern, operation in operations.items()
            if "*" in pattern and matches(pattern, text)
        ),
        None,
    )
