"""
Texts that hold a provider's response or its usage, as Python objects.

JSON mostly; some libraries print Python literals, ``repr`` of objects, or pairs like
``total_tokens=12 prompt_tokens=8``. Nothing is evaluated.
"""

import ast
import json
import re
from typing import Final

_MOST_CHARACTERS: Final = 4 << 20
_MOST_LITERAL_CHARACTERS: Final = 64 << 10
_PAIRS: Final = re.compile(r"\w+=[\w.-]+(?:\s+\w+=[\w.-]+)*")
_USAGE: Final = re.compile(r"""usage['"]?\s*[:=]\s*(?=\{|\w+\()""")
_MOST_USAGE_CHARACTERS: Final = 4096
_BRACKET: Final = re.compile(r"[(){}\[\]]")
_DEPTHS: Final = {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}
_CALL: Final = re.compile(r"\b[A-Za-z_]\w*\(")
_WORD_IS: Final = re.compile(r"\b([A-Za-z_]\w*)=")
_WORDS: Final = re.compile(r"\b(?:None|True|False)\b")
_JSON_WORDS: Final = {"None": "null", "True": "true", "False": "false"}


def parse_document(text: str) -> object:
    """
    Return what *text* stands for: an object, an array, pairs; null if nothing.

    Never raises, whatever the text.
    """
    text = text.strip()
    if not text or len(text) > _MOST_CHARACTERS:
        return None
    if text[0] in "{[":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return parse_literal(text)
    if _PAIRS.fullmatch(text):
        return {
            key: int(value) if value.isdecimal() else value
            for key, value in (pair.split("=") for pair in text.split())
        }
    return None


def parse_literal(text: str) -> object:
    """Return a Python literal or printed object, calls as objects; else null."""
    if len(text) > _MOST_LITERAL_CHARACTERS:
        return None
    plain = _plain_literal(text)
    if plain is not None:
        return plain
    try:
        return _value(ast.parse(text, mode="eval").body)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _plain_literal(text: str) -> object:
    # Most literals are JSON but for the quotes and three words, most printed objects
    # have numbers only: as JSON they parse many times faster.
    if '"' in text or "\\" in text:
        return None
    if not text.startswith("{"):
        if "'" in text or not _CALL.match(text):
            return None
        text = _CALL.sub("{", text).replace(")", "}")
        text = _WORD_IS.sub(r'"\1":', text)
    as_json = _WORDS.sub(lambda found: _JSON_WORDS[found.group()], text)
    try:
        return json.loads(as_json.replace("'", '"'))
    except (ValueError, RecursionError):
        return None


def usage_inside(text: str) -> object:
    """Return the usage in the last ``usage=...`` or ``'usage': ...`` of a text."""
    starts = [found.end() for found in _USAGE.finditer(text)]
    if not starts:
        return None
    depth = 0
    rest = text[starts[-1] : starts[-1] + _MOST_USAGE_CHARACTERS]
    for bracket in _BRACKET.finditer(rest):
        depth += _DEPTHS[bracket.group()]
        if not depth:
            return parse_literal(rest[: bracket.end()])
    return None


def _value(node: ast.expr) -> object:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Dict(keys=keys, values=values):
            return {
                _value(key): _value(value)
                for key, value in zip(keys, values, strict=True)
                if isinstance(key, ast.Constant)
            }
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item) for item in items]
        case ast.Call(keywords=keywords):
            return {word.arg: _value(word.value) for word in keywords}
        case _:
            return None
