"""Values as text for people; what a value means decides how it looks."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

MISSING: Final = "\N{EN DASH}"
_CENT: Final = Decimal("0.01")
_MINUTE_SECONDS: Final = 60
_HOUR_SECONDS: Final = 3600
_DAY_SECONDS: Final = 86400


class Column(NamedTuple):
    """A column of a report as the page shows it."""

    name: str
    heading: str
    show: Callable[[object], str]
    is_number: bool = False
    bar: bool = False
    """Draw its share of the column's largest value beside it."""
    is_word: bool = False
    """One of a few words, which may look different each."""


class Cell(NamedTuple):
    """One value as shown."""

    text: str
    title: str | None = None
    """All of it, where the text is short of something."""
    is_number: bool = False
    bar: float | None = None
    """A share from 0 to 1."""
    word: str | None = None


def show(column: Column, value: object, largest: float | None) -> Cell:
    """
    Return *value* as *column* shows it.

    Args:
        column: How it is shown.

        value: From a report.

        largest: The column's largest value, if shares of it are drawn.
    """
    shown = column.show(value)
    whole = None if value is None else str(value)
    is_short = whole is not None and column.show in {short_id, dollars}
    bar = None
    if largest and isinstance(value, (int, float, Decimal)):
        bar = max(0.0, min(1.0, float(value) / largest))
    return Cell(
        text=shown,
        title=whole if is_short else None,
        is_number=column.is_number,
        bar=bar,
        word=shown if column.is_word and value is not None else None,
    )


def text(value: object) -> str:
    """Return a name or word; what is missing is a dash."""
    return MISSING if value is None else str(value)


def count(value: object) -> str:
    """Return a whole number with thousands apart."""
    return f"{value:,}" if isinstance(value, int) else MISSING


def average(value: object) -> str:
    """Return a number without decimals."""
    return f"{value:,.0f}" if isinstance(value, (int, float)) else MISSING


def figure(value: object) -> str:
    """Return a number with four digits."""
    return f"{value:,.4g}" if isinstance(value, (int, float)) else MISSING


def decimal(value: object) -> Decimal | None:
    """Return an amount that is written as text; none if it is no amount."""
    try:
        return Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        return None


def dollars(value: object) -> str:
    """Return an amount: cents, and below a dollar as many digits as tell it apart."""
    if not isinstance(value, Decimal):
        return MISSING
    if abs(value) >= 1 or not value:
        return f"${value.quantize(_CENT):,f}"
    places = max(2, 2 - value.adjusted())
    return f"${value:.{places}f}"


def share(value: object) -> str:
    """Return a share as a percentage; not quite all is never shown as all."""
    if not isinstance(value, (int, float)):
        return MISSING
    if value < 1 and f"{100 * value:.3g}" == "100":
        return "> 99.9 %"
    return f"{100 * value:.3g} %"


def moment(value: object) -> str:
    """Return a time in UTC to the second."""
    if not isinstance(value, datetime):
        return MISSING
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration(value: object) -> str:
    """Return seconds in the largest unit that suits."""
    if not isinstance(value, (int, float)):
        return MISSING
    seconds = float(value)
    if seconds < 2 * _MINUTE_SECONDS:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR_SECONDS:
        return f"{seconds / _MINUTE_SECONDS:.0f} min"
    if seconds < 2 * _DAY_SECONDS:
        return f"{seconds / _HOUR_SECONDS:.0f} h"
    return f"{seconds / _DAY_SECONDS:.0f} days"


def short_id(value: object) -> str:
    """Return the start of an id."""
    return str(value)[:8] if value else MISSING


def scope(value: object) -> str:
    """Return a scope, JSON, as its items; ids only if there is nothing else."""
    items = json.loads(value) if isinstance(value, str) else {}
    named = {key: item for key, item in items.items() if not key.endswith("_id")}
    return ", ".join(f"{key} {item}" for key, item in (named or items).items())
