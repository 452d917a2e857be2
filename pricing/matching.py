"""
Which model rows a name matches: rules as data.

A rule is a list: ``["=", text]`` equals, ``["^", text]`` starts with, ``["$", text]``
ends with, ``["*", text]`` contains, ``["re", pattern]`` is found by, ``["|", [rules]]``
any, ``["&", [rules]]`` all. Names and texts are compared in lower case.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import lru_cache
from typing import Final

Rule = Sequence[object]


class Hit(Enum):
    """How well a name matches."""

    LOOSE = "loose"
    EQUAL = "equal"


class RuleIndex:
    """Rules in order of precedence, to be asked for the first that matches."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._equal: dict[str, int] = {}
        self._loose: list[tuple[int, Rule]] = []
        for position, rule in enumerate(rules):
            for kind, argument in _alternatives(rule):
                if kind == "=":
                    self._equal.setdefault(str(argument), position)
                else:
                    self._loose.append((position, (kind, argument)))

    def first(self, name: str) -> tuple[int, Hit] | None:
        """
        Return the position of the first rule that *name* matches, and how.

        Args:
            name: A model name in lower case.
        """
        equal = self._equal.get(name)
        for position, rule in self._loose:
            if equal is not None and equal <= position:
                break
            if match_rule(rule, name):
                return position, Hit.LOOSE
        return None if equal is None else (equal, Hit.EQUAL)


def _alternatives(rule: Rule) -> Iterator[Rule]:
    kind, argument = rule
    if kind == "|":
        for part in _parts(argument):
            yield from _alternatives(part)
    else:
        yield rule


def match_rule(rule: Rule, name: str) -> bool:
    """
    Return whether *name* matches *rule*.

    Args:
        rule: A rule that `check_rule` accepts.

        name: A model name in lower case.
    """
    kind, argument = rule
    if kind == "=":
        return name == argument
    if kind == "|":
        return any(match_rule(part, name) for part in _parts(argument))
    if kind == "&":
        return all(match_rule(part, name) for part in _parts(argument))
    return _LOOSE[str(kind)](name, str(argument))


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
