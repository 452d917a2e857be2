"""Pages of the documentation that are made from the code they describe."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from collector.config import ENVIRONMENT_PREFIX, Settings
from collector.files import replace_file
from collector.lake.layout import table_schemas
from collector.query.reports import REPORTS
from collector.query.spans_view import documented_keys
from collector.query.texts import query_text
from rollups.registry import ROLLUPS

_MADE: Final = "This page is made by `make docs`; change the code it comes from.\n"


def write_pages(folder: Path) -> list[Path]:
    """Write all pages into *folder*; return their paths."""
    pages = {
        "configuration.md": configuration_page(),
        "columns.md": columns_page(),
        "reports.md": reports_page(),
    }
    for name, text in pages.items():
        replace_file(folder / name, text.encode())
    return [folder / name for name in pages]


def configuration_page() -> str:
    """Return the page about settings: one row per setting, with its default."""
    lines = [
        "# Settings",
        "",
        _MADE,
        "A TOML file (`--config` or `SPANLEDGER_CONFIG`), then the environment:",
        f"`{ENVIRONMENT_PREFIX}<SECTION>__<KEY>`, lists and tables as JSON.",
        "Unknown keys are refused with their name.",
        "",
        *_settings_table(Settings),
    ]
    for name, field in Settings.model_fields.items():
        for place, section in _sections(name, field):
            doc = (section.__doc__ or "").strip()
            lines += ["", f"## `{place}`", "", doc, "", *_settings_table(section)]
    return "\n".join(lines) + "\n"


def _sections(place: str, field: FieldInfo) -> Iterator[tuple[str, type[BaseModel]]]:
    """Return the sections below a setting: itself, items of a list, and nested ones."""
    for kind in _models(field.annotation):
        here = place if kind is field.annotation else f"[[{place}]]"
        yield here, kind
        for name, inner in kind.model_fields.items():
            yield from _sections(f"{place}.{name}", inner)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)


def _settings_table(model: type[BaseModel]) -> list[str]:
    rows = [
        (f"`{name}`", _kind(field.annotation), _default(field), field.description or "")
        for name, field in model.model_fields.items()
        if not _is_section(field)
    ]
    return _markdown(("setting", "type", "default", "meaning"), rows)


def _is_section(field: FieldInfo) -> bool:
    kind = field.annotation
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _kind(annotation: Any) -> str:  # noqa: ANN401
    if isinstance(annotation, type) and not getattr(annotation, "__args__", None):
        return _WORDS.get(annotation.__name__, annotation.__name__)
    text = str(annotation)
    if text.startswith("typing.Literal"):
        return " or ".join(f"`{item}`" for item in annotation.__args__)
    unnamed = (type(None), ...)
    parts = [_kind(item) for item in annotation.__args__ if item not in unnamed]
    if text.startswith("dict"):
        return f"table of {parts[1]}"
    return f"list of {parts[0]}" if text.startswith("tuple") else parts[0]


_WORDS: Final = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "bool": "true or false",
    "Path": "path",
    "SecretStr": "secret",
    "BudgetSettings": "table",
    "TokenSettings": "table",
    "WebhookSettings": "table",
}


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    match value:
        case None:
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case () | {}:
            return "empty"
        case tuple():
            return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"


def columns_page() -> str:
    """Return the page about tables: one row per column of each table and rollup."""
    lines = [
        "# Columns",
        "",
        _MADE,
        "Times are UTC microseconds. A count that nobody sent is null, and so is a",
        "cost that is not known. Configured dimensions are columns of `calls`,",
        "`tool_calls` and `runs`.",
    ]
    for name, schema in table_schemas().items():
        lines += ["", f"## `{name}`", "", *_columns_table(schema)]
    for rollup in ROLLUPS:
        lines += [
            "",
            f"## `rollups/{rollup.name}`",
            "",
            f"One row per {rollup.grain} and "
            + ", ".join(f"`{key.name}`" for key in rollup.keys)
            + ".",
            "",
            *_columns_table(rollup.schema),
        ]
    return "\n".join([*lines, "", *_spans_view()]) + "\n"


def _spans_view() -> list[str]:
    return [
        "## The view `spans`",
        "",
        "In `spanledger sql`, `spans` has the columns of the table, with two for",
        "`attributes`: `attribute_map` holds every key as text, as sent; `attributes`",
        "is a STRUCT of these keys (and those of configured dimensions), which say on",
        "a call what the ledger says, and nothing about usage or cost on other spans.",
        "`raw.spans` is the table as it is stored.",
        "",
        *[f"- `{key}`" for key in documented_keys({})],
    ]


def reports_page() -> str:
    """Return the page about reports: what the SQL of each says, and its parameters."""
    lines = [
        "# Reports",
        "",
        _MADE,
        "`spanledger report tools --since 7d --set cut_results_to=1000`; the API has",
        "them at `/api/report/<name>`, with parameters in the query.",
        "A sum is null where nothing in it has a price; `coverage` is the share of its",
        "tokens that have one.",
    ]
    for kind in REPORTS:
        lines += [
            "",
            f"## `{kind.name}`",
            "",
            f"{kind.title[0].upper()}{kind.title[1:]}.",
        ]
        lines += ["", "```text", *_comments(query_text(kind.name)), "```"]
        if kind.parameters:
            rows = [
                (f"`{name}`", str(kind.parameters[name])) for name in kind.parameters
            ]
            lines += ["", *_markdown(("parameter", "default"), rows)]
    lines += ["", "## Kinds of `waste`", "", "```text"]
    return "\n".join([*lines, *_comments(query_text("redundant_work")), "```"]) + "\n"


def _comments(text: str) -> list[str]:
    """Return the comment that an SQL file begins with, without its marks."""
    head = itertools.takewhile(lambda line: line.startswith("--"), text.splitlines())
    return [line.removeprefix("--").removeprefix(" ") for line in head]


def _columns_table(schema: pa.Schema) -> list[str]:
    rows = [
        (
            f"`{field.name}`",
            f"`{_type_name(field.type)}`",
            "" if field.nullable else "not null",
            (field.metadata or {}).get(b"doc", b"").decode(),
        )
        for field in schema
    ]
    return _markdown(("column", "type", "", "meaning"), rows)


def _type_name(kind: pa.DataType) -> str:
    """Return a type in DuckDB's words."""
    if pa.types.is_map(kind):
        return f"MAP({_type_name(kind.key_type)}, {_type_name(kind.item_type)})"
    if pa.types.is_list(kind):
        return f"{_type_name(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        inner = ", ".join(f"{field.name} {_type_name(field.type)}" for field in kind)
        return f"STRUCT({inner})"
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    return _SQL_WORDS.get(str(kind), str(kind))


_SQL_WORDS: Final = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "int32": "INTEGER",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
}


def _markdown(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return lines


def _cell(text: str) -> str:
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())
