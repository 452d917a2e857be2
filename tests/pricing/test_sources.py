import importlib.metadata
import json
from importlib.resources import files
from pathlib import Path

import pytest

from pricing import bundled_book
from pricing.catalog import parse_catalog
from pricing.sources import catalog_text, genai_prices, litellm

FIXTURES = Path(__file__).parent.parent / "fixtures" / "prices"
DATA = files("pricing") / "data"


def bundled(name: str) -> str:
    return (DATA / name).read_text("utf-8")


def test_the_bundled_list_is_what_the_package_gives():
    head = json.loads(bundled("genai_prices.json"))
    if importlib.metadata.version("genai-prices") != head["version"]:
        pytest.skip("another version of genai-prices is installed")

    assert genai_prices.read_installed(head["retrieved"]) == bundled(
        "genai_prices.json"
    )


def test_a_litellm_sample_becomes_the_expected_catalog():
    known = parse_catalog(bundled("genai_prices.json"), path="genai_prices.json")

    text = litellm.read_extract(
        (FIXTURES / "litellm_sample.json").read_text("utf-8"),
        version="1.109.1",
        retrieved="2026-11-22",
        known=known,
    )

    expected = (FIXTURES / "litellm_sample.expected.json").read_text("utf-8")
    assert json.loads(text) == json.loads(expected)


def test_litellm_only_adds_models_the_first_list_lacks():
    known = parse_catalog(bundled("genai_prices.json"), path="genai_prices.json")
    extra = json.loads(bundled("litellm.json"))

    repeated = [
        (provider["id"], model["id"])
        for provider in extra["providers"]
        for model in provider["models"]
        if known.find(provider["id"], model["id"])
    ]

    assert repeated == []


def test_no_bundled_rate_is_absurd():
    for name in ("genai_prices.json", "litellm.json"):
        for provider in json.loads(bundled(name))["providers"]:
            for model in provider["models"]:
                for _, units in model["prices"]:
                    _check(units, (name, provider["id"], model["id"]))


def _check(units: dict, place: tuple) -> None:
    for unit, rate in units.items():
        base = rate if isinstance(rate, int) else rate[0]
        dearest = 10**12 if unit in ("web_search", "request") else 1_000 * 10**6
        assert 0 <= base <= dearest, (*place, unit)


def test_every_bundled_correction_has_a_source_and_a_day():
    for name, text in bundled_book().texts.items():
        if name.endswith(".toml"):
            rules = text.split("\n[[price]]\n")[1:]
            assert all("source = " in rule and "checked = " in rule for rule in rules)


def test_a_catalog_text_has_a_line_per_model_and_parses():
    models = [{"id": "a", "match": ["=", "a"], "prices": [[None, {"input": 1}]]}] * 2
    text = catalog_text(
        source="s",
        version="1",
        retrieved="2026-11-22",
        providers=[{"id": "p", "fallback": [], "models": models}],
    )

    assert parse_catalog(text, path="x").find("p", "a") is not None
    assert len(text.splitlines()) == 6
