"""Serving an app until told to stop."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

from collector.errors import SpanledgerError
from collector.sections import split_listen
from collector.web.probes import build_status_app

_FINISH_SECONDS: Final = 2


class ListenError(SpanledgerError):
    """An address cannot be listened on."""

    def __init__(self, *, listen: str, detail: str) -> None:
        super().__init__(f"web: cannot listen on {listen}: {detail}")


def serve_web(
    listen: str,
    app: ASGIApp,
    *,
    ready: Callable[[str], None],
    stop: threading.Event,
) -> None:
    """
    Serve *app* in this thread until *stop* is set, then finish open replies.

    Args:
        listen: ``host:port``; port 0 picks a free one.

        app: What is served.

        ready: Called once with the ``host:port`` that is listened on.

        stop: Ends it.

    Raises:
        ListenError: The address is in use or is not one of this machine.
    """
    with _bind(listen) as listener:
        host, port = listener.getsockname()[:2]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_FINISH_SECONDS,
        )
        server = _Server(config, ready=lambda: ready(address), stop=stop)
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        *,
        ready: Callable[[], None],
        stop: threading.Event,
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._stop = stop

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are the business of whoever sets `stop`

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()

    @override
    async def on_tick(self, counter: int) -> bool:
        return self._stop.is_set() or await super().on_tick(counter)


def _bind(listen: str) -> socket.socket:
    host, port = split_listen(listen)
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ListenError(listen=listen, detail=error.strerror or "") from None
    try:
        # a port in TIME_WAIT after a restart is free; one that is listened on is not
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ListenError(listen=listen, detail=error.strerror or "") from None
    return listener


def serve_status(
    listen: str,
    state_dir: Path,
    role: str,
    *,
    ready: Callable[[str], None],
    stop: threading.Event,
) -> None:
    """
    Serve health and metrics of a role that runs alone, as `serve_web` does.

    Raises:
        ListenError: The address is in use or is not one of this machine.
    """
    serve_web(listen, build_status_app(state_dir, role), ready=ready, stop=stop)
