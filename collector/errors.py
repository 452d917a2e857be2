"""
Errors of the service, sorted by what the sender or operator should do.

`collector.receive.status` is the one place that turns them into gRPC and HTTP codes.
"""

from pathlib import Path


class SpanledgerError(Exception):
    """Base of all errors that end as one clear line for the user."""

    hint: str | None = None

    def line(self) -> str:
        """Return the error and its hint on one line."""
        return f"{self}; {self.hint}" if self.hint else str(self)


class RetryableError(SpanledgerError):
    """The sender should send the same request again later."""


class PermanentError(SpanledgerError):
    """Sending the same request again cannot help."""


class JournalFullError(RetryableError):
    """The journal reached ``journal.max_bytes``; the drain is behind."""

    def __init__(self, *, used_bytes: int, max_bytes: int) -> None:
        super().__init__(f"journal full: {used_bytes} of {max_bytes} bytes used")
        self.used_bytes = used_bytes
        self.max_bytes = max_bytes


class DiskFullError(RetryableError):
    """No room for the next journal segment."""

    def __init__(self, *, directory: Path, detail: str) -> None:
        super().__init__(f"disk full: {directory}: {detail}")
        self.directory = directory


class OverloadedError(RetryableError):
    """Requests that wait hold as much memory as they may."""

    def __init__(self, *, held_bytes: int, max_bytes: int) -> None:
        super().__init__(f"overloaded: requests of {held_bytes} bytes are waiting")
        self.held_bytes = held_bytes
        self.max_bytes = max_bytes


class ShuttingDownError(RetryableError):
    """The role takes no more requests; a restart or another receiver will."""

    def __init__(self) -> None:
        super().__init__("shutting down")


class JournalFailedError(RetryableError):
    """A sync failed; what the kernel kept is unknown until the role restarts."""

    def __init__(self, *, path: Path, detail: str) -> None:
        super().__init__(f"journal sync failed: {path}: {detail}")
        self.path = path


class JournalCorruptError(SpanledgerError):
    """One of the small files beside the segments is not readable."""

    def __init__(self, *, path: Path, detail: str) -> None:
        super().__init__(f"journal: {path}: {detail}")
        self.hint = "move the journal directory away to start with an empty one"
        self.path = path


class MalformedRequestError(PermanentError):
    """The request is not a decodable OTLP message."""


class TooLargeError(PermanentError):
    """The request is larger than ``receive.max_request_bytes``."""

    def __init__(self, *, request_bytes: int, max_bytes: int) -> None:
        super().__init__(f"request too large: more than {max_bytes} bytes")
        self.request_bytes = request_bytes
        self.max_bytes = max_bytes


class UnauthenticatedError(PermanentError):
    """No bearer token, or one that is not configured."""

    def __init__(self) -> None:
        super().__init__("missing or unknown bearer token")


class UnsupportedError(PermanentError):
    """A content type or encoding that OTLP does not have."""


class ConfigError(SpanledgerError):
    """A setting is unknown or has a bad value."""


class ListenError(SpanledgerError):
    """An address cannot be listened on."""

    def __init__(self, *, setting: str, address: str, detail: str) -> None:
        super().__init__(f"{setting}: cannot listen on {address}: {detail}")
        self.hint = "stop what uses it, or set another address; port 0 picks a free one"


class LockedError(SpanledgerError):
    """Another process holds a role's lock on the data directory."""

    def __init__(self, *, role: str, data_dir: Path, holder: str) -> None:
        super().__init__(f"{role}: {data_dir} is in use by process {holder}")
        self.hint = "stop it, or set data_dir to another directory"
        self.role = role
        self.data_dir = data_dir


class LakeError(SpanledgerError):
    """An object of the lake cannot be read or written."""


class DamagedObjectError(LakeError):
    """An object of the lake is there and is no Parquet; reading it again is no help."""


class QueryError(SpanledgerError):
    """A query or report cannot be answered."""
