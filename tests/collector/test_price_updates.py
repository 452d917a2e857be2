"""Price books of a lake in use: taken when told, kept over restarts, whole."""

import io
import json
from importlib.resources import files

import pytest
from otlp_requests import request, span
from workshop import Workshop

from collector.cli import main
from collector.config import load_settings
from collector.errors import ConfigError
from collector.lake.books import Books, book_of
from collector.query.price_updates import find_update, reload_book, take_update
from pricing import bundled_book

GOOD = '[[price]]\nkind = "free"\nmodel = "gpt-4o"\n'
BAD = GOOD + '\n[[price]]\nkind = "multiply"\nfactor = "-1"\n'


@pytest.fixture
def newer(tmp_path):
    """Return a file with another price of gpt-4o."""
    text = (files("pricing") / "data" / "genai_prices.json").read_text("utf-8")
    document = json.loads(text)
    for provider in document["providers"]:
        for model in provider["models"]:
            if (provider["id"], model["id"]) == ("openai", "gpt-4o"):
                model["prices"] = [[None, {"input": 9_000_000, "output": 10_000_000}]]
    path = tmp_path / "newer.json"
    path.write_text(json.dumps(document), "utf-8")
    return path


def settings_of(folder, **prices):
    settings = load_settings()
    return settings.model_copy(
        update={
            "data_dir": folder,
            "prices": settings.prices.model_copy(update=prices),
        }
    )


def chat(number):
    return request(
        span(
            number,
            name="chat gpt-4o",
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.usage.input_tokens": 1_000_000,
                "gen_ai.usage.output_tokens": 0,
            },
        )
    )


def test_looking_at_an_update_changes_nothing(tmp_path, newer):
    settings = settings_of(tmp_path)

    update = find_update(settings, newer)

    assert update.alarms() > 0
    assert book_of(settings).version == bundled_book().version
    assert not (tmp_path / "lake").exists()


def test_a_taken_update_is_the_book_after_a_restart(tmp_path, newer):
    settings = settings_of(tmp_path)

    said = take_update(settings, find_update(settings, newer))

    version = book_of(settings).version
    assert f"price book {version} is in force" in said
    assert version != bundled_book().version
    assert find_update(settings, newer).changes == []


def test_an_update_is_refused_where_the_settings_name_the_book(tmp_path, newer):
    settings = settings_of(tmp_path, book=newer)

    with pytest.raises(ConfigError, match=r"prices\.book"):
        find_update(settings, newer)


def test_a_running_drain_prices_with_the_book_put_in_force_meanwhile(tmp_path):
    overlay = tmp_path / "mine.toml"
    overlay.write_text(GOOD, "utf-8")
    with Workshop(tmp_path / "data") as shop:
        shop.send(chat(1))
        shop.drain_all()

        reload_book(settings_of(tmp_path / "data", overlay=overlay))
        shop.send(chat(2))
        shop.drain_all()

        statuses = {row["span_id"]: row["cost_status"] for row in shop.stored_spans()}
    assert sorted(statuses.values()) == ["free", "priced"]


def test_a_bad_rule_is_refused_with_its_place_and_the_running_book_stays(tmp_path):
    overlay = tmp_path / "mine.toml"
    overlay.write_text(BAD, "utf-8")
    with Workshop(tmp_path / "data") as shop:
        before = shop.books.current

        with pytest.raises(ConfigError, match=r"mine\.toml:5: not a factor"):
            reload_book(settings_of(tmp_path / "data", overlay=overlay))
        shop.send(chat(1))
        shop.drain_all()

        (row,) = shop.stored_spans()
    assert Books(shop.target).current == before == row["price_version"]


def test_a_bad_overlay_keeps_an_update_from_being_taken(tmp_path, newer):
    overlay = tmp_path / "mine.toml"
    overlay.write_text(BAD, "utf-8")
    settings = settings_of(tmp_path, overlay=overlay)

    with pytest.raises(ConfigError, match=r"mine\.toml:5"):
        take_update(settings, find_update(settings, newer))

    assert book_of(settings_of(tmp_path)).version == bundled_book().version


def test_the_command_shows_first_and_takes_when_told(
    tmp_path, newer, capsys, monkeypatch
):
    monkeypatch.setenv("SPANLEDGER_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("sys.stdin", io.StringIO("y"))

    assert main(["prices", "update", str(newer)]) == 1
    assert book_of(settings_of(tmp_path)).version == bundled_book().version
    assert main(["prices", "update", str(newer), "--dry-run"]) == 0
    assert main(["prices", "update", str(newer), "--yes"]) == 0
    assert main(["prices", "update", str(newer), "--yes"]) == 0
    assert main(["prices", "reload"]) == 0

    said = capsys.readouterr()
    assert "more than 2x" in said.out
    assert "rates that jump" in said.err
    assert "--yes takes them" in said.err
    assert "no price changes" in said.out


def test_a_list_that_lacks_models_is_told_before_it_is_taken(tmp_path):
    small = tmp_path / "litellm.json"
    small.write_text(
        json.dumps(
            {
                "my-model": {
                    "input_cost_per_token": 1e-6,
                    "output_cost_per_token": 2e-6,
                    "litellm_provider": "openai",
                    "mode": "chat",
                }
            }
        )
    )

    update = find_update(settings_of(tmp_path), small)

    lost = sum(change.what == "removed" for change in update.changes)
    assert lost > 100
    assert update.warnings() == [
        f"look at {lost:,} models that are in the list no more"
    ]
