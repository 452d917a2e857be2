"""Endpoints and how what is sent to them is signed: Standard Webhooks 1.0.0."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from collector.alerts.alert import digest, rank
from collector.config import AlertSettings, WebhookSettings
from collector.errors import ConfigError

KEY_PREFIX: Final = "whsec_"
_ALERTMANAGER_PATH: Final = "/api/v2/alerts"

Format = Literal["generic", "slack", "pagerduty", "alertmanager"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    A webhook of the settings, checked.

    ``name`` is for people: number, scheme and host only, since the rest of a URL may
    be a secret. ``key`` stays the same as long as URL and format do.
    """

    name: str
    key: str
    url: str = field(repr=False)
    format: Format
    min_severity: str
    rules: frozenset[str]
    signing_key: bytes | None = field(default=None, repr=False)
    routing_key: str | None = field(default=None, repr=False)

    def wants(self, rule: str, severity: str) -> bool:
        """Tell whether a notice of *rule* at *severity* is sent here."""
        is_wanted_rule = not self.rules or rule in self.rules
        return is_wanted_rule and rank(severity) >= rank(self.min_severity)


def load_endpoints(settings: AlertSettings) -> tuple[Endpoint, ...]:
    """
    Return the endpoints that *settings* describe, in order.

    Raises:
        ConfigError: A URL or a secret is not one; the message does not show it.
    """
    return tuple(
        _load_endpoint(number, webhook)
        for number, webhook in enumerate(settings.targets(), start=1)
    )


def _load_endpoint(number: int, webhook: WebhookSettings) -> Endpoint:
    url = _checked_url(number, webhook)
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    secret = webhook.secret.get_secret_value() if webhook.secret else None
    is_pagerduty = webhook.format == "pagerduty"
    if is_pagerduty and not secret:
        message = f"settings: alerts: webhook {number}: pagerduty needs a secret"
        raise ConfigError(message)
    return Endpoint(
        name=f"{number} {parts.scheme}://{host}",
        key=digest(webhook.format, url),
        url=url,
        format=webhook.format,
        min_severity=webhook.min_severity,
        rules=frozenset(webhook.rules),
        signing_key=None
        if is_pagerduty or secret is None
        else _signing_key(number, secret),
        routing_key=secret if is_pagerduty else None,
    )


def _checked_url(number: int, webhook: WebhookSettings) -> str:
    problem = f"settings: alerts: webhook {number}: url is not http(s)://host/path"
    try:
        parts = urlsplit(webhook.url)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname)
        port = parts.port
    except ValueError:
        raise ConfigError(problem) from None
    if not is_good or port == 0:
        raise ConfigError(problem)
    if webhook.format == "alertmanager" and parts.path in {"", "/"}:
        return parts._replace(path=_ALERTMANAGER_PATH).geturl()
    return webhook.url


def _signing_key(number: int, secret: str) -> bytes:
    encoded = secret.removeprefix(KEY_PREFIX)
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key or encoded == secret:
        message = (
            f"settings: alerts: webhook {number}: secret is not {KEY_PREFIX}"
            " followed by base64"
        )
        raise ConfigError(message)
    return key


def sign(key: bytes, *, webhook_id: str, timestamp: int, body: bytes) -> str:
    """
    Return the value of ``webhook-signature``: HMAC-SHA256, version ``v1``.

    Source: Standard Webhooks 1.0.0, "Signature scheme": the signed content is
    ``<id>.<timestamp>.<body>``.
    """
    content = b".".join((webhook_id.encode(), str(timestamp).encode(), body))
    signature = hmac.new(key, content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signature).decode()}"


def headers(
    endpoint: Endpoint, *, webhook_id: str, timestamp: int, body: bytes
) -> Mapping[str, str]:
    """
    Return the headers of one attempt.

    Args:
        endpoint: Where it goes; without a signing key there is no signature.

        webhook_id: The same for all attempts.

        timestamp: Time of this attempt, UTC seconds since 1970.

        body: Exactly what is sent.
    """
    values = {
        "content-type": "application/json",
        "user-agent": "spanledger",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
    }
    if endpoint.signing_key is not None:
        values["webhook-signature"] = sign(
            endpoint.signing_key,
            webhook_id=webhook_id,
            timestamp=timestamp,
            body=body,
        )
    return values
