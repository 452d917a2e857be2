"""
Message content: prompts, answers, tool arguments and results.

Content leaves the attributes before anything is stored. What stays is its size and a
keyed hash, under ``spanledger.content.<key>`` as ``bytes=<n>;hash=<32 hex digits>``:
enough to see that two prompts or results are the same, not what they say.
Content that a library spreads over indexed keys keeps the size of all of them.
"""

import hashlib
import re
from collections import defaultdict
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import Addition, Attributes, Rows, by_key

MARKER_PREFIX: Final = "spanledger.content."

CONTENT_KEYS: Final = frozenset(
    {
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.tool.definitions",
        "gen_ai.tool.description",
        "gen_ai.prompt",
        "gen_ai.completion",
        "gen_ai.event.content",
        "gen_ai.retrieval.query.text",
        "gen_ai.retrieval.documents",
        "gen_ai.content.prompt",
        "gen_ai.content.completion",
        "input.value",
        "output.value",
        "llm.prompts",
        "llm.completions",
        "llm.function_call",
        "tool.parameters",
        "ai.prompt",
        "ai.prompt.messages",
        "ai.prompt.tools",
        "ai.response.text",
        "ai.response.object",
        "ai.response.reasoning",
        "ai.response.toolCalls",
        "ai.toolCall.args",
        "ai.toolCall.result",
        "ai.value",
        "ai.values",
        "ai.embedding",
        "ai.embeddings",
        "ai.request.body",
        "ai.response.body",
        "traceloop.entity.input",
        "traceloop.entity.output",
        "langfuse.observation.input",
        "langfuse.observation.output",
        "langfuse.trace.input",
        "langfuse.trace.output",
        "mlflow.spanInputs",
        "mlflow.spanOutputs",
        "mlflow.chat.tools",
        "crewai.crew.inputs",
        "crewai.crew.result",
        "gcp.vertex.agent.llm_request",
        "gcp.vertex.agent.llm_response",
        "gcp.vertex.agent.tool_call_args",
        "gcp.vertex.agent.tool_response",
        "gcp.vertex.agent.data",
        "haystack.component.input",
        "haystack.component.output",
        "haystack.pipeline.input_data",
        "haystack.pipeline.output_data",
        "haystack.agent.input",
        "haystack.agent.output",
        "haystack.agent.step.llm.input",
        "haystack.agent.step.llm.output",
        "haystack.agent.step.tool.input",
        "haystack.agent.step.tool.output",
        "pydantic_ai.all_messages",
        "all_messages_events",
        "events",
        "final_result",
        "tool_arguments",
        "tool_response",
        "request_data",
        "response_data",
        "llm.openai.messages",
        "llm.openai.choices",
    }
)
"""Keys whose whole value is content, from the libraries' own documentation."""

_INDEXED: Final = re.compile(
    r"(llm\.input_messages|llm\.output_messages|llm\.prompts|llm\.completions"
    r"|llm\.tools|gen_ai\.prompt|gen_ai\.completion|llm\.request\.functions"
    r"|retrieval\.documents|reranker\.input_documents|reranker\.output_documents"
    r"|embedding\.embeddings)\.\d+\."
)
_INDEXED_PLAIN: Final = re.compile(
    r".*\.(role|finish_reason|name|id|type|score|mime_type|tool_call_id)$"
)


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
    if key in CONTENT_KEYS:
        return key
    indexed = _INDEXED.match(key)
    if indexed and not _INDEXED_PLAIN.match(key):
        return indexed.group(1)
    return None


def reduce_content(attributes: Attributes, policy: ContentPolicy) -> Attributes:
    """Replace content by size and hash, as *policy* says; order is kept."""
    groups: dict[str, list[tuple[str, Rows]]] = defaultdict(list)
    for key, places in by_key(attributes).items():
        group = content_group(key)
        if group is not None and len(places):
            groups[group].append((key, places))
    if not groups:
        return attributes
    reduced = _cut(attributes, groups, policy)
    return reduced.plus(
        [
            _marker(attributes, group, members, policy.hash_key)
            for group, members in groups.items()
        ]
    )


def _cut(
    attributes: Attributes,
    groups: dict[str, list[tuple[str, Rows]]],
    policy: ContentPolicy,
) -> Attributes:
    mask = np.ones(len(attributes.rows), np.bool_)
    for members in groups.values():
        for _, places in members:
            mask[places] = False
    if not policy.keep:
        return attributes.take(mask)
    long = pc.greater(pc.binary_length(attributes.values), policy.max_bytes)
    if not pc.any(long).as_py():
        return attributes
    # Cutting by code units of UTF-8 could split one, so cut by characters.
    cut = pc.utf8_slice_codeunits(attributes.values, 0, policy.max_bytes // 4)
    chosen = pc.and_not(long, pa.array(mask))
    return attributes._replace(values=pc.if_else(chosen, cut, attributes.values))


def _marker(
    attributes: Attributes, group: str, members: list[tuple[str, Rows]], key: bytes
) -> Addition:
    places = np.sort(np.concatenate([places for _, places in members]))
    texts = attributes.values.take(pa.array(places))
    sizes = pc.fill_null(pc.binary_length(texts), 0).to_numpy()
    owners = attributes.rows[places]
    name = MARKER_PREFIX + group
    if group in CONTENT_KEYS and len(members) == 1:
        sized = pc.binary_join_element_wise(
            "bytes=", pa.array(sizes).cast(pa.string()), ""
        )
        hashes = content_hashes(texts, key)
        return Addition(
            name, owners, pc.binary_join_element_wise(sized, hashes, ";hash=")
        )
    rows, first = np.unique(owners, return_index=True)
    totals = pa.array(np.add.reduceat(sizes.astype(np.int64), first))
    return Addition(
        name,
        rows.astype(np.int32),
        pc.binary_join_element_wise("bytes=", totals.cast(pa.string()), ""),
    )


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
