"""Texts that stand for objects."""

import pytest

from proto_handlers.documents import parse_literal

CASES = {
    "a dictionary": ("{'a': 1, 'b': None, 'c': True}", {"a": 1, "b": None, "c": True}),
    "a printed object": (
        "Usage(prompt=3, details=Details(cached=2, none=None), parts=[1, 2])",
        {"prompt": 3, "details": {"cached": 2, "none": None}, "parts": [1, 2]},
    ),
    "a printed object with texts": (
        "Usage(id='a(b)=c', count=1)",
        {"id": "a(b)=c", "count": 1},
    ),
    "quotes inside": ("{'a': \"it's\"}", {"a": "it's"}),
    "an object in a dictionary": ("{'u': Usage(n=1)}", {"u": {"n": 1}}),
    "no object at all": ("1 +", None),
}


@pytest.mark.parametrize("case", CASES)
def test_literals_and_printed_objects_are_read(case):
    text, expected = CASES[case]

    assert parse_literal(text) == expected
