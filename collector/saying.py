"""What the verbs share: settings and time as asked for, and how they answer."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from collector.config import Settings
    from collector.query.times import Period


def fail(line: str) -> int:
    """Say in one line on standard error what went wrong; return 1."""
    print(f"spanledger: {line}", file=sys.stderr)
    return 1


def settings_of(arguments: argparse.Namespace) -> "Settings":
    """Return the settings of the file that was named, or of the default."""
    from collector.config import load_settings

    return load_settings(arguments.config)


def quiet_settings(arguments: argparse.Namespace) -> "Settings":
    """Return the settings for a verb whose output is its result, not its log."""
    from collector.telemetry import configure_logging

    configure_logging("cli", level="warning")
    return settings_of(arguments)


def period_of(arguments: argparse.Namespace) -> "Period":
    """Return the time that was asked for."""
    from collector.query.times import Period

    return Period(arguments.since, arguments.until)


def show(table: "pa.Table", form: str, notes: Sequence[str] = ()) -> None:
    """Write a table in *form*, and notes where it is for people."""
    from collector.query.formats import format_table

    sys.stdout.write(format_table(table, form, notes))


def show_said(table: "pa.Table", form: str, notes: Sequence[str] = ()) -> None:
    """Show a table of ours: people do not want columns that say nothing."""
    from collector.query.formats import without_empty_columns

    show(without_empty_columns(table) if form == "table" else table, form, notes)


def show_json(document: Mapping[str, Any]) -> None:
    """Write a document as JSON."""
    from collector.query.formats import to_json

    sys.stdout.write(to_json(document))
