"""
Errors as gRPC codes and HTTP statuses: the one place that knows them.

Codes and retry rules: https://opentelemetry.io/docs/specs/otlp/ (1.9), "Failures" of
OTLP/gRPC and OTLP/HTTP.
"""

import json
from typing import Final, NamedTuple

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from collector import errors

_RETRY_INFO_URL: Final = "type.googleapis.com/google.rpc.RetryInfo"


class Answer(NamedTuple):
    """What a sender whose request was not taken is told."""

    code: grpc.StatusCode
    """The gRPC code."""
    http_status: int
    """The HTTP status."""
    message: str
    """One line for people."""
    retry_seconds: int | None
    """When to send the same request again; None means never."""

    @property
    def outcome(self) -> str:
        """One word for the counters."""
        return self.code.name.lower()

    def to_protobuf(self) -> bytes:
        """Return the answer as a ``google.rpc.Status`` in protobuf."""
        status = Status(code=self.code.value[0], message=self.message)
        if self.retry_seconds is not None:
            info = RetryInfo()
            info.retry_delay.seconds = self.retry_seconds
            status.details.append(
                AnyMessage(type_url=_RETRY_INFO_URL, value=info.SerializeToString())
            )
        return status.SerializeToString()

    def to_json(self) -> bytes:
        """Return the answer as a ``google.rpc.Status`` in protobuf's JSON."""
        status: dict[str, object] = {
            "code": self.code.value[0],
            "message": self.message,
        }
        if self.retry_seconds is not None:
            delay = f"{self.retry_seconds}s"
            status["details"] = [{"@type": _RETRY_INFO_URL, "retryDelay": delay}]
        return json.dumps(status).encode()


class _Rule(NamedTuple):
    error: type[errors.SpanledgerError]
    code: grpc.StatusCode
    http_status: int
    retry_seconds: int | None = None


_RULES: Final = (
    _Rule(errors.JournalFullError, grpc.StatusCode.UNAVAILABLE, 503, 5),
    _Rule(errors.DiskFullError, grpc.StatusCode.UNAVAILABLE, 503, 5),
    _Rule(errors.RetryableError, grpc.StatusCode.UNAVAILABLE, 503, 1),
    _Rule(errors.MalformedRequestError, grpc.StatusCode.INVALID_ARGUMENT, 400),
    _Rule(errors.TooLargeError, grpc.StatusCode.RESOURCE_EXHAUSTED, 413),
    _Rule(errors.UnauthenticatedError, grpc.StatusCode.UNAUTHENTICATED, 401),
    _Rule(errors.UnsupportedError, grpc.StatusCode.UNIMPLEMENTED, 415),
    _Rule(errors.PermanentError, grpc.StatusCode.INVALID_ARGUMENT, 400),
)


def answer_to(error: errors.RetryableError | errors.PermanentError) -> Answer:
    """Return what the sender of a request that failed with *error* is told."""
    rule = next(rule for rule in _RULES if isinstance(error, rule.error))
    return Answer(rule.code, rule.http_status, str(error), rule.retry_seconds)
