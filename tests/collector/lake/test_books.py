"""Which price book prices a call: the one in force when it was received."""

import pyarrow as pa
import pytest

from collector.config import load_settings
from collector.errors import ConfigError
from collector.lake.books import Books, book_of
from collector.lake.local import LocalTarget
from pricing import bundled_book

CALL = {
    "timestamp": 1_764_000_000_000_000,
    "provider": "openai",
    "request_model": "gpt-4o",
    "input_tokens": 1000,
    "output_tokens": 10,
    "operation": "chat",
}


class OtherBook:
    """A later version of the bundled book, as far as the timeline is concerned."""

    version = "feedfeedfeed"

    def artefact(self):
        return bundled_book().artefact()


def calls(*received):
    rows = [CALL | {"received_unix_nano": at} for at in received]
    table = pa.Table.from_pylist(rows)
    time = pa.array([CALL["timestamp"]] * len(rows)).cast(pa.timestamp("us", "UTC"))
    return table.set_column(0, "timestamp", time)


def test_the_first_book_is_in_force_from_the_beginning(tmp_path):
    books = Books(LocalTarget(tmp_path))

    books.adopt(bundled_book(), since_unix_nano=10**18)

    assert books.price(calls(5)).column("cost_status").to_pylist() == ["priced"]


def test_a_book_is_adopted_once(tmp_path):
    books = Books(LocalTarget(tmp_path))

    assert books.adopt(bundled_book(), since_unix_nano=1)
    assert not books.adopt(bundled_book(), since_unix_nano=2)
    assert Books(LocalTarget(tmp_path)).current == bundled_book().version


def test_each_call_has_the_book_of_its_arrival(tmp_path, monkeypatch):
    books = Books(LocalTarget(tmp_path))
    books.adopt(bundled_book(), since_unix_nano=1)
    books.adopt(OtherBook(), since_unix_nano=100)
    monkeypatch.setattr("collector.lake.books.price_calls", _version_only)

    found = books.price(calls(99, 100, 5, 101)).column("price_version").to_pylist()

    ours, other = bundled_book().version, OtherBook.version
    assert found == [ours, other, ours, other]


def _version_only(table, book):
    return pa.table({"price_version": [book.version] * table.num_rows})


def test_a_book_of_the_lake_is_the_book_that_was_put_there(tmp_path):
    Books(LocalTarget(tmp_path)).adopt(bundled_book(), since_unix_nano=1)

    book = Books(LocalTarget(tmp_path)).book(bundled_book().version)

    assert book.version == bundled_book().version


def test_no_calls_are_priced_without_a_book(tmp_path):
    with pytest.raises(LookupError):
        Books(LocalTarget(tmp_path)).price(calls(1))


def settings_with(**prices):
    settings = load_settings()
    return settings.model_copy(
        update={"prices": settings.prices.model_copy(update=prices)}
    )


def test_an_overlay_of_the_settings_is_part_of_the_book(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(
        '[[price]]\nmodel = "gpt-4o"\nkind = "free"\nfrom = 2020-01-01T00:00:00Z\n'
        'source = "contract"\n'
    )
    books = Books(LocalTarget(tmp_path / "lake"))

    books.adopt(book_of(settings_with(overlay=path)), since_unix_nano=1)

    assert books.price(calls(5)).column("cost_status").to_pylist() == ["free"]


def test_a_bad_overlay_is_one_clear_line_with_its_place(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text('[[price]]\nkind = "wrong"\n')

    with pytest.raises(ConfigError, match="prices.toml"):
        book_of(settings_with(overlay=path))
