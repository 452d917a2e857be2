"""
The part of YAML that our deployment files keep to, read strictly.

Mappings and lists by two spaces of indentation, plain or double-quoted scalars, lists
of plain scalars in brackets. Whatever else stands in a file is an error, so that what
these tests understand is what every YAML reader understands.
"""

import re

_KEY = re.compile(r'("[^"]*"|[A-Za-z_][\w./-]*):(?: (.+))?$')


def parse(text: str):
    """Return the document as dicts, lists and texts; an empty value is None."""
    lines = [
        (number, len(line) - len(line.lstrip(" ")), line.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.strip().startswith("#")
    ]
    value, rest = _block(lines, 0)
    if rest:
        raise ValueError(f"line {rest[0][0]}: not understood: {rest[0][2]}")
    return value


def _block(lines, indent):
    if not lines or lines[0][1] < indent:
        return None, lines
    if lines[0][1] != indent:
        raise ValueError(f"line {lines[0][0]}: indented by {lines[0][1]}, not {indent}")
    return (_list if lines[0][2].startswith("- ") else _mapping)(lines, indent)


def _list(lines, indent):
    found = []
    while lines and lines[0][1] == indent and lines[0][2].startswith("- "):
        found.append(_scalar(lines[0][2][2:]))
        lines = lines[1:]
    return found, lines


def _mapping(lines, indent):
    found = {}
    while lines and lines[0][1] == indent:
        number, _, text = lines[0]
        matched = _KEY.match(text)
        if not matched:
            raise ValueError(f"line {number}: not understood: {text}")
        key = matched[1].strip('"')
        if key in found:
            raise ValueError(f"line {number}: {key} again")
        lines = lines[1:]
        if matched[2]:
            found[key] = _scalar(matched[2])
        else:
            found[key], lines = _block(lines, indent + 2)
    return found, lines


def _scalar(text):
    if text.startswith("[") and text.endswith("]"):
        inner = text[1:-1].strip()
        return [_scalar(item.strip()) for item in inner.split(",")] if inner else []
    if text.startswith('"'):
        if text.count('"') != 2 or not text.endswith('"'):
            raise ValueError(f"not understood: {text}")
        return text[1:-1]
    if re.search(r": |[{}&*!|>%@`#]", text) or text.endswith(":"):
        raise ValueError(f"not a plain scalar: {text}")
    return text
