"""Sections of the settings about who may send, and where."""

from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)


def _listen_address(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not separator or not host or not port.isdigit() or int(port) > 65535:
        message = f"{value!r} is not host:port"
        raise ValueError(message)
    return value


Listen = Annotated[str, AfterValidator(_listen_address)]


def split_listen(value: str) -> tuple[str, int]:
    """Split ``host:port``; brackets around an IPv6 host are removed."""
    host, _, port = value.rpartition(":")
    return host.strip("[]"), int(port)


class Section(BaseModel):
    """A part of the settings; unknown keys are refused with their name."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True
    )


class GrpcSettings(Section):
    """OTLP over gRPC."""

    listen: Listen = "127.0.0.1:4317"
    """Address of the OTLP/gRPC receiver; port 0 picks a free one and logs it."""
    reuse_port: bool = False
    """Let several receivers share the port; each needs a data directory of its own."""


class HttpSettings(Section):
    """OTLP over HTTP."""

    listen: Listen = "127.0.0.1:4318"
    """Address of the OTLP/HTTP receiver; port 0 picks a free one and logs it."""
    reuse_port: bool = False
    """Let several receivers share the port; each needs a data directory of its own."""
    cors_origins: tuple[str, ...] = ()
    """Origins of browser SDKs that may send; ``*`` allows any."""


class WebSettings(Section):
    """Health, metrics, pages and API."""

    listen: Listen = "127.0.0.1:4319"
    """Address of the web port; port 0 picks a free one and logs it."""


class TokenSettings(Section):
    """A bearer token that senders must show."""

    token: SecretStr
    """The token itself."""
    tenant: str
    """Tenant that everything sent with the token belongs to."""


class TlsSettings(Section):
    """Files that make the receivers speak TLS."""

    cert_file: Path | None = None
    """Certificate chain in PEM; TLS is on when set."""
    key_file: Path | None = None
    """Private key in PEM."""
    client_ca_file: Path | None = None
    """CA of client certificates; when set, clients must show one."""

    @model_validator(mode="after")
    def _pair(self) -> "TlsSettings":
        if (self.cert_file is None) != (self.key_file is None):
            message = "cert_file and key_file go together"
            raise ValueError(message)
        if self.client_ca_file is not None and self.cert_file is None:
            message = "client_ca_file needs cert_file and key_file"
            raise ValueError(message)
        return self


class ReceiveSettings(Section):
    """Admission of requests."""

    max_request_bytes: int = Field(default=20 << 20, gt=0)
    """Largest request in bytes, after decompression."""
    tokens: tuple[TokenSettings, ...] = ()
    """Bearer tokens with their tenants; none means no authentication."""
    tls: TlsSettings = TlsSettings()
    """TLS for both receivers."""
    status_listen: Listen | None = None
    """Health and metrics of a receive role that runs alone."""
