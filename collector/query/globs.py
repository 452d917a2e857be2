"""Patterns of the files of a lake in a directory, as DuckDB reads them."""

from datetime import date
from pathlib import Path

from collector.query.times import Period


def day_globs(folder: Path, period: Period, below: str) -> list[str]:
    """Return patterns of the files of a table, only of days inside *period*."""
    days = [
        day
        for day in sorted(folder.glob("date=*"))
        if any(day.glob(f"{below}.parquet"))
    ]
    wanted = [day for day in days if is_wanted(day.name, period)]
    if not wanted:
        return []
    if len(wanted) == len(days):
        return [f"{escape(folder)}/date=*/{below}.parquet"]
    return [f"{escape(day)}/{below}.parquet" for day in wanted]


def is_wanted(folder: str, period: Period) -> bool:
    """Return whether the folder of a day may have rows inside *period*."""
    text = folder.removeprefix("date=")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return False
    if day.year == 1970:  # the empty typed file
        return True
    since, until = period
    return (since is None or day >= since.date()) and (
        until is None or day <= until.date()
    )


def escape(path: Path) -> str:
    """Return *path* as a pattern that matches only itself."""
    text = str(path.resolve())
    return "".join(f"[{char}]" if char in "*?[" else char for char in text)


def literal(text: str) -> str:
    """Return *text* as SQL has it."""
    return "'" + text.replace("'", "''") + "'"
