"""
OTLP/JSON to the protobuf message it stands for.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding (1.9): the JSON mapping
of protobuf, but ids are hex and enums numbers; unknown fields are ignored. As
protobuf's own reader does, it also takes original field names, names of enum values,
64-bit integers as numbers or text, and null for an absent field.

The reader is made from the descriptors of the messages. Protobuf's own, with the ids
turned into base64 before, needs three times as long.
"""

import base64
import binascii
import functools
import json
from collections.abc import Callable
from typing import Any, Final, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from proto_handlers.errors import DecodeError

MessageT = TypeVar("MessageT", bound=Message)

_HEX_FIELDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
_FLOAT_NAMES: Final = frozenset({"NaN", "Infinity", "-Infinity"})

_Set = Callable[[Message, object], None]


def parse_otlp_json(text: bytes, message: type[MessageT]) -> MessageT:
    """
    Read one OTLP/JSON request.

    An id that is not hex is left empty: its span is a bad one, the request is not.

    Args:
        text: UTF-8 JSON.

        message: Type of the request.

    Raises:
        DecodeError: It is no JSON, no object, or a field has a wrong type.
    """
    request = message()
    try:
        _fill(request, json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise DecodeError(f"json: {error}") from None
    return request


def _fill(message: Message, value: object) -> None:
    if not isinstance(value, dict):
        problem = f"{_kind(value)} in place of {message.DESCRIPTOR.name}"
        raise TypeError(problem)
    setters = _setters(message.DESCRIPTOR)
    for key, item in value.items():
        if item is not None and (setter := setters.get(key)):
            setter(message, item)


@functools.cache
def _setters(descriptor: Descriptor) -> dict[str, _Set]:
    """Return what sets each field of a message, by the keys a sender may use."""
    setters: dict[str, _Set] = {}
    for field in descriptor.fields:
        setter = _setter(field)
        setters[field.name] = setters[field.json_name] = setter
    return setters


def _setter(field: FieldDescriptor) -> _Set:
    name = field.name
    if field.message_type is not None:
        return _set_messages(name) if field.is_repeated else _set_message(name)
    read = _reader(field)

    def set_scalar(message: Message, value: object) -> None:
        setattr(message, name, read(value))

    def set_scalars(message: Message, value: object) -> None:
        getattr(message, name).extend(read(item) for item in _list(name, value))

    return set_scalars if field.is_repeated else set_scalar


def _set_message(name: str) -> _Set:
    def set_message(message: Message, value: object) -> None:
        inner = getattr(message, name)
        inner.SetInParent()
        _fill(inner, value)

    return set_message


def _set_messages(name: str) -> _Set:
    def set_messages(message: Message, value: object) -> None:
        container = getattr(message, name)
        for item in _list(name, value):
            _fill(container.add(), {} if item is None else item)

    return set_messages


def _list(name: str, value: object) -> list[Any]:
    if isinstance(value, list):
        return value
    problem = f"{name}: {_kind(value)} in place of an array"
    raise TypeError(problem)


def _reader(field: FieldDescriptor) -> Callable[[object], object]:
    """Return what turns a JSON value into one that the scalar *field* takes."""
    if field.name in _HEX_FIELDS:
        return _read_hex
    if field.enum_type is not None:
        numbers = {
            name: enum.number for name, enum in field.enum_type.values_by_name.items()
        }
        return lambda value: (
            numbers[value]
            if isinstance(value, str) and value in numbers
            else _read_integer(value)
        )
    readers: dict[int, Callable[[object], object]] = {
        FieldDescriptor.CPPTYPE_STRING: (
            _read_base64 if field.type == FieldDescriptor.TYPE_BYTES else _as_is
        ),
        FieldDescriptor.CPPTYPE_BOOL: _as_is,
        FieldDescriptor.CPPTYPE_DOUBLE: _read_float,
        FieldDescriptor.CPPTYPE_FLOAT: _read_float,
    }
    return readers.get(field.cpp_type, _read_integer)


def _as_is(value: object) -> object:
    return value


def _read_hex(value: object) -> bytes:
    try:
        return binascii.unhexlify(value) if isinstance(value, str) else b""
    except ValueError:
        return b""


def _read_base64(value: object) -> bytes:
    if not isinstance(value, str):
        problem = f"{_kind(value)} in place of base64 text"
        raise TypeError(problem)
    standard = value.translate({ord("-"): "+", ord("_"): "/"})
    return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)


def _read_integer(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    problem = f"{_kind(value)} in place of an integer"
    raise TypeError(problem)


def _read_float(value: object) -> float:
    if isinstance(value, str) and value in _FLOAT_NAMES:
        return float(value)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return float(value)
    problem = f"{_kind(value)} in place of a number"
    raise TypeError(problem)


def _kind(value: object) -> str:
    return {dict: "an object", list: "an array", str: "text", bool: "a boolean"}.get(
        type(value), "a number"
    )
