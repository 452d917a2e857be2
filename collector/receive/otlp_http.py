"""OTLP over HTTP: three POST routes, protobuf and JSON."""

import asyncio
import contextlib
import gzip
import math
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from typing_extensions import override

from collector.errors import (
    ConfigError,
    ListenError,
    PermanentError,
    RetryableError,
    UnsupportedError,
)
from collector.journal import Encoding
from collector.receive import metrics
from collector.receive.admission import Admission
from collector.receive.inflate import Inflater, parse_coding
from collector.receive.intake import Intake, Kind, Taken
from collector.receive.status import Answer, answer_to
from collector.sections import HttpSettings, TlsSettings, split_listen

PATHS: Final[dict[str, Kind]] = {
    "/v1/traces": "traces",
    "/v1/metrics": "metrics",
    "/v1/logs": "logs",
}

_CONTENT_TYPES: Final[dict[Encoding, str]] = {
    "protobuf": "application/x-protobuf",
    "json": "application/json",
}
_ENCODINGS: Final = {name: encoding for encoding, name in _CONTENT_TYPES.items()}
_LEAST_GZIP_BYTES: Final = 512
_KEEP_ALIVE_SECONDS: Final = 75
_BACKLOG: Final = 2048


def otlp_app(
    intake: Intake, admission: Admission, *, cors_origins: tuple[str, ...] = ()
) -> Starlette:
    """Return the ASGI application."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=cors_origins,
        allow_methods=["POST"],
        allow_headers=["*"],
    )
    return Starlette(
        routes=[
            Route(path, _exporter(kind, intake, admission), methods=["POST"])
            for path, kind in PATHS.items()
        ],
        middleware=[cors] if cors_origins else [],
    )


def _exporter(
    kind: Kind, intake: Intake, admission: Admission
) -> Callable[[Request], Awaitable[Response]]:
    async def export(request: Request) -> Response:
        encoding: Encoding = "json"
        try:
            encoding = _encoding_of(request)
            with admission.holding() as hold:
                tenant = admission.tenant_of(request.headers.get("authorization"))
                body = await _read_body(
                    request, hold=hold, max_bytes=admission.max_request_bytes
                )
                metrics.REQUEST_BYTES.labels("http", kind).inc(len(body))
                taken = await intake.accept(
                    kind, body, encoding=encoding, tenant=tenant
                )
        except (RetryableError, PermanentError) as error:
            answer = answer_to(error)
            metrics.REQUESTS.labels("http", kind, answer.outcome).inc()
            return _response(request, answer, encoding)
        except ClientDisconnect:
            metrics.REQUESTS.labels("http", kind, "disconnected").inc()
            return Response(status_code=400)
        metrics.REQUESTS.labels("http", kind, taken.outcome).inc()
        return _response(request, taken, encoding)

    return export


def _encoding_of(request: Request) -> Encoding:
    content_type = request.headers.get("content-type", "")
    encoding = _ENCODINGS.get(content_type.partition(";")[0].strip().lower())
    if encoding is None:
        message = f"content type {content_type[:80]!r} is not supported"
        raise UnsupportedError(message)
    return encoding


async def _read_body(
    request: Request, *, hold: Callable[[int], None], max_bytes: int
) -> bytes:
    inflater = Inflater(
        parse_coding(request.headers.get("content-encoding")), max_bytes=max_bytes
    )
    async for chunk in request.stream():
        hold(inflater.feed(chunk))
    return inflater.finish()


def _response(request: Request, said: Taken | Answer, encoding: Encoding) -> Response:
    """Return what is *said* in the encoding of the request."""
    content = said.to_json() if encoding == "json" else said.to_protobuf()
    headers = {}
    status = 200
    if isinstance(said, Answer):
        status = said.http_status
        if said.retry_seconds is not None:
            headers["retry-after"] = str(said.retry_seconds)
        if status == 401:
            headers["www-authenticate"] = "Bearer"
    accepted = request.headers.get("accept-encoding", "")
    if len(content) >= _LEAST_GZIP_BYTES and "gzip" in accepted:
        content = gzip.compress(content)
        headers["content-encoding"] = "gzip"
    return Response(content, status, headers, media_type=_CONTENT_TYPES[encoding])


class _Server(uvicorn.Server):
    """A server that leaves signals to the process it runs in."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """The listening server."""

    def __init__(self, server: _Server, listener: socket.socket) -> None:
        self._server = server
        host, port = listener.getsockname()[:2]
        self.address: Final = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.task: Final = asyncio.get_running_loop().create_task(
            server.serve(sockets=[listener])
        )
        """Runs until `stop`, unless the server fails."""

    @classmethod
    async def start(
        cls,
        intake: Intake,
        admission: Admission,
        settings: HttpSettings,
        tls: TlsSettings,
    ) -> "HttpServer":
        """
        Listen and serve.

        Raises:
            ListenError: The address cannot be listened on.
            ConfigError: A file of the TLS settings cannot be read.
        """
        config = uvicorn.Config(
            otlp_app(intake, admission, cors_origins=settings.cors_origins),
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            ssl_certfile=tls.cert_file,
            ssl_keyfile=tls.key_file,
            ssl_ca_certs=tls.client_ca_file and str(tls.client_ca_file),
            ssl_cert_reqs=ssl.CERT_REQUIRED if tls.client_ca_file else ssl.CERT_NONE,
        )
        try:
            config.load()
        except OSError as error:
            message = f"settings: receive.tls: {error.strerror or error}"
            raise ConfigError(message) from None
        return cls(_Server(config), _listen(settings))

    async def stop(self, grace_seconds: float) -> None:
        """Stop listening; give requests that run *grace_seconds* to end."""
        self._server.config.timeout_graceful_shutdown = math.ceil(grace_seconds)
        self._server.should_exit = True
        await self.task


def _listen(settings: HttpSettings) -> socket.socket:
    host, port = split_listen(settings.listen)
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(
            address[:2],
            family=family,
            backlog=_BACKLOG,
            reuse_port=settings.reuse_port,
        )
    except OSError as error:
        raise ListenError(
            setting="http.listen",
            address=settings.listen,
            detail=(error.strerror or str(error)).lower(),
        ) from None
