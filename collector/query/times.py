"""Moments as users write them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from collector.errors import QueryError

_AGO: Final = re.compile(r"(\d{1,6})\s*(s|m|h|d|w)")
_UNITS: Final = {
    "s": "seconds",
    "m": "minutes",
    "h": "hours",
    "d": "days",
    "w": "weeks",
}


class Period(NamedTuple):
    """A half-open time [since, until); null is open."""

    since: datetime | None = None
    until: datetime | None = None


ALWAYS: Final = Period()
"""Open at both ends."""


def parse_time(text: str, *, now: datetime | None = None) -> datetime:
    """
    Read a moment: ISO 8601 (UTC if it names no zone), or how long ago (``7d``).

    Raises:
        QueryError: The text is neither.
    """
    try:
        if ago := _AGO.fullmatch(text.strip()):
            span = timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            return (now or datetime.now(UTC)) - span
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        message = f"time: {text!r} is neither ISO 8601 nor like 7d, 24h, 90m"
        raise QueryError(message) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def parse_period(since: str | None, until: str | None) -> Period:
    """Read both ends of a period; an end that is not given is open."""
    now = datetime.now(UTC)
    return Period(
        parse_time(since, now=now) if since else None,
        parse_time(until, now=now) if until else None,
    )
