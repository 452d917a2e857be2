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
    groups: dict[str, list[Rows]] = defaultdict(list)
    for key, places in by_key(attributes).items():
        group = content_group(key)
        if group is not None and len(places):
            groups[group].append(places)
    if not groups:
        return attributes
    members = {
        group: np.sort(np.concatenate(places)) for group, places in groups.items()
    }
    markers = [
        _marker(attributes, group, places, policy.hash_key)
        for group, places in members.items()
    ]
    return _cut(attributes, np.concatenate(list(members.values())), policy).plus(
        markers
    )


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
    sized = pc.binary_join_element_wise("bytes=", sizes.cast(pa.string()), "")
    marked = pc.binary_join_element_wise(sized, content_hashes(texts, key), ";hash=")
    return Addition(MARKER_PREFIX + group, rows.astype(np.int32), marked)


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
