"""Opening a lake that may be away when a role starts: a bucket behind a network."""

import threading
from collections.abc import Callable
from typing import Final, TypeVar

import structlog

from collector.config import Settings
from collector.errors import ConfigError, SpanledgerError
from collector.lake.target import is_bucket
from collector.telemetry import RepeatingLog, write_status

_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 10.0

T = TypeVar("T")


def open_when_there(
    open_lake: Callable[[], T],
    settings: Settings,
    role: str,
    *,
    away: Callable[[], None],
    stop: threading.Event,
) -> T | None:
    """
    Return what *open_lake* opens, tried again as long as a bucket is away.

    What is sent meanwhile stays in the journal, so a role that starts while the bucket
    cannot be reached must not keep the service from receiving.

    Args:
        open_lake: Reads or writes the lake, and may do so several times.

        settings: A directory as the lake is tried once.

        role: Whose status says why it is not ready.

        away: Called when the first try failed.

        stop: Ends the waiting.

    Returns:
        Null if *stop* was set before the bucket was there.

    Raises:
        ConfigError: The URL or another setting cannot be used.
        SpanledgerError: The directory cannot be used; `OSError` likewise.
    """
    log = RepeatingLog(structlog.get_logger(component=role))
    pause_seconds = _FIRST_PAUSE_SECONDS
    is_first = True
    while True:
        try:
            return open_lake()
        except ConfigError:
            raise
        except (SpanledgerError, OSError) as error:
            if not is_bucket(settings.lake_url):
                raise
            reason = f"the lake is away: {error}"
            log.error("lake_missed", reason=str(error))
        write_status(settings.state_dir, role, ready=False, reason=reason)
        if is_first:
            is_first = False
            away()
        if stop.wait(pause_seconds):
            return None
        pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
