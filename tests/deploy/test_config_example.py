"""The example configuration: complete, and true about every default."""

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from collector.config import Settings, load_settings

EXAMPLE = Path(__file__).parents[2] / "deploy" / "config.example.toml"
FREE_TABLES = ("dimensions", "rules.parameters")
"""Tables whose keys are the user's own."""


def setting_names(model, prefix=""):
    """Return the full name of every setting, items of lists included."""
    for name, field in model.model_fields.items():
        models = [
            kind
            for kind in (field.annotation, *get_args(field.annotation))
            if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
        if not models:
            yield prefix + name
        for inner in models:
            yield from setting_names(inner, f"{prefix}{name}.")


def key_names(values, prefix=""):
    """Return the full name of every key of a TOML document."""
    for key, value in values.items():
        name = prefix + key
        items = value if isinstance(value, list) else [value]
        tables = [item for item in items if isinstance(item, dict)]
        if not tables or name in FREE_TABLES:
            yield name
        else:
            for table in tables:
                yield from key_names(table, f"{name}.")


@pytest.fixture
def everything_set(tmp_path):
    """Return the example with every optional line taken in."""
    path = tmp_path / "everything.toml"
    path.write_text(re.sub(r"(?m)^#: ", "", EXAMPLE.read_text()))
    return path


def test_the_example_as_it_is_changes_nothing():
    assert load_settings(EXAMPLE) == Settings()


def test_the_example_with_every_line_taken_in_is_valid(everything_set):
    settings = load_settings(everything_set)

    assert settings.budgets[0].name == "refund-daily"
    assert settings.dimensions["team"] == ("app.team", "team.name")
    assert [webhook.format for webhook in settings.alerts.targets()] == [
        "generic",
        "slack",
    ]


def test_the_example_names_every_setting_and_no_other(everything_set):
    document = tomllib.loads(everything_set.read_text())

    assert sorted(key_names(document)) == sorted(setting_names(Settings))
