"""
Message content: prompts, answers, tool arguments and results.

Content leaves the attributes before anything is stored. What stays is its size and a
keyed hash, under ``spanledger.content.<key>`` as ``bytes=<n>;hash=<32 hex digits>``:
enough to see that two prompts or results are the same, not what they say.
Content that a library spreads over indexed keys keeps the size of all of them, and the
hash of their values as lines in the order sent.
"""

import hashlib
import re
from collections import defaultdict
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import Addition, Attributes, KeyPlaces, Mask, Rows
from proto_handlers.dialects import CONTENT_KEYS
from proto_handlers.dialects.dialect import MARKER_PREFIX

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


def reduce_content(
    attributes: Attributes, policy: ContentPolicy, *, messages: Mask | None = None
) -> Attributes:
    """
    Replace content by size and hash, as *policy* says; order is kept.

    Args:
        attributes: Of spans, resources, events or links.

        policy: What to do with content.

        messages: The owners whose plainest keys (``content``) are content, too:
            events that stand for a message.
    """
    places = KeyPlaces(attributes)
    groups: dict[str, list[Rows]] = defaultdict(list)
    for key in places:
        group = content_group(key)
        found = places.get(key)
        if found is None or not len(found):
            continue
        if group is not None:
            groups[group].append(found)
        elif messages is not None and key in _EVENT_CONTENT_KEYS:
            groups[key].append(found[messages[attributes.rows[found]]])
    members = {group: np.sort(np.concatenate(found)) for group, found in groups.items()}
    members = {group: found for group, found in members.items() if len(found)}
    if not members:
        return attributes
    markers = [
        _marker(attributes, group, found, policy.hash_key)
        for group, found in members.items()
    ]
    content = np.concatenate(list(members.values()))
    return _cut(attributes, content, policy).plus(markers)


def _cut(attributes: Attributes, content: Rows, policy: ContentPolicy) -> Attributes:
    mask = np.ones(len(attributes.rows), np.bool_)
    if not policy.keep:
        mask[content] = False
        return attributes.take(mask)
    sizes = pc.binary_length(attributes.values.take(pa.array(content)))
    long = content[pc.fill_null(sizes, 0).to_numpy() > policy.max_bytes]
    if not len(long):
        return attributes
    long.sort()
    mask[long] = False
    texts = attributes.values.take(pa.array(long)).cast(pa.binary()).to_pylist()
    # A cut may fall into a character; what is left of it goes.
    cut = [text[: policy.max_bytes].decode(errors="ignore") for text in texts]
    values = pc.replace_with_mask(attributes.values, pa.array(~mask), pa.array(cut))
    return attributes._replace(values=values)


def _marker(attributes: Attributes, group: str, places: Rows, key: bytes) -> Addition:
    texts = pc.fill_null(attributes.values.take(pa.array(places)), "")
    sizes = pc.binary_length(texts)
    owners = attributes.rows[places]
    rows, first = np.unique(owners, return_index=True)
    if len(rows) < len(owners):
        sizes = pa.array(np.add.reduceat(sizes.to_numpy().astype(np.int64), first))
        ends = pa.array(np.append(first, len(owners)).astype(np.int32))
        texts = pc.binary_join(pa.ListArray.from_arrays(ends, texts), "\n")
    return Addition(
        MARKER_PREFIX + group, rows.astype(np.int32), marks(texts, sizes, key)
    )


def marks(texts: pa.StringArray, sizes: pa.Array, key: bytes) -> pa.StringArray:
    """Return what stays of texts with these *sizes* in bytes."""
    sized = pc.binary_join_element_wise("bytes=", sizes.cast(pa.string()), "")
    return pc.binary_join_element_wise(sized, content_hashes(texts, key), ";hash=")


def content_hashes(texts: pa.StringArray, key: bytes) -> pa.StringArray:
    """Return a keyed hash of each text as 32 hex digits; equal texts hash alike."""
    new = hashlib.blake2b
    return pa.array(
        [
            new(text or b"", digest_size=16, key=key).hexdigest()
            for text in texts.cast(pa.binary()).to_pylist()
        ],
        pa.string(),
    )
