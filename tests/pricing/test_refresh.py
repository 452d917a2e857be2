"""Where a newer list may come from, and what is refused."""

import json
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest
from priced_calls import price_one, usd

from pricing import PriceBookError, bundled_book
from pricing.refresh import refreshed

SAMPLE = Path(__file__).parent.parent / "fixtures" / "prices" / "litellm_sample.json"
TODAY = date(2026, 11, 27)
GPT_4O = {"provider": "openai", "request_model": "gpt-4o"}
MILLION = {"input_tokens": 10**6, "output_tokens": 0}


def changed_list(path: Path) -> Path:
    text = (files("pricing") / "data" / "genai_prices.json").read_text("utf-8")
    document = json.loads(text)
    for provider in document["providers"]:
        for model in provider["models"]:
            if (provider["id"], model["id"]) == ("openai", "gpt-4o"):
                model["prices"] = [[None, {"input": 3_000_000, "output": 10_000_000}]]
    path.write_text(json.dumps(document), "utf-8")
    return path


def test_a_list_takes_the_place_of_the_one_from_the_same_source(tmp_path):
    book = refreshed(bundled_book(), changed_list(tmp_path / "new.json"), TODAY)

    assert price_one(book, **GPT_4O, **MILLION)["cost_usd"] == usd("3")
    assert list(book.texts) == list(bundled_book().texts)


def test_litellms_file_is_read_for_models_that_the_list_lacks():
    book = refreshed(bundled_book(), SAMPLE, TODAY)

    sources = [(one.source, one.retrieved) for one in book.catalogs]
    assert sources == [
        ("genai-prices", bundled_book().catalogs[0].retrieved),
        ("litellm", "2026-11-27"),
    ]


def test_a_book_is_taken_whole(tmp_path):
    path = tmp_path / "book"
    path.write_bytes(bundled_book().artefact())

    assert refreshed(bundled_book(), path, TODAY).version == bundled_book().version


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"a": 1}', '{"a": {"b": 1}}'])
def test_what_is_no_list_is_refused_with_its_file(tmp_path, text):
    path = tmp_path / "odd.json"
    path.write_text(text, "utf-8")

    with pytest.raises(PriceBookError, match=r"odd\.json"):
        refreshed(bundled_book(), path, TODAY)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PriceBookError, match="cannot be read"):
        refreshed(bundled_book(), tmp_path / "none.json", TODAY)
