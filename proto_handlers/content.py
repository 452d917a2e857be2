"""
Message content: prompts, answers, tool arguments and results.

Content leaves the attributes before anything is stored. What stays is its size and a
keyed hash, under ``spanledger.content.<key>`` as ``bytes=<n>;hash=<32 hex digits>``:
enough to see that two prompts or results are the same, not what they say.
Content that a library spreads over indexed keys keeps the size of all of them, and the
hash of their values as lines in the order sent.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import (
    Addition,
    Attributes,
    KeyPlaces,
    Mask,
    Rows,
    offsets_in,
)
from proto_handlers.dialects import CONTENT_KEYS
from proto_handlers.dialects.dialect import MARKER_PREFIX
from proto_handlers.hashing import keyed_hashes
from proto_handlers.scalars import word
from proto_handlers.values import Slots

_INDEXED: Final = re.compile(
    r"(llm\.input_messages|llm\.output_messages|llm\.prompts|llm\.completions"
    r"|llm\.tools|gen_ai\.prompt|gen_ai\.completion|llm\.request\.functions"
    r"|gen_ai\.request\.tools|retrieval\.documents|reranker\.input_documents"
    r"|reranker\.output_documents|embedding\.embeddings|message\.tool_calls"
    r"|db\.query\.result|db\.search\.result)\.\d+\."
)
_INDEXED_PLAIN: Final = re.compile(
    r".*\.(role|finish_reason|name|id|type|score|mime_type|tool_call_id)$"
)
_UNLISTED: Final = re.compile(
    r"gen_ai\.(?!usage|token|cost)\w+\.(?:input|output|args|arguments|result|response)"
    r"|(?!messaging\.).*[._](messages|chat_history|conversation_history"
    r"|(?:user|system)_prompt|system_instructions?|(?:prompt|completion|response)_text)"
    r"|llm\.(?!token_count|usage|cost)\w+\.(?:messages|choices|content|contents|candidates|prompt|input|output"
    r"|system|system_instruction|systemInstruction|tools|data|text|message|documents"
    r"|query|generations)"
)
"""Names that libraries give to content; LiteLLM's raw requests among them."""

_EVENT_CONTENT_KEYS: Final = frozenset(
    {"content", "message", "tool_calls", "tool.result", "body", "gen_ai.event.content"}
)
_ERROR_TEXT_KEYS: Final = frozenset(
    {
        "exception.message",
        "exception.stacktrace",
        "error.message",
        "error.stack_trace",
    }
)
"""Texts of exceptions, which may quote what was sent or answered."""


class ContentPolicy(NamedTuple):
    """What to do with message content."""

    keep: bool = False
    max_bytes: int = 16384
    hash_key: bytes = b""


@lru_cache(maxsize=65536)
def content_group(key: str) -> str | None:
    """
    Return the key under which a content key's size is kept; null if no content.

    Roles, names and ids inside indexed messages are not content.
    """
    if key in CONTENT_KEYS or key in _ERROR_TEXT_KEYS:
        return key
    indexed = _INDEXED.match(key)
    if indexed:
        return None if _INDEXED_PLAIN.match(key) else indexed.group(1)
    if key.startswith(MARKER_PREFIX):
        return None
    return key if _UNLISTED.fullmatch(key) else None


class Reduced(NamedTuple):
    """Attributes without content, and what stays of it."""

    attributes: Attributes
    markers: Addition

    def whole(self, additions: Sequence[Addition] = ()) -> Attributes:
        """Return the attributes with what stays of content, and *additions*."""
        return self.attributes.plus([*additions, self.markers])


