"""Asking once more when a file was replaced while it was read."""

import functools
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

import duckdb

from collector.errors import QueryError

_ATTEMPTS: Final = 5
_ASKED_WRONGLY: Final = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConversionException,
    duckdb.InterruptException,
    duckdb.OutOfMemoryException,
    duckdb.OutOfRangeException,
    duckdb.ParserException,
    duckdb.PermissionException,
)
"""Errors that come again: of the statement, or of its limits."""

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


def asking_again(ask: Callable[_Given, _Found]) -> Callable[_Given, _Found]:
    """
    Let *ask* look at the lake anew when DuckDB could not read a file of it.

    DuckDB reads the end of a file first and opens it again for its rows; one that was
    replaced in between fails, in words of many kinds (docs/decisions/0082). *ask* must
    open the lake itself and only read.
    """

    @functools.wraps(ask)
    def asked(*args: _Given.args, **kwargs: _Given.kwargs) -> _Found:
        for _ in range(_ATTEMPTS - 1):
            try:
                return ask(*args, **kwargs)
            except QueryError as error:
                cause = error.__cause__
                if not isinstance(cause, duckdb.Error | OSError) or isinstance(
                    cause, _ASKED_WRONGLY
                ):
                    raise
        return ask(*args, **kwargs)

    return asked
