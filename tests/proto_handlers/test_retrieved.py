"""Documents that a retrieval found: how many there are and how large."""

import json

import pytest
from otlp_requests import payload, span

from proto_handlers.content import ContentPolicy
from proto_handlers.normalise import normalise
from proto_handlers.otlp_traces import decode_traces

COLUMNS = (
    "documents",
    "document_bytes",
    "largest_document_bytes",
    "median_document_bytes",
)
RETRIEVAL = {"gen_ai.operation.name": "retrieval"}
LANGCHAIN = "opentelemetry.instrumentation.langchain"
TEXTS = ["four", "fünf", "six six six", ""]
"""4, 5, 11 and 0 bytes."""


def read(*attributes, policy=None):
    """Return what is known of the documents of spans with such attributes."""
    spans = [span(place, attributes=one) for place, one in enumerate(attributes, 1)]
    decoded = decode_traces([payload(*spans)], policy)
    rows = normalise(decoded.spans).to_pylist()
    return [tuple(row[column] for column in COLUMNS) for row in rows]


def openinference(*texts):
    documents = {
        f"retrieval.documents.{place}.document.content": text
        for place, text in enumerate(texts)
    }
    others = {
        f"retrieval.documents.{place}.document.metadata": '{"file": "a long name"}'
        for place in range(len(texts))
    }
    return {"openinference.span.kind": "RETRIEVER", **documents, **others}


@pytest.mark.parametrize(
    "attributes",
    [
        openinference(*TEXTS),
        {
            **RETRIEVAL,
            "gen_ai.retrieval.documents": json.dumps(
                [{"id": "x", "score": 0.5, "content": text} for text in TEXTS]
            ),
        },
        {
            "langsmith.span.kind": "retriever",
            "gen_ai.completion": json.dumps(
                {"documents": [{"page_content": t, "metadata": {}} for t in TEXTS]}
            ),
        },
        {
            "mlflow.spanType": '"RETRIEVER"',
            "mlflow.spanOutputs": json.dumps([{"page_content": t} for t in TEXTS]),
        },
        {
            "langfuse.observation.type": "retriever",
            "langfuse.observation.output": json.dumps(TEXTS),
        },
        {
            "haystack.component.type": "InMemoryBM25Retriever",
            "haystack.component.output": json.dumps(
                {"documents": [{"content": text} for text in TEXTS]}
            ),
        },
        {
            "gen_ai.operation.name": "vector_db_retrieve",
            "gen_ai.task.output": json.dumps(
                {"documents": [{"page_content": t, "metadata": {}} for t in TEXTS]}
            ),
        },
    ],
    ids=[
        "openinference",
        "otel",
        "langsmith",
        "mlflow",
        "langfuse",
        "haystack",
        "openllmetry",
    ],
)
@pytest.mark.parametrize("policy", [None, ContentPolicy(keep=True, max_bytes=3)])
def test_documents_are_counted_and_their_texts_measured(attributes, policy):
    (row,) = read(attributes, policy=policy)

    assert row == (4, 20, 11, 4)


def test_each_span_has_its_own_documents():
    rows = read(openinference("a"), RETRIEVAL, openinference("bb", "ccc"))

    assert rows == [(1, 1, 1, 1), (None,) * 4, (2, 5, 3, 2)]


@pytest.mark.parametrize(
    ("documents", "count"),
    [
        ([{"id": "a", "score": 0.5}, {"id": "b", "content": "text"}], 2),
        ([{"id": "a"}], 1),
        ([7, None], 2),
        ([], None),
        ({"documents": "none"}, None),
        ("not json", None),
    ],
)
def test_texts_that_are_not_told_make_sizes_unknown(documents, count):
    text = documents if isinstance(documents, str) else json.dumps(documents)

    (row,) = read({**RETRIEVAL, "gen_ai.retrieval.documents": text})

    assert row == (count, None, None, None)


def test_documents_told_in_two_ways_are_counted_once():
    listed = json.dumps([{"content": text} for text in TEXTS])
    both = {**openinference(*TEXTS), "gen_ai.retrieval.documents": listed}

    assert read(both, {"gen_ai.retrieval.documents": listed}) == [(4, 20, 11, 4)] * 2


def test_a_task_that_retrieves_is_a_retrieval():
    attributes = {
        "traceloop.span.kind": "task",
        "gen_ai.operation.name": "vector_db_retrieve",
        "gen_ai.task.output": json.dumps({"documents": [{"page_content": "text"}]}),
    }
    decoded = decode_traces([payload(span(1, attributes=attributes), scope=LANGCHAIN)])

    (row,) = normalise(decoded.spans).to_pylist()

    assert (row["span_role"], row["documents"]) == ("retrieval", 1)


def test_a_count_without_documents_is_a_count():
    (row,) = read({**RETRIEVAL, "gen_ai.retrieval.document_count": 3})

    assert row == (3, None, None, None)


def test_an_app_may_say_what_it_found():
    told = {
        "spanledger.retrieval.documents": 2,
        "spanledger.retrieval.document_bytes": 30,
        "spanledger.retrieval.largest_document_bytes": 20,
        "spanledger.retrieval.median_document_bytes": 10,
    }

    (row,) = read({**RETRIEVAL, **told})

    assert row == (2, 30, 20, 10)


def test_an_output_of_another_kind_is_no_list_of_documents():
    output = json.dumps({"documents": [{"page_content": "text"}]})

    (row,) = read({"langsmith.span.kind": "chain", "gen_ai.completion": output})

    assert row == (None,) * 4


def test_what_a_retrieval_brought_is_the_texts_of_its_documents():
    spans = [
        span(1, attributes={**openinference(*TEXTS), "output.value": "x" * 500}),
        span(2, attributes={**openinference("text", "text"), "output.value": None}),
    ]
    del spans[1].attributes[-1]

    rows = normalise(decode_traces([payload(*spans)]).spans).to_pylist()

    assert [row["result_bytes"] for row in rows] == [20, 8]
    assert all(row["result_hash"] for row in rows)
