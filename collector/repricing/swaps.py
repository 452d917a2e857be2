"""
What would be otherwise: which calls, and what of them.

A swap is ``WHERE:CHANGE``. Each is a list of ``key=value`` with commas; an empty where
means all calls. Where takes any text column of ``calls``, ``model`` (asked for or
answered) and ``step`` (``3``, ``1-4``, ``5-``); values are globs, an empty one fits
null. Change takes `CHANGES`, ``model`` and ``cache`` (``on``, ``off``).
"""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.errors import QueryError
from collector.repricing.stored import Mask

CHANGES: Final = (
    "provider",
    "service_tier",
    "processing",
    "speed",
    "deployment",
    "region",
)
"""Facts of a call that a swap may set, beside its model and its use of a cache."""

_MODELS: Final = ("request_model", "response_model")
_CACHE: Final = ("on", "off")
_CHANGE_START: Final = re.compile(rf":(?=(?:model|cache|{'|'.join(CHANGES)})=)")
_STEPS: Final = re.compile(r"(\d{1,9})(-)?(\d{1,9})?")


class Where(NamedTuple):
    """Which calls: all tests hold; without one, all do."""

    tests: tuple[tuple[str, str], ...] = ()

    def columns(self) -> tuple[str, ...]:
        """Return the columns that are looked at."""
        return tuple(
            name
            for key, _ in self.tests
            for name in (_MODELS if key == "model" else (key,))
        )

    def fits(self, calls: pa.Table) -> Mask:
        """Return which calls are meant."""
        mask: Mask = np.ones(calls.num_rows, np.bool_)
        for key, value in self.tests:
            if key == "step":
                mask &= _is_step(calls.column(key), value)
            elif key == "model":
                asked, answered = (_is_like(calls.column(n), value) for n in _MODELS)
                mask &= asked | answered
            else:
                mask &= _is_like(calls.column(key), value)
        return mask


class Swap(NamedTuple):
    """What of which calls is to be otherwise."""

    where: Where
    facts: Mapping[str, str]
    model: str | None = None
    cache: str | None = None


def parse_where(text: str, columns: Sequence[str]) -> Where:
    """
    Read which calls are meant.

    Args:
        text: A list of ``key=value``; blank is all.

        columns: Text columns of ``calls``.

    Raises:
        QueryError: It is no such list, or a key is no column.
    """
    tests = _parse_pairs(text)
    for key, value in tests:
        if key == "step" and not _STEPS.fullmatch(value):
            message = f"step={value}: not like 3, 1-4 or 5-"
            raise QueryError(message)
        if key not in ("step", "model", *columns):
            error = QueryError(f"{text!r}: calls have no text column {key!r}")
            error.hint = f"there are step, model, {', '.join(sorted(columns))}"
            raise error
    return Where(tests)


def parse_swap(text: str, columns: Sequence[str]) -> Swap:
    """
    Read a swap; see the module's docstring.

    Raises:
        QueryError: It is none; the message has the part that is wrong.
    """
    found = _CHANGE_START.search(text)
    if not found:
        error = QueryError(f"swap {text!r}: nothing to change")
        error.hint = (
            "write it like 'step=0:model=claude-haiku-4-5', or ':cache=off' for all"
        )
        raise error
    changes = dict(_parse_pairs(text[found.end() :]))
    for key in changes.keys() - {"model", "cache", *CHANGES}:
        error = QueryError(f"swap {text!r}: cannot change {key!r}")
        error.hint = f"there are model, cache, {', '.join(CHANGES)}"
        raise error
    model, cache = changes.pop("model", None), changes.pop("cache", None)
    if cache not in (None, *_CACHE):
        message = f"swap {text!r}: cache is on or off, not {cache!r}"
        raise QueryError(message)
    return Swap(parse_where(text[: found.start()], columns), changes, model, cache)


def _parse_pairs(text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, separator, value = part.partition("=")
        if not separator or not key.strip():
            message = f"{text!r}: {part!r} is not like key=value"
            raise QueryError(message)
        pairs.append((key.strip(), value.strip()))
    return tuple(pairs)


def _is_step(column: pa.ChunkedArray, text: str) -> Mask:
    found = _STEPS.fullmatch(text)
    if found is None:
        return np.zeros(len(column), np.bool_)
    first, has_range, last = found.groups()
    steps = pc.fill_null(column, -1).to_numpy()
    mask: Mask = steps >= int(first)
    if last or not has_range:
        mask &= steps <= int(last or first)
    return mask


def _is_like(column: pa.ChunkedArray, glob: str) -> Mask:
    """Return where a text is like *glob* in either case; null is like nothing."""
    words = pc.unique(column).to_pylist()
    if not glob:
        fitting: list[str | None] = [None]
    else:
        fitting = [
            word
            for word in words
            if word is not None and fnmatchcase(word.lower(), glob.lower())
        ]
    found = pc.is_in(column, value_set=pa.array(fitting, pa.string()))
    mask: Mask = found.to_numpy()
    return mask
