"""Golden pairs of every dialect: what a library sends, and what it means."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from golden_dialects import normalised

from proto_handlers.dialects import DIALECTS

FOLDER = Path(__file__).parents[1] / "fixtures" / "dialects"
CASES = sorted(
    path.name.removesuffix(".attributes.json")
    for path in FOLDER.glob("*.attributes.json")
)


def read(case, what):
    return json.loads((FOLDER / f"{case}.{what}.json").read_text())


@pytest.mark.parametrize("case", CASES)
def test_a_span_means_what_its_golden_pair_says(case):
    expected = read(case, "expected")

    row = normalised(read(case, "attributes"))

    told = {
        name: str(value) if isinstance(value, Decimal) else value
        for name, value in row.items()
        if name in expected
    }
    assert told == expected


@pytest.mark.parametrize("dialect", [dialect.name for dialect in DIALECTS])
def test_every_dialect_has_a_golden_pair(dialect):
    meant = {read(case, "expected").get("dialect") for case in CASES}

    # Our own keys are read on any span and name no dialect.
    assert dialect in meant or dialect == "spanledger"


def test_every_pair_is_whole():
    assert {path.name for path in FOLDER.glob("*.json")} == {
        f"{case}.{what}.json" for case in CASES for what in ("attributes", "expected")
    }
