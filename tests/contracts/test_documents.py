"""What the documents say is so: commands, settings, SQL, metrics, events and links."""

import ast
import re
import shlex
from pathlib import Path

import duckdb
import pytest

from collector.account.publish import publish_empty_tables
from collector.cli import build_parser
from collector.config import load_settings
from collector.lake.target import open_target

ROOT = Path(__file__).parents[2]
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "deploy" / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
    )
}


def blocks(language):
    """Return every fenced block in *language*, with its document as the test's id."""
    return [
        pytest.param(block, id=f"{name}-{number}")
        for name, text in DOCUMENTS.items()
        for number, block in enumerate(
            re.findall(rf"(?ms)^```{language}\n(.*?)^```", text)
        )
    ]


def commands():
    """Return every command line of ours in a block of shell, or in a line of text."""
    found = set()
    for text in DOCUMENTS.values():
        for block in re.findall(r"(?ms)^```sh\n(.*?)^```", text):
            found |= set(re.findall(r"(?m)^(?:\S*/)?spanledger (.+)$", block))
        found |= set(re.findall(r"`spanledger ([a-z][^`]*)`", text))
    return sorted(found)


@pytest.mark.parametrize("line", commands())
def test_every_command_that_is_shown_is_one_that_the_program_takes(line):
    words = shlex.split(line, comments=True)

    # "sql" alone names the verb; then it is enough that there is such a verb.
    if words in ([verb] for verb in ("sql", "report", "trace", "explain", "ingest")):
        words.append("--help")
        with pytest.raises(SystemExit) as ended:
            build_parser().parse_args(words)
        assert ended.value.code == 0
    else:
        build_parser().parse_args(words)


@pytest.mark.parametrize("block", blocks("toml"))
def test_every_settings_block_is_valid(block, tmp_path):
    path = tmp_path / "spanledger.toml"
    path.write_text(block)

    assert load_settings(path) != load_settings()


@pytest.mark.parametrize("block", blocks("sql"))
def test_every_query_runs_on_the_files_of_an_empty_lake(block, tmp_path):
    publish_empty_tables(open_target(str(tmp_path)), ())

    with duckdb.connect() as connection:
        rows = connection.sql(block.replace("data/lake", str(tmp_path))).fetchall()

    assert rows == []


def logged_events(*levels):
    """Return the events that the service logs at *levels*, with the level."""
    found = {}
    for path in (ROOT / "collector").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in levels
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                found.setdefault(node.args[0].value, set()).add(node.func.attr)
    return found


def test_the_runbook_has_every_event_that_is_more_than_information():
    rows = re.findall(
        r"(?m)^\| ((?:`\w+`(?:, )?)+) \| ((?:warning|error)[a-z, ]*) \|",
        DOCUMENTS["docs/runbook.md"],
    )
    told = {
        event: set(levels.split(", "))
        for events, levels in rows
        for event in re.findall(r"`(\w+)`", events)
    }

    logged = logged_events("warning", "error")
    assert set(told) == set(logged)
    assert all(logged[event] <= levels for event, levels in told.items())


def test_every_metric_that_is_named_exists():
    code = "".join(path.read_text() for path in (ROOT / "collector").rglob("*.py"))
    made = set(re.findall(r'"(spanledger_\w+)"', code))

    named = {
        name
        for text in DOCUMENTS.values()
        for name in re.findall(r"`(spanledger_\w+)`", text)
    }

    assert {name for name in named if name.removesuffix("_total") not in made} <= made


def anchors(text):
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    return {
        re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_inside_the_repository_leads_somewhere(name):
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", DOCUMENTS[name]):
        place, _, anchor = target.partition("#")
        path = (ROOT / name).parent / place if place else ROOT / name

        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text()), target
