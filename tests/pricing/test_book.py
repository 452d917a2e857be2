import json
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from priced_calls import price_one, usd

from pricing import PriceBookError, bundled_book, load_book

CALL = {"provider": "openai", "request_model": "gpt-4o", "input_tokens": 10**6}
FREE = '[[price]]\nkind = "free"\n'


def test_an_artefact_restores_an_equal_book(tmp_path):
    overlay = tmp_path / "mine.toml"
    overlay.write_text(FREE, "utf-8")
    book = bundled_book().with_overlay(overlay)
    artefact = tmp_path / "book.json"
    artefact.write_bytes(book.artefact())

    restored = load_book(artefact)

    assert restored == book
    assert restored.version == book.version
    assert price_one(restored, **CALL)["cost_status"] == "free"


def test_the_version_changes_with_any_price(tmp_path):
    bundled = bundled_book()
    overlay = tmp_path / "mine.toml"
    versions = {bundled.version}
    for factor in ("1/2", "1/3"):
        overlay.write_text(f'[[price]]\nkind = "multiply"\nfactor = "{factor}"\n')
        versions.add(bundled.with_overlay(overlay).version)

    assert len(versions) == 3
    assert all(len(version) == 12 for version in versions)


def test_a_directory_of_lists_and_overlays_is_a_book(tmp_path):
    data = Path(str(files("pricing") / "data"))
    shutil.copy(data / "genai_prices.json", tmp_path / "1-list.json")
    (tmp_path / "2-mine.toml").write_text(FREE, "utf-8")

    book = load_book(tmp_path)

    assert price_one(book, **CALL)["cost_status"] == "free"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"oops", "not a price book"),
        (b"\xff", "not a price book"),
        (b"[]", "not a price book's artefact"),
        (json.dumps({"book": 1}).encode(), "no texts"),
        (json.dumps({"book": 1, "texts": {}}).encode(), "no catalog"),
        (json.dumps({"book": 1, "texts": {"a.json": "{"}}).encode(), "a.json:1: not"),
        (json.dumps({"book": 9, "texts": {}}).encode(), "not a price book's artefact"),
    ],
)
def test_what_is_no_book_is_refused(tmp_path, content, said):
    path = tmp_path / "book.json"
    path.write_bytes(content)

    with pytest.raises(PriceBookError, match=said):
        load_book(path)


def test_a_bad_overlay_in_a_book_is_refused_when_it_is_loaded(tmp_path):
    data = Path(str(files("pricing") / "data"))
    shutil.copy(data / "genai_prices.json", tmp_path / "1-list.json")
    (tmp_path / "2-mine.toml").write_text("[[price]]\n", "utf-8")

    with pytest.raises(PriceBookError, match="2-mine.toml:1: missing 'kind'"):
        load_book(tmp_path)


def test_a_missing_book_is_refused(tmp_path):
    with pytest.raises(PriceBookError):
        load_book(tmp_path / "none.json")


def test_pricing_needs_no_package_of_prices_at_run_time():
    code = (
        "import sys, pricing; book = pricing.bundled_book(); book.version;"
        "book.layers; print(*(n for n in sys.modules if 'genai_prices' in n))"
    )

    done = subprocess.run(
        [sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True
    )

    assert done.stdout.strip() == ""


def test_strange_names_do_not_fill_the_memory():
    book = load_book(Path(str(files("pricing") / "data")))

    for number in range(3):
        price_one(book, request_model="x" * (10**6 + number), input_tokens=1)

    assert price_one(book, **CALL, output_tokens=0)["cost_usd"] == usd("2.5")
