"""What a new book is said to change."""

from datetime import UTC, datetime

import pytest

from pricing import PriceBook
from pricing.differences import compare_books
from pricing.sources import catalog_text

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def model(name, *prices):
    return {"id": name, "match": ["=", name], "prices": list(prices)}


def book(*models) -> PriceBook:
    text = catalog_text(
        source="mine",
        version="1",
        retrieved="2026-11-20",
        providers=[{"id": "openai", "fallback": [], "models": list(models)}],
    )
    return PriceBook({"mine.json": text})


def changes(before, after):
    return compare_books(book(*before), book(*after), NOW)


def test_a_list_read_again_changes_nothing():
    same = [model("a", [None, {"input": 5, "output": 7}])]

    assert changes(same, same) == []


def test_models_come_and_go():
    found = changes(
        [model("a", [None, {"input": 5}])], [model("b", [None, {"input": 5}])]
    )

    assert [(one.what, one.model) for one in found] == [
        ("added", "b"),
        ("removed", "a"),
    ]


@pytest.mark.parametrize(
    ("new", "is_jump"), [(200, False), (201, True), (50, False), (49, True), (0, True)]
)
def test_more_than_twice_or_less_than_half_is_a_jump(new, is_jump):
    (found,) = changes(
        [model("a", [None, {"output": 100}])], [model("a", [None, {"output": new}])]
    )[-1:]

    assert (found.what, found.old, found.new) == ("rate", 100, new)
    assert found.is_jump is is_jump


def test_a_tier_that_changes_is_told_with_its_threshold():
    (found,) = changes(
        [model("a", [None, {"web_search": [5, [1000, 6]]}])],
        [model("a", [None, {"web_search": [5, [1000, 7]]}])],
    )

    assert (found.above, found.item, found.old, found.new) == (1000, "web_search", 6, 7)


def test_a_price_of_another_time_is_a_change_elsewhere():
    later = [{"from": "2027-01-01"}, {"input": 9}]

    (found,) = changes(
        [model("a", [None, {"input": 5}])], [model("a", [None, {"input": 5}], later)]
    )

    assert found.what == "elsewhere"


def test_jumps_come_first():
    found = changes(
        [model("a", [None, {"web_search": 5}]), model("z", [None, {"web_search": 5}])],
        [model("a", [None, {"web_search": 6}]), model("z", [None, {"web_search": 50}])],
    )

    assert [one.model for one in found] == ["z", "a"]
