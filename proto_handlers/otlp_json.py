"""
OTLP/JSON to the protobuf message it stands for.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding (1.9): ids are hex,
64-bit integers numbers or text, enums numbers, unknown fields are ignored.
"""

import base64
import binascii
import json
from typing import Any, Final, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from proto_handlers.errors import DecodeError

MessageT = TypeVar("MessageT", bound=Message)

_ID_KEYS: Final = frozenset(
    {
        "traceId",
        "spanId",
        "parentSpanId",
        "trace_id",
        "span_id",
        "parent_span_id",
    }
)


def parse_otlp_json(text: bytes, message: type[MessageT]) -> MessageT:
    """
    Read one OTLP/JSON request.

    Args:
        text: UTF-8 JSON.

        message: Type of the request.

    Raises:
        DecodeError: It is no JSON, no object, or a field has a wrong type; an id that
            is not hex, too.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"json: {error}") from None
    if not isinstance(document, dict):
        raise DecodeError("json: not an object")
    try:
        _ids_to_base64(document)
        return json_format.ParseDict(document, message(), ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError, RecursionError) as error:
        raise DecodeError(f"json: {error}") from None


def _ids_to_base64(value: Any) -> None:  # noqa: ANN401
    if isinstance(value, list):
        for item in value:
            _ids_to_base64(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in _ID_KEYS and isinstance(item, str):
                value[key] = _base64_of_hex(key, item)
            elif isinstance(item, (dict, list)):
                _ids_to_base64(item)


def _base64_of_hex(key: str, text: str) -> str:
    try:
        return base64.b64encode(bytes.fromhex(text)).decode()
    except (ValueError, binascii.Error):
        raise DecodeError(f"json: {key} {text[:40]!r} is not hex") from None