def reduce_content(
    attributes: Attributes,
    places: KeyPlaces,
    policy: ContentPolicy,
    *,
    messages: Mask | None = None,
) -> Reduced:
    """
    Replace content by size and hash, as *policy* says; order is kept.

    Args:
        attributes: Of spans, resources, events or links.

        places: Where their keys are.

        policy: What to do with content.

        messages: The owners whose plainest keys (``content``) are content, too:
            events that stand for a message.
    """
    groups: dict[str, int] = {}
    found: list[Rows] = []
    group_of: list[Rows] = []
    for key in places:
        group = content_group(key)
        entries = places.get(key)
        if group is None and messages is not None and key in _EVENT_CONTENT_KEYS:
            group = key
            if entries is not None:
                entries = entries[messages[attributes.rows[entries]]]
        if group is None or entries is None or not len(entries):
            continue
        number = groups.setdefault(group, len(groups))
        found.append(entries)
        group_of.append(np.full(len(entries), number, np.int32))
    if not found:
        return Reduced(attributes, _NO_MARKERS)
    content, numbers = np.concatenate(found), np.concatenate(group_of)
    markers = _markers(attributes, content, numbers, tuple(groups), policy.hash_key)
    return Reduced(_cut(attributes, content, policy), markers)


_NO_MARKERS: Final = Addition(
    (), np.zeros(0, np.int32), np.zeros(0, np.int32), pa.array([], pa.string())
)


def _cut(attributes: Attributes, content: Rows, policy: ContentPolicy) -> Attributes:
    if not policy.keep:
        mask = np.ones(len(attributes.rows), np.bool_)
        mask[content] = False
        return attributes.take(mask)
    long = content[attributes.sizes(attributes.slots[content]) > policy.max_bytes]
    if not len(long):
        return attributes
    texts = attributes.pool.take(pa.array(attributes.slots[long])).to_pylist()
    # A cut may fall into a character; what is left of it goes.
    cut = [text[: policy.max_bytes].decode(errors="ignore") for text in texts]
    slots = attributes.slots.copy()
    slots[long] = len(attributes.pool) + np.arange(len(long), dtype=np.int32)
    shorter = pa.array(cut, pa.string()).cast(pa.binary())
    return attributes._replace(
        slots=slots, pool=pa.concat_arrays([attributes.pool, shorter])
    )


def _markers(
    attributes: Attributes,
    content: Rows,
    group: Rows,
    names: tuple[str, ...],
    key: bytes,
) -> Addition:
    """Return what stays of content: one marker per owner and group."""
    owners = attributes.rows[content]
    order = np.lexsort((content, owners, group))
    content, owners, group = content[order], owners[order], group[order]
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (owners[1:] != owners[:-1]) | (group[1:] != group[:-1])
    first = np.flatnonzero(fresh)
    slots = attributes.slots[content]
    sizes = np.add.reduceat(attributes.sizes(slots), first)
    texts = marks(_bytes_at(attributes, slots, first), sizes, key)
    return Addition(
        tuple(MARKER_PREFIX + name for name in names),
        group[first],
        owners[first],
        texts,
    )


def _bytes_at(
    attributes: Attributes, slots: Slots, first: npt.NDArray[np.int64]
) -> list[bytes | memoryview]:
    """Return the bytes of each group of slots, joined as lines."""
    data = attributes.pool.buffers()[2]
    if data is None:
        return [b""] * len(first)
    wire = memoryview(data)
    offsets = offsets_in(attributes.pool)
    start = np.where(slots < 0, 0, offsets[slots]).tolist()
    end = np.where(slots < 0, 0, offsets[slots + 1]).tolist()
    texts: list[bytes | memoryview] = [
        wire[one:other] for one, other in zip(start, end, strict=True)
    ]
    if len(first) == len(texts):
        return texts
    bounds = [*first.tolist(), len(texts)]
    return [
        texts[one] if other - one == 1 else b"\n".join(texts[one:other])
        for one, other in pairwise(bounds)
    ]


def marks(
    texts: Iterable[bytes | memoryview], sizes: npt.NDArray[np.int64], key: bytes
) -> pa.StringArray:
    """Return what stays of texts with these *sizes* in bytes."""
    return pc.binary_join_element_wise(
        word("bytes="),
        pa.array(sizes, pa.int64()).cast(pa.string()),
        word(";hash="),
        keyed_hashes(texts, key),
        word(""),
    )
