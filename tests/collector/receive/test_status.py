from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format
from google.rpc.status_pb2 import Status

from collector import errors
from collector.receive.status import answer_to

CASES = {
    errors.JournalFullError(used_bytes=2, max_bytes=1): ("UNAVAILABLE", 503, 5),
    errors.DiskFullError(directory=Path("d"), detail="x"): ("UNAVAILABLE", 503, 5),
    errors.JournalFailedError(path=Path("d"), detail="x"): ("UNAVAILABLE", 503, 1),
    errors.OverloadedError(held_bytes=2, max_bytes=1): ("UNAVAILABLE", 503, 1),
    errors.ShuttingDownError(): ("UNAVAILABLE", 503, 1),
    errors.MalformedRequestError("x"): ("INVALID_ARGUMENT", 400, None),
    errors.TooLargeError(request_bytes=2, max_bytes=1): (
        "RESOURCE_EXHAUSTED",
        413,
        None,
    ),
    errors.UnauthenticatedError(): ("UNAUTHENTICATED", 401, None),
    errors.UnsupportedError("x"): ("UNIMPLEMENTED", 415, None),
}


def subclasses(cls):
    return [cls, *(leaf for sub in cls.__subclasses__() for leaf in subclasses(sub))]


@pytest.mark.parametrize(
    ("error", "expected"), CASES.items(), ids=lambda case: type(case).__name__
)
def test_each_error_has_its_code_status_and_time_to_retry(error, expected):
    answer = answer_to(error)

    code, http_status, retry_seconds = expected
    assert answer == (
        grpc.StatusCode[code],
        http_status,
        str(error),
        retry_seconds,
    )


@pytest.mark.parametrize(
    "error_type",
    subclasses(errors.RetryableError) + subclasses(errors.PermanentError),
    ids=lambda error_type: error_type.__name__,
)
def test_every_error_that_may_be_retried_says_when_and_no_other_does(error_type):
    answer = answer_to(error_type.__new__(error_type))

    is_retryable = issubclass(error_type, errors.RetryableError)
    assert (answer.retry_seconds is not None) == is_retryable
    assert (answer.code is grpc.StatusCode.UNAVAILABLE) == is_retryable
    assert (answer.http_status == 503) == is_retryable


@pytest.mark.parametrize("error", CASES, ids=lambda error: type(error).__name__)
def test_the_status_is_the_same_in_protobuf_and_json(error):
    answer = answer_to(error)

    in_protobuf = Status.FromString(answer.to_protobuf())

    assert in_protobuf == json_format.Parse(answer.to_json(), Status())
    assert (in_protobuf.code, in_protobuf.message) == (
        answer.code.value[0],
        str(error),
    )
