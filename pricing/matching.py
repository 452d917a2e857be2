"""
Which model rows a name matches: rules as data.

A rule is a list: ``["=", text]`` equals, ``["^", text]`` starts with, ``["$", text]``
ends with, ``["*", text]`` contains, ``["re", pattern]`` is found by, ``["|", [rules]]``
any, ``["&", [rules]]`` all. Names and texts are compared in lower case.
"""

import re
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Final

Rule = Sequence[object]


class Hit(IntEnum):
    """How well a name matches."""

    NONE = 0
    LOOSE = 1
    EQUAL = 2


def match_rule(rule: Rule, name: str) -> Hit:
    """
    Return how *rule* matches *name*.

    Args:
        rule: A rule that `check_rule` accepts.

        name: A model name in lower case.
    """
    kind, argument = rule
    if kind == "=":
        return Hit.EQUAL if name == argument else Hit.NONE
    if kind == "|":
        return max((match_rule(part, name) for part in _parts(argument)), default=_NONE)
    if kind == "&":
        return min((match_rule(part, name) for part in _parts(argument)), default=_NONE)
    return Hit.LOOSE if _LOOSE[str(kind)](name, str(argument)) else Hit.NONE


_NONE: Final = Hit.NONE


def check_rule(rule: object) -> str | None:
    """Return what is wrong with *rule*, or None."""
    if not isinstance(rule, list) or len(rule) != 2:
        return "a rule is a pair of kind and text"
    kind, argument = rule
    if kind in ("|", "&"):
        if not isinstance(argument, list):
            return f"{kind!r} needs a list of rules"
        return next((bad for part in argument if (bad := check_rule(part))), None)
    if kind != "=" and kind not in _LOOSE:
        return f"unknown kind of rule: {kind!r}"
    if not isinstance(argument, str):
        return f"{kind!r} needs a text"
    return _bad_pattern(argument) if kind == "re" else None


def _bad_pattern(pattern: str) -> str | None:
    try:
        _pattern(pattern)
    except re.error as error:
        return f"bad pattern {pattern!r}: {error}"
    return None


def _parts(argument: object) -> Sequence[Rule]:
    return argument if isinstance(argument, list) else ()


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_LOOSE: Final[dict[str, Callable[[str, str], bool]]] = {
    "^": str.startswith,
    "$": str.endswith,
    "*": str.__contains__,
    "re": lambda name, pattern: _pattern(pattern).search(name) is not None,
}
