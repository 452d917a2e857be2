"""How long a question may take, and what is said when it takes longer."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import duckdb

from collector.errors import QueryError

TIMEOUT_SECONDS: Final = 60.0

_HINT: Final = "ask about a shorter time, with since and until"


@contextlib.contextmanager
def time_limit(
    connection: duckdb.DuckDBPyConnection, seconds: float = TIMEOUT_SECONDS
) -> Iterator[Callable[[], None]]:
    """
    Give up what *connection* works on after *seconds*.

    Yields:
        What to call between steps that are not the connection's: it gives up, too.

    Raises:
        QueryError: The time is over.
    """
    end = time.monotonic() + seconds
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()

    def check() -> None:
        if time.monotonic() >= end:
            raise duckdb.InterruptException

    try:
        yield check
    except duckdb.InterruptException:
        error = QueryError(f"query: stopped after {seconds:g} seconds")
        error.hint = _HINT
        raise error from None
    finally:
        timer.cancel()
