import datetime as dt
import json

import pytest

from pricing import PriceBookError
from pricing.catalog import Catalog, parse_catalog, tier_gap, unix_micros
from pricing.matching import Hit, RuleIndex, match_rule


def catalog_of(*models: dict, **extra) -> Catalog:
    return parse_catalog(text_of(*models, **extra), path="test.json")


def text_of(*models: dict, fallback: tuple[str, ...] = (), others=()) -> str:
    provider = {"id": "us", "fallback": list(fallback), "models": list(models)}
    head = {"format": 1, "source": "test", "version": "1", "retrieved": "2026-11-22"}
    return json.dumps({**head, "providers": [provider, *others]})


def model(name: str, rule: list, prices: list | None = None, **extra) -> dict:
    prices = [[None, {"input": 1}]] if prices is None else prices
    return {"id": name, "match": rule, "prices": prices, **extra}


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        (["=", "gpt-5"], {"gpt-5"}),
        (["^", "gpt-5"], {"gpt-5", "gpt-5-mini"}),
        (["$", "-mini"], {"gpt-5-mini", "o4-mini"}),
        (["*", "4"], {"o4-mini"}),
        (["re", r"^gpt-\d$"], {"gpt-5"}),
        (["|", [["=", "gpt-5"], ["=", "o4-mini"]]], {"gpt-5", "o4-mini"}),
        (["&", [["^", "gpt"], ["$", "mini"]]], {"gpt-5-mini"}),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_a_rule_matches_what_it_says(rule, matches):
    names = {"gpt-5", "gpt-5-mini", "o4-mini"}

    assert {name for name in names if match_rule(rule, name)} == matches
    assert {name for name in names if RuleIndex([rule]).first(name)} == matches


def test_the_first_rule_counts_whether_loose_or_equal():
    index = RuleIndex([["^", "gpt-5"], ["=", "gpt-5"], ["=", "o3"], ["^", "o"]])

    assert index.first("gpt-5") == (0, Hit.LOOSE)
    assert index.first("o3") == (2, Hit.EQUAL)
    assert index.first("o4") == (3, Hit.LOOSE)


def test_a_fallback_provider_is_asked_after_the_own_list():
    lab = {"id": "lab", "fallback": [], "models": [model("x", ["=", "x"])]}
    catalog = catalog_of(model("y", ["=", "y"]), fallback=("lab",), others=[lab])

    assert catalog.find("us", "x").is_fallback
    assert not catalog.find("us", "y").is_fallback
    assert catalog.find("lab", "y") is None


def plan_inputs(prices: list, **extra) -> list[tuple[int, int]]:
    """Return first and last moment and input rate of each entry, newest first."""
    context = extra.pop("context", {})
    found = catalog_of(model("m", ["=", "m"], prices, **extra)).find("us", "m")
    return [
        (entry.start, entry.card.rates[0][0])
        for entry in found.prices.plan(context, "exact")
    ]


def test_a_price_holds_from_the_start_of_its_day_utc():
    start = unix_micros(dt.date(2026, 8, 17))

    entries = plan_inputs(
        [[None, {"input": 1}], [{"from": "2026-08-17"}, {"input": 2}]]
    )

    assert entries[0] == (start, 2)
    assert entries[-1][1] == 1


def test_a_variant_changes_only_the_rates_it_has():
    prices = [[None, {"input": 10, "output": 20}]]
    variants = [[{"processing": "batch"}, None, {"input": 5}]]
    found = catalog_of(model("m", ["=", "m"], prices, variants=variants)).find(
        "us", "m"
    )

    card = found.prices.plan({"processing": "batch"}, "exact")[0].card

    assert (card.rates[0][0], card.rates[0][7], card.status) == (5, 20, "priced")


def test_a_variant_before_its_day_leaves_the_standard_price_as_a_bound():
    variants = [[{"processing": "batch"}, {"from": "2026-10-14"}, {"input": 5}]]
    prices = [[None, {"input": 10}]]
    found = catalog_of(model("m", ["=", "m"], prices, variants=variants)).find(
        "us", "m"
    )

    new, old = found.prices.plan({"processing": "batch"}, "exact")

    assert (new.card.rates[0][0], new.card.reason) == (5, None)
    assert (old.card.rates[0][0], old.card.reason) == (10, "tier_unknown upper_bound")
    assert new.start == old.end == unix_micros(dt.date(2026, 10, 14))


def test_another_provider_s_variants_do_not_count():
    variants = [[{"service_tier": "flex"}, None, {"input": 5}]]
    prices = [[None, {"input": 10}]]
    found = catalog_of(model("m", ["=", "m"], prices, variants=variants)).find(
        "us", "m"
    )

    plan = found.prices.plan({"service_tier": "flex"}, "fallback", is_own_list=False)

    assert plan[0].card.rates[0][0] == 10
    assert plan[0].card.reason == "tier_unknown upper_bound"


def test_a_tier_nobody_prices_apart_is_no_gap():
    assert tier_gap({"service_tier": "scale"}) is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{\n  oops", "test.json:2: not JSON"),
        ('{"format": 2}', "test.json: unknown format 2"),
        ('{"format": 1}', "test.json: missing 'source'"),
        (text_of(model("m", ["?", "m"])), "us m: unknown kind of rule: '?'"),
        (text_of(model("m", ["re", "("])), "us m: bad pattern"),
        (text_of(model("m", ["=", "m"], [])), "us m: no prices"),
        (
            text_of(model("m", ["=", "m"], [[None, {"inputs": 1}]])),
            "unknown unit inputs",
        ),
        (text_of(model("m", ["=", "m"], [[None, {"input": -1}]])), "not a rate: -1"),
        (text_of(model("m", ["=", "m"], [[None, {"input": 0.5}]])), "not a rate: 0.5"),
        (text_of({"id": "m"}), "us m: missing 'match'"),
        ("[]", "test.json: "),
    ],
    ids=str,
)
def test_a_bad_catalog_is_refused_with_its_place(text, place):
    with pytest.raises(PriceBookError) as caught:
        parse_catalog(text, path="test.json")

    assert place in str(caught.value)
