"""Message content does not reach the lake; its size and a keyed hash do."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_requests import any_value, payload, span

from proto_handlers.content import (
    CONTENT_KEYS,
    MARKER_PREFIX,
    ContentPolicy,
    content_group,
)
from proto_handlers.hashing import keyed_hashes
from proto_handlers.otlp_traces import decode_traces

KEEP = ContentPolicy(keep=True, max_bytes=8)
INDEXED_KEYS = [
    "llm.input_messages.0.message.content",
    "llm.output_messages.3.message.tool_calls.0.tool_call.function.arguments",
    "gen_ai.prompt.0.content",
    "gen_ai.completion.1.content",
    "llm.request.functions.0.description",
    "retrieval.documents.2.document.content",
    "embedding.embeddings.0.embedding.text",
]
# Letters that nothing else in a row has.
secrets = st.text("ΓΔΘΛΞΠΣΦΨΩ", min_size=4, max_size=30)
contents = secrets | st.lists(secrets, max_size=3) | secrets.map(str.encode)


def attributes_of(*spans, policy=None):
    decoded = decode_traces([payload(*spans)], policy)
    return [dict(entries) for entries in decoded.spans["attributes"].to_pylist()]


def one(attributes, policy=None):
    return attributes_of(span(1, attributes=attributes), policy=policy)[0]


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*sorted(CONTENT_KEYS), *INDEXED_KEYS]), contents, min_size=1
    ),
    st.sampled_from(["span", "event", "link", "resource"]),
)
def test_nothing_of_the_content_survives(attributes, place):
    one_span = span(1)
    resource = {}
    if place == "resource":
        resource = attributes
    else:
        holder = {
            "span": lambda: one_span,
            "event": one_span.events.add,
            "link": one_span.links.add,
        }[place]()
        for key, value in attributes.items():
            holder.attributes.add(key=key, value=any_value(value))

    decoded = decode_traces([payload(one_span, resource=resource)])

    stored = repr(decoded.spans.to_pylist())
    for value in attributes.values():
        for secret in value if isinstance(value, list) else [value]:
            is_bytes = isinstance(secret, bytes)
            text = base64.b64encode(secret).decode() if is_bytes else secret
            assert text not in stored
    assert MARKER_PREFIX in stored


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@settings(max_examples=50, deadline=None)
def test_size_and_keyed_hash_stay(text):
    policy = ContentPolicy(hash_key=b"key")

    kept = one({"gen_ai.input.messages": text}, policy)

    digest = keyed_hashes([text.encode()], b"key")[0].as_py()
    assert kept == {
        "spanledger.content.gen_ai.input.messages": (
            f"bytes={len(text.encode())};hash={digest}"
        )
    }


def test_equal_contents_hash_alike_and_different_ones_do_not():
    first, second, third = (
        attributes["spanledger.content.output.value"]
        for attributes in attributes_of(
            *(span(n, attributes={"output.value": v}) for n, v in enumerate("aab", 1))
        )
    )

    assert first == second != third


def test_another_key_gives_another_hash():
    policies = [ContentPolicy(hash_key=key) for key in (b"", b"one", b"two")]

    hashes = {one({"input.value": "same"}, policy).popitem()[1] for policy in policies}

    assert len(hashes) == 3


def test_content_spread_over_keys_has_one_size_and_one_hash():
    messages = {
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": "be kind",
        "llm.input_messages.1.message.content": "hello",
    }

    kept, same, other = attributes_of(
        span(1, attributes=messages),
        span(2, attributes=messages),
        span(3, attributes=messages | {"llm.input_messages.1.message.content": "help"}),
    )

    marker = "spanledger.content.llm.input_messages"
    assert kept[marker].startswith("bytes=12;hash=")
    assert kept == same
    assert other[marker].startswith("bytes=11;hash=")


@pytest.mark.parametrize(
    "key",
    [
        "llm.input_messages.0.message.role",
        "gen_ai.completion.0.finish_reason",
        "llm.output_messages.0.message.tool_calls.0.tool_call.id",
        "retrieval.documents.0.document.score",
        "gen_ai.usage.input_tokens",
        "app.feature",
    ],
)
def test_roles_ids_and_numbers_are_no_content(key):
    assert content_group(key) is None
    assert one({key: "value"}) == {key: "value"}


@pytest.mark.parametrize("key", INDEXED_KEYS)
def test_indexed_texts_are_content(key):
    assert content_group(key) is not None


def test_content_is_kept_where_that_is_the_policy():
    kept = one({"gen_ai.prompt": "short", "other": "longer than 8"}, KEEP)

    assert kept["gen_ai.prompt"] == "short"
    assert kept["other"] == "longer than 8"
    assert kept["spanledger.content.gen_ai.prompt"].startswith("bytes=5;hash=")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
@settings(max_examples=50, deadline=None)
def test_kept_content_is_cut_to_whole_characters(text):
    kept = one({"gen_ai.prompt": text}, KEEP)

    cut = kept["gen_ai.prompt"]
    assert text.startswith(cut)
    assert len(cut.encode()) <= KEEP.max_bytes
    next_one = text[len(cut) : len(cut) + 1]
    assert not next_one or len((cut + next_one).encode()) > KEEP.max_bytes


def test_the_hash_of_kept_content_is_that_of_the_whole():
    kept = one({"gen_ai.prompt": "x" * 100}, KEEP)

    assert (
        kept["spanledger.content.gen_ai.prompt"]
        == one({"gen_ai.prompt": "x" * 100})["spanledger.content.gen_ai.prompt"]
    )


def test_a_marker_that_an_app_sends_gives_way_to_ours():
    marker = "spanledger.content.gen_ai.prompt"

    kept = one({marker: "bytes=1;hash=0", "gen_ai.prompt": "true"})

    assert list(kept) == [marker]
    assert kept[marker].startswith("bytes=4;hash=")
