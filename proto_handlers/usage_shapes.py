"""
Usage objects of providers and libraries, told apart by the names of their fields.

Counts come out as the semantic conventions mean them: input includes cached tokens,
output includes reasoning. A null or missing cache count of a shape that has a place
for it means none.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from proto_handlers.documents import usage_inside

Counts = dict[str, int]
_Usage = Mapping[str, Any]

_USAGE_KEYS: Final = (
    "usage",
    "token_usage",
    "usage_metadata",
    "usageMetadata",
    "usage_object",
    "usage_metrics",
)
_ID_KEYS: Final = ("id", "response_id", "responseId")
_MODEL_KEYS: Final = ("model", "model_name", "model_version", "modelVersion")
_FINISH_KEYS: Final = ("finish_reason", "stop_reason", "stopReason")
_CACHE_COUNTS: Final = frozenset({"cache_read_tokens", "cache_write_tokens"})
_MOST_NODES: Final = 20_000
_LEAST_ID_LENGTH: Final = 9
_MOST_TOKENS: Final = 10**15


class Found(NamedTuple):
    """What a document tells: counts, and texts that stand beside the usage."""

    counts: Counts
    texts: dict[str, str]


def find_usage(document: object) -> Found | None:
    """
    Return the usage nearest to the top inside *document*; null without one.

    A response repeats its usage further down, not above. If the first one says nothing
    of the cache, one further down that agrees with it may fill in.
    """
    best: Found | None = None
    for found in _usages(document):
        if best is None:
            best = found
        elif _agree(best.counts, found.counts):
            best = Found(found.counts | best.counts, found.texts | best.texts)
        if best.counts.keys() >= _CACHE_COUNTS:
            break
    return best


def _usages(document: object) -> Iterator[Found]:
    """Return what looks like usage inside a document, nearest to the top first."""
    queue: deque[object] = deque([document])
    for _ in range(_MOST_NODES):
        if not queue:
            return
        node = queue.popleft()
        if isinstance(node, str):
            usage = usage_inside(node)
            if isinstance(usage, dict) and (counts := read_usage(usage)):
                yield Found(counts, {})
        elif isinstance(node, dict):
            for key in _USAGE_KEYS:
                usage = node.get(key)
                if isinstance(usage, dict) and (counts := read_usage(usage)):
                    yield Found(counts, _texts_beside(node))
            queue.extend(_worth_a_look(node.values()))
        elif isinstance(node, list):
            queue.extend(_worth_a_look(node))


def _agree(one: Counts, other: Counts) -> bool:
    names = ("input_tokens", "output_tokens")
    return [one.get(name) for name in names] == [other.get(name) for name in names]


def _worth_a_look(nodes: Iterable[object]) -> list[object]:
    return [
        node
        for node in nodes
        if isinstance(node, dict | list) or (isinstance(node, str) and "usage" in node)
    ]


def _texts_beside(holder: Mapping[str, object]) -> dict[str, str]:
    texts = {}
    for name, keys in (
        ("response_id", _ID_KEYS),
        ("response_model", _MODEL_KEYS),
        ("finish_reason", _FINISH_KEYS),
    ):
        for key in keys:
            value = holder.get(key)
            if isinstance(value, str) and value:
                texts[name] = value
                break
    if len(texts.get("response_id", "")) < _LEAST_ID_LENGTH:
        texts.pop("response_id", None)
    return texts


def read_usage(usage: _Usage) -> Counts:
    """Return the counts of a usage object; empty if it is none."""
    for told, read in _SHAPES:
        if any(key in usage for key in told):
            counts = read(usage)
            return {key: value for key, value in counts.items() if value is not None}
    return {}


def _number(usage: _Usage, *paths: str) -> int | None:
    """Return the first of *paths* that leads to a whole number."""
    for keys in _split(paths):
        value: Any = usage
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if (
            isinstance(value, int)
            and not isinstance(value, bool)
            and 0 <= value <= _MOST_TOKENS
        ):
            return value
    return None


@cache
def _split(paths: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(path.split(".")) for path in paths)


def _openai_chat(usage: _Usage) -> dict[str, int | None]:
    details, made = "prompt_tokens_details.", "completion_tokens_details."
    read = _number(
        usage,
        details + "cached_tokens",
        "cache_read_input_tokens",
        "cached_prompt_tokens",
        "prompt_cache_hit_tokens",
    )
    write = _number(
        usage,
        details + "cache_write_tokens",
        details + "cache_creation_tokens",
        "cache_creation_input_tokens",
        "cache_creation_tokens",
    )
    if isinstance(usage.get("prompt_tokens_details"), dict):
        read, write = read or 0, write or 0
    elif "cached_prompt_tokens" in usage:
        # CrewAI's sums: only Anthropic's writes are counted, others are zero.
        write = write or None
    split = details + "cache_creation_token_details.ephemeral_"
    reasoning = _number(usage, made + "reasoning_tokens", "reasoning_tokens")
    sent, output = (
        _number(usage, name) for name in ("prompt_tokens", "completion_tokens")
    )
    # xAI's total tells that its answers leave the reasoning out.
    counts = (sent, output, reasoning)
    if (
        reasoning
        and None not in counts
        and sum(filter(None, counts)) == _number(usage, "total_tokens")
    ):
        output = _plus(output, reasoning)
    return {
        "input_tokens": sent,
        "output_tokens": output,
        "cache_read_tokens": read,
        "cache_write_tokens": write,
        "cache_write_5m_tokens": _number(usage, split + "5m_input_tokens"),
        "cache_write_1h_tokens": _number(usage, split + "1h_input_tokens"),
        "reasoning_tokens": reasoning,
        "input_audio_tokens": _number(usage, details + "audio_tokens"),
        "output_audio_tokens": _number(usage, made + "audio_tokens"),
    }


def _with_details(usage: _Usage, details: str, made: str) -> dict[str, int | None]:
    """OpenAI's Responses API, and LangChain's usage metadata."""
    short = _number(usage, details + ".ephemeral_5m_input_tokens")
    long = _number(usage, details + ".ephemeral_1h_input_tokens")
    write = _number(usage, details + ".cache_write_tokens", details + ".cache_creation")
    return {
        "input_tokens": _number(usage, "input_tokens"),
        "output_tokens": _number(usage, "output_tokens"),
        "cache_read_tokens": _number(
            usage, details + ".cached_tokens", details + ".cache_read"
        )
        or 0,
        # LangChain moves writes whose lifetime it knows, or leaves them in both.
        "cache_write_tokens": max(write or 0, (short or 0) + (long or 0)),
        "cache_write_5m_tokens": short,
        "cache_write_1h_tokens": long,
        "reasoning_tokens": _number(
            usage, made + ".reasoning_tokens", made + ".reasoning"
        ),
        "input_audio_tokens": _number(
            usage, details + ".audio_tokens", details + ".audio"
        ),
        "cache_read_audio_tokens": _number(
            usage, details + ".cached_tokens_details.audio_tokens"
        ),
        "output_audio_tokens": _number(usage, made + ".audio_tokens", made + ".audio"),
    }


def _input_output(usage: _Usage) -> dict[str, int | None]:
    for details, made in (
        ("input_tokens_details", "output_tokens_details"),
        ("input_token_details", "output_token_details"),
    ):
        if isinstance(usage.get(details), dict):
            return _with_details(usage, details, made)
    sent = _number(usage, "input_tokens")
    read = _number(usage, "cache_read_input_tokens", "cache_read_tokens")
    write = _number(usage, "cache_creation_input_tokens", "cache_write_tokens")
    cached = (read or 0) + (write or 0)
    # Anthropic's own has no total; libraries that add one mostly count like OpenAI,
    # who knows no "creation".
    is_exclusive = (
        "total_tokens" not in usage
        or "cache_creation_input_tokens" in usage
        or cached > (sent or 0)
    )
    return {
        "input_tokens": _plus(sent, cached) if is_exclusive else sent,
        "output_tokens": _number(usage, "output_tokens"),
        "cache_read_tokens": read,
        "cache_write_tokens": write,
        "cache_write_5m_tokens": _number(
            usage, "cache_creation.ephemeral_5m_input_tokens"
        ),
        "cache_write_1h_tokens": _number(
            usage, "cache_creation.ephemeral_1h_input_tokens"
        ),
        "reasoning_tokens": _number(
            usage, "output_tokens_details.thinking_tokens", "reasoning_tokens"
        ),
    }


def _gemini(usage: _Usage) -> dict[str, int | None]:
    thoughts = _number(usage, "thoughtsTokenCount", "thoughts_token_count")
    tools = _number(usage, "toolUsePromptTokenCount", "tool_use_prompt_token_count")
    made = _number(usage, "candidatesTokenCount", "candidates_token_count")
    return {
        "input_tokens": _plus(
            _number(usage, "promptTokenCount", "prompt_token_count"), tools or 0
        ),
        "output_tokens": _plus(made, thoughts or 0),
        "cache_read_tokens": _number(
            usage, "cachedContentTokenCount", "cached_content_token_count"
        )
        or 0,
        "cache_write_tokens": 0,
        "reasoning_tokens": thoughts,
        **_modalities(usage),
    }


def _modalities(usage: _Usage) -> dict[str, int | None]:
    """Return the counts of lists by modality, as Gemini's API and client have them."""
    counts: dict[str, int | None] = {}
    for name, lists, modality in _OF_MODALITY:
        listed = next((usage[key] for key in lists if key in usage), None)
        parts = [
            _number(part, "tokenCount", "token_count") or 0
            for part in (listed if isinstance(listed, list) else ())
            if isinstance(part, dict) and str(part.get("modality")).endswith(modality)
        ]
        counts[name] = sum(parts) if parts else None
    return counts


