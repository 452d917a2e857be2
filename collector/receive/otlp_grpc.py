"""OTLP over gRPC: handlers that take and give raw bytes."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]
from grpc_health.v1.health import aio as health  # type: ignore[import-untyped]
from grpc_health.v1.health_pb2_grpc import (  # type: ignore[import-untyped]
    add_HealthServicer_to_server,
)
from typing_extensions import override

from collector.errors import ConfigError, ListenError, PermanentError, RetryableError
from collector.receive import metrics
from collector.receive.admission import Admission
from collector.receive.intake import Intake, Kind
from collector.receive.status import answer_to
from collector.sections import GrpcSettings, TlsSettings, split_listen

SERVICES: Final[dict[str, Kind]] = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
}

_STATUS_KEY: Final = "grpc-status-details-bin"
_STREAMS_PER_CONNECTION: Final = 128

_Export = Callable[[bytes, "_Context"], Awaitable[bytes]]


class _Context(Protocol):
    """What is used of gRPC's servicer context."""

    def invocation_metadata(self) -> Any: ...  # noqa: ANN401

    async def abort(
        self,
        code: grpc.StatusCode,
        details: str,
        trailing_metadata: Any,  # noqa: ANN401
    ) -> None: ...


class OtlpHandler(grpc.GenericRpcHandler):
    """The three export methods; gRPC answers UNIMPLEMENTED for any other."""

    def __init__(self, intake: Intake, admission: Admission) -> None:
        self._intake = intake
        self._admission = admission
        self._methods: dict[str, Any] = {
            f"/{service}/Export": grpc.unary_unary_rpc_method_handler(
                self._exporter(kind)
            )
            for service, kind in SERVICES.items()
        }

    @override
    def service(self, handler_call_details: Any) -> Any:
        return self._methods.get(handler_call_details.method)

    def _exporter(self, kind: Kind) -> _Export:
        request_bytes = metrics.REQUEST_BYTES.labels("grpc", kind)
        outcomes = {
            outcome: metrics.REQUESTS.labels("grpc", kind, outcome)
            for outcome in ("ok", "partial")
        }

        async def export(body: bytes, context: _Context) -> bytes:
            try:
                with self._admission.holding(len(body)):
                    tenant = self._tenant_of(context)
                    request_bytes.inc(len(body))
                    taken = await self._intake.accept(
                        kind, body, encoding="protobuf", tenant=tenant
                    )
            except (RetryableError, PermanentError) as error:
                answer = answer_to(error)
                metrics.REQUESTS.labels("grpc", kind, answer.outcome).inc()
                details = ((_STATUS_KEY, answer.to_protobuf()),)
                await context.abort(answer.code, answer.message, details)
                raise
            outcomes[taken.outcome].inc()
            return taken.to_protobuf()

        return export

    def _tenant_of(self, context: _Context) -> str | None:
        if not self._admission.needs_token:
            return None
        headers = dict(context.invocation_metadata() or ())
        return self._admission.tenant_of(headers.get("authorization"))


class GrpcServer:
    """The listening server."""

    def __init__(
        self, server: grpc.aio.Server, servicer: health.HealthServicer, address: str
    ) -> None:
        self._server = server
        self._health = servicer
        self.address: Final = address

    @classmethod
    async def start(
        cls,
        intake: Intake,
        admission: Admission,
        settings: GrpcSettings,
        tls: TlsSettings,
    ) -> "GrpcServer":
        """
        Listen and serve.

        Raises:
            ListenError: The address cannot be listened on.
            ConfigError: A file of the TLS settings cannot be read.
        """
        server = grpc.aio.server(
            options=[
                # gRPC's default would let two services share a port in silence.
                ("grpc.so_reuseport", int(settings.reuse_port)),
                # Also the limit of what a message is decompressed to.
                ("grpc.max_receive_message_length", admission.max_request_bytes),
                ("grpc.max_concurrent_streams", _STREAMS_PER_CONNECTION),
            ]
        )
        server.add_generic_rpc_handlers((OtlpHandler(intake, admission),))
        servicer = health.HealthServicer()
        add_HealthServicer_to_server(servicer, server)
        host, _ = split_listen(settings.listen)
        try:
            port = (
                server.add_insecure_port(settings.listen)
                if tls.cert_file is None
                else server.add_secure_port(settings.listen, _credentials(tls))
            )
        except RuntimeError:
            raise ListenError(
                setting="grpc.listen",
                address=settings.listen,
                detail="in use, or not an address of this machine",
            ) from None
        await server.start()
        for service in SERVICES:
            await servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
        shown = f"[{host}]" if ":" in host else host
        return cls(server, servicer, f"{shown}:{port}")

    async def announce_stop(self) -> None:
        """Tell those who ask for the health that the server is going."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_seconds: float) -> None:
        """Stop listening; give requests that run *grace_seconds* to end."""
        await self._server.stop(grace_seconds)


def _credentials(tls: TlsSettings) -> grpc.ServerCredentials:
    files = (tls.key_file, tls.cert_file, tls.client_ca_file)
    try:
        key, chain, client_ca = [file.read_bytes() if file else None for file in files]
    except OSError as error:
        message = f"settings: receive.tls: {error.filename}: {error.strerror}"
        raise ConfigError(message) from None
    return grpc.ssl_server_credentials(
        [(key or b"", chain or b"")],
        root_certificates=client_ca,
        require_client_auth=client_ca is not None,
    )
