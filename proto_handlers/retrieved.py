"""
Documents that a retrieval found: how many, and how large their texts are.

Read before content is cut off, and kept under attributes that an app may also set
itself. Only the text counts, not metadata: it is what prompts are made of. A document
whose text is not told makes sizes unknown, not zero.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import Addition, Attributes, KeyPlaces, Rows, addition
from proto_handlers.dialects.spanledger import (
    DOCUMENT_BYTES,
    DOCUMENTS,
    LARGEST_BYTES,
    MEDIAN_BYTES,
)

_LISTED: Final = "gen_ai.retrieval.documents"
# https://github.com/open-telemetry/semantic-conventions-genai
_INDEXED: Final = re.compile(r"retrieval\.documents\.(\d{1,9})\.document\.content")
# https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
_OUTPUTS: Final = {
    "langsmith.span.kind": "gen_ai.completion",
    "langfuse.observation.type": "langfuse.observation.output",
    "mlflow.spanType": "mlflow.spanOutputs",
    "haystack.component.type": "haystack.component.output",
    "gen_ai.operation.name": "gen_ai.task.output",
}
"""Attributes that tell a retriever, and where it puts what it found."""
_RETRIEVER: Final = r'(?i)^"?(?:\w*retriever|vector_db_retrieve)"?$'
_TEXTS: Final = ("content", "page_content", "text")
"""Where a document of a list may have its text."""

Numbers = npt.NDArray[np.int64]


class _Documents(NamedTuple):
    """One entry per document: the span it was found for, and its text's bytes."""

    rows: Numbers
    bytes: Numbers


def documents_of(attributes: Attributes, places: KeyPlaces) -> list[Addition]:
    """
    Return what is told of retrieved documents, per span that has any.

    Args:
        attributes: Of spans, with their content.

        places: Where their keys are.

    Returns:
        Entries under `DOCUMENTS` and, where all texts are told, the other keys.
    """
    found = list(_indexed(attributes, places))
    # Some tell their documents in two ways.
    known = {row for one in found for row in one.rows.tolist()}
    found += _listed(attributes, places, known)
    if not found:
        return []
    rows = np.concatenate([one.rows for one in found])
    sizes = np.concatenate([one.bytes for one in found])
    order = np.lexsort((sizes, rows))
    rows, sizes = rows[order], sizes[order]
    owners, first, count = np.unique(rows, return_index=True, return_counts=True)
    told = sizes[first] >= 0
    measures = {
        DOCUMENT_BYTES: np.add.reduceat(sizes, first),
        LARGEST_BYTES: sizes[first + count - 1],
        MEDIAN_BYTES: sizes[first + (count - 1) // 2],
    }
    return [
        _entries(DOCUMENTS, owners, count),
        *(
            _entries(key, owners[told], values[told])
            for key, values in measures.items()
            if told.any()
        ),
    ]


def _entries(key: str, owners: Numbers, values: Numbers) -> Addition:
    texts = pa.array(values, pa.int64()).cast(pa.string())
    rows: Rows = owners.astype(np.int32)
    return addition(key, rows, texts)


@lru_cache(maxsize=4096)
def _is_text(key: str) -> bool:
    return _INDEXED.fullmatch(key) is not None


def _indexed(attributes: Attributes, places: KeyPlaces) -> Iterator[_Documents]:
    for key in places:
        if _is_text(key):
            entries = places.get(key)
            if entries is not None and len(entries):
                sizes = attributes.sizes(attributes.slots[entries])
                yield _Documents(attributes.rows[entries].astype(np.int64), sizes)


def _listed(
    attributes: Attributes, places: KeyPlaces, known: set[int]
) -> Iterator[_Documents]:
    """Yield the documents of JSON lists, of spans beyond *known*, which grows."""
    for entries in (places.get(_LISTED), *_outputs(attributes, places)):
        if entries is None or not len(entries):
            continue
        texts = attributes.values(entries).to_pylist()
        for row, text in zip(attributes.rows[entries].tolist(), texts, strict=True):
            sizes = [] if row in known else _sizes(text)
            if sizes:
                known.add(row)
                # Where one text is not told, the sizes of the others say little.
                told = sizes if min(sizes) >= 0 else [-1] * len(sizes)
                yield _Documents(np.full(len(sizes), row), np.array(told, np.int64))


def _outputs(attributes: Attributes, places: KeyPlaces) -> Iterator[Rows]:
    """Yield the entries of outputs that are a retriever's."""
    for kind, output in _OUTPUTS.items():
        kinds, outputs = places.get(kind), places.get(output)
        if kinds is None or outputs is None:
            continue
        named = pc.match_substring_regex(attributes.values(kinds), _RETRIEVER)
        is_retriever = pc.fill_null(named, False).to_numpy(zero_copy_only=False)
        retrievers = attributes.rows[kinds][is_retriever]
        yield outputs[np.isin(attributes.rows[outputs], retrievers)]


def _sizes(text: str | None) -> list[int]:
    """Return the bytes of each document's text in a JSON list, -1 for none."""
    try:
        documents = json.loads(text or "")
    except (ValueError, RecursionError):
        return []
    if isinstance(documents, dict):
        documents = documents.get("documents")
    if not isinstance(documents, list):
        return []
    return [_size(document) for document in documents]


def _size(document: object) -> int:
    if isinstance(document, dict):
        told = (document[name] for name in _TEXTS if name in document)
        document = next(told, None)
    if not isinstance(document, str):
        return -1
    return len(document.encode(errors="replace"))
