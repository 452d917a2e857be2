"""Who may send, and how much may wait."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import Final

from collector.errors import OverloadedError, ShuttingDownError, UnauthenticatedError
from collector.sections import TokenSettings

_SCHEME: Final = "bearer "
_REQUESTS_HELD: Final = 8


class Admission:
    """
    Lets requests in, or not.

    Back pressure is by memory: requests that wait for their bytes or for the journal
    may hold eight times the largest request together.
    """

    def __init__(
        self, tokens: tuple[TokenSettings, ...], *, max_request_bytes: int
    ) -> None:
        # Looking a digest up tells an attacker's clock nothing about the token.
        self._tenants = {
            _digest(each.token.get_secret_value()): each.tenant for each in tokens
        }
        self.max_request_bytes: Final = max_request_bytes
        self._max_held_bytes = _REQUESTS_HELD * max_request_bytes
        self._held_bytes = 0
        self._is_closed = False

    @property
    def needs_token(self) -> bool:
        """Whether senders must show a token."""
        return bool(self._tenants)

    def tenant_of(self, authorization: str | None) -> str | None:
        """
        Return the tenant that an ``Authorization`` header stands for.

        Returns:
            None if no tokens are configured, whatever the header says.

        Raises:
            UnauthenticatedError: Tokens are configured and this is none of them.
        """
        if not self._tenants:
            return None
        if authorization is None or authorization[:7].lower() != _SCHEME:
            raise UnauthenticatedError
        tenant = self._tenants.get(_digest(authorization[7:].strip()))
        if tenant is None:
            raise UnauthenticatedError
        return tenant

    def close(self) -> None:
        """Let nothing in any more: the role shuts down."""
        self._is_closed = True

    @contextlib.contextmanager
    def holding(self, size_bytes: int = 0) -> Iterator[Callable[[int], None]]:
        """
        Count the memory of a request while the block runs.

        Args:
            size_bytes: Bytes that the request holds already.

        Yields:
            What to call with the number of bytes when it takes more.

        Raises:
            OverloadedError: All requests together hold too much; also when called.
            ShuttingDownError: Nothing is let in any more.
        """
        if self._is_closed:
            raise ShuttingDownError
        held_bytes = 0

        def hold(more_bytes: int) -> None:
            nonlocal held_bytes
            held_bytes += more_bytes
            self._held_bytes += more_bytes
            if self._held_bytes > self._max_held_bytes:
                raise OverloadedError(
                    held_bytes=self._held_bytes, max_bytes=self._max_held_bytes
                )

        try:
            hold(size_bytes)
            yield hold
        finally:
            self._held_bytes -= held_bytes


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
