"""Normalising says the same from decoded attributes as from the lake's maps."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_requests import payloads

from collector.ingest.files import read_requests
from proto_handlers.normalise import normalise
from proto_handlers.otlp_traces import Payload, decode_traces

FOLDER = Path(__file__).parents[1] / "fixtures" / "captures"
DIMENSIONS = {"team": ("app.team", "k")}


def says_the_same(decoded):
    assert decoded.flat is not None
    from_flat = normalise(decoded.spans, DIMENSIONS, flat=decoded.flat)
    assert from_flat.equals(normalise(decoded.spans, DIMENSIONS))


@settings(max_examples=60, deadline=None)
@given(st.lists(payloads, min_size=1, max_size=4))
def test_any_requests_are_normalised_alike(sent):
    says_the_same(decode_traces(sent))


@settings(max_examples=40, deadline=None)
@given(payloads, st.data())
def test_damaged_requests_are_normalised_alike(sent, data):
    body = bytearray(sent.body)
    for _ in range(data.draw(st.integers(1, 3)) if body else 0):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))

    decoded = decode_traces([Payload(bytes(body), 1)])

    if decoded.refused_payloads:
        assert decoded.flat is None
    else:
        says_the_same(decoded)


@pytest.mark.parametrize(
    "library", sorted(p.name for p in FOLDER.iterdir() if p.is_dir())
)
def test_captured_requests_are_normalised_alike(library):
    bodies = [
        request.SerializeToString()
        for path in sorted(FOLDER.glob(f"{library}/*/*.traces.*"))
        for request in read_requests(path)
    ]

    says_the_same(decode_traces([Payload(body, 1) for body in bodies]))


def test_requests_beside_one_that_is_none_are_flattened_from_their_maps():
    good = Payload(b"", 1)

    decoded = decode_traces([good, Payload(b"\x0a\xff\xff", 1), good])

    assert decoded.refused_payloads == (1,)
    assert decoded.flat is None