_SENT: Final = ("promptTokensDetails", "prompt_tokens_details")
_CACHED: Final = ("cacheTokensDetails", "cache_tokens_details")
_MADE: Final = ("candidatesTokensDetails", "candidates_tokens_details")
_OF_MODALITY: Final = (
    ("input_audio_tokens", _SENT, "AUDIO"),
    ("cache_read_audio_tokens", _CACHED, "AUDIO"),
    ("input_image_tokens", _SENT, "IMAGE"),
    ("output_audio_tokens", _MADE, "AUDIO"),
    ("output_image_tokens", _MADE, "IMAGE"),
)


def _cohere(usage: _Usage) -> dict[str, int | None]:
    """What is billed; Cohere's ``tokens`` count its own preamble, too."""
    return {
        "input_tokens": _number(usage, "billed_units.input_tokens"),
        "output_tokens": _number(usage, "billed_units.output_tokens"),
        "cache_read_tokens": _number(usage, "cached_tokens"),
    }


def _camel(usage: _Usage) -> dict[str, int | None]:
    """Bedrock's Converse, whose input leaves the cached part out, and Vercel's."""
    sent = _number(usage, "inputTokens")
    if "cachedInputTokens" in usage or "inputTokenDetails" in usage:
        read = _number(usage, "inputTokenDetails.cacheReadTokens", "cachedInputTokens")
        write = _number(usage, "inputTokenDetails.cacheWriteTokens")
        cached = 0
    else:
        read = _number(usage, "cacheReadInputTokens", "cacheReadInputTokenCount") or 0
        write = _number(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
        write = write or 0
        cached = read + write
    return {
        "input_tokens": _plus(sent, cached),
        "output_tokens": _number(usage, "outputTokens"),
        "cache_read_tokens": read,
        "cache_write_tokens": write,
        "reasoning_tokens": _number(
            usage, "outputTokenDetails.reasoningTokens", "reasoningTokens"
        ),
    }


def _langfuse(usage: _Usage) -> dict[str, int | None]:
    """Parts that add up, unless a total says that they are inside."""
    sent, made = _number(usage, "input"), _number(usage, "output")
    read = _number(
        usage,
        "input_cache_read",
        "cache_read_input_tokens",
        "input_cached_tokens",
        "input_cached",
    )
    write = _number(usage, "input_cache_creation", "cache_creation_input_tokens")
    reasoning = _number(usage, "output_reasoning", "output_reasoning_tokens")
    heard = _number(usage, "input_audio", "input_audio_tokens")
    spoken = _number(usage, "output_audio", "output_audio_tokens")
    total = _number(usage, "total")
    is_inside = total is not None and total == (sent or 0) + (made or 0)
    extra_in = 0 if is_inside else (read or 0) + (write or 0) + (heard or 0)
    extra_out = 0 if is_inside else (reasoning or 0) + (spoken or 0)
    short = _number(
        usage,
        "input_ephemeral_5m_input_tokens",
        "cache_creation_ephemeral_5m_input_tokens",
    )
    long = _number(
        usage,
        "input_ephemeral_1h_input_tokens",
        "cache_creation_ephemeral_1h_input_tokens",
    )
    return {
        "input_tokens": _plus(sent, extra_in),
        "output_tokens": _plus(made, extra_out),
        "cache_read_tokens": read,
        "cache_write_tokens": write,
        "cache_write_5m_tokens": short,
        "cache_write_1h_tokens": long,
        "reasoning_tokens": reasoning,
        "input_audio_tokens": heard,
        "output_audio_tokens": spoken,
    }


def _plus(value: int | None, more: int) -> int | None:
    return more or None if value is None else value + more


_SHAPES: Final[
    tuple[tuple[tuple[str, ...], Callable[[_Usage], dict[str, int | None]]], ...]
] = (
    (("billed_units",), _cohere),
    (("prompt_tokens", "completion_tokens"), _openai_chat),
    (("input_tokens", "output_tokens"), _input_output),
    (("promptTokenCount", "prompt_token_count"), _gemini),
    (("inputTokens", "outputTokens"), _camel),
    (("input", "output"), _langfuse),
)
"""Field names that tell a shape, and its reader; the first shape told counts."""
