"""One attempt to deliver: send, read the answer, say what it means."""

import asyncio
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

import httpx2

from collector.alerts.webhook import Endpoint, headers

ATTEMPT_SECONDS: Final = 15.0
"""Time in seconds an endpoint has to answer (Standard Webhooks: 15 to 30)."""
MAX_ANSWER_BYTES: Final = 4096
"""Bytes read of an answer; it is only ever shown to the operator."""
MAX_DELAY_SECONDS: Final = 6 * 3600.0
MAX_RETRY_AFTER_SECONDS: Final = 24 * 3600.0
GONE: Final = 410


def open_client(seconds: float = ATTEMPT_SECONDS) -> httpx2.AsyncClient:
    """Return a client for `attempt`: it follows no redirects."""
    return httpx2.AsyncClient(
        follow_redirects=False,
        timeout=seconds,
        limits=httpx2.Limits(keepalive_expiry=2.0),
    )


class Outcome(NamedTuple):
    """How one attempt ended."""

    is_delivered: bool
    reason: str = ""
    status: int | None = None
    is_final: bool = False
    """Trying again cannot help."""
    retry_after_seconds: float | None = None


async def attempt(
    client: httpx2.AsyncClient,
    endpoint: Endpoint,
    *,
    webhook_id: str,
    body: bytes,
    now: float,
    seconds: float = ATTEMPT_SECONDS,
) -> Outcome:
    """
    Send *body* once; any trouble is an outcome, never an error.

    Args:
        client: From `open_client`.

        endpoint: Where to.

        webhook_id: The same for all attempts.

        body: As rendered for the endpoint's format.

        now: UTC seconds since 1970.

        seconds: Time for the whole attempt.
    """
    signed = headers(endpoint, webhook_id=webhook_id, timestamp=int(now), body=body)
    try:
        async with (
            asyncio.timeout(seconds),
            client.stream(
                "POST", endpoint.url, content=body, headers=dict(signed)
            ) as answer,
        ):
            text = await _read_start(answer)
            return _judge(endpoint, answer, text, now)
    except TimeoutError:
        return Outcome(is_delivered=False, reason=f"no answer in {seconds:g} seconds")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}".replace(endpoint.url, endpoint.name)
        return Outcome(is_delivered=False, reason=reason[:200])


async def _read_start(answer: httpx2.Response) -> str:
    read = b""
    async for chunk in answer.aiter_raw():
        read += chunk
        if len(read) >= MAX_ANSWER_BYTES:
            break
    text = read[:MAX_ANSWER_BYTES].decode("ascii", "replace")
    return "".join(char if char.isprintable() else " " for char in text)


def _judge(
    endpoint: Endpoint, answer: httpx2.Response, text: str, now: float
) -> Outcome:
    """
    Read the status as Standard Webhooks 1.0.0 does: 2xx is success, 410 is final.

    Slack, PagerDuty and Alertmanager say 400 to a body they will never take.
    """
    status = answer.status_code
    if 200 <= status < 300:
        return Outcome(is_delivered=True, status=status)
    is_refused = status == 400 and endpoint.format != "generic"
    return Outcome(
        is_delivered=False,
        reason=f"HTTP {status} {text[:200]}".strip(),
        status=status,
        is_final=status == GONE or is_refused,
        retry_after_seconds=read_retry_after(answer.headers.get("retry-after"), now),
    )


def read_retry_after(value: str | None, now: float) -> float | None:
    """
    Return the seconds that a ``Retry-After`` header asks to wait, at most a day.

    Args:
        value: Seconds or an HTTP date (RFC 9110, 10.2.3); anything else is none.

        now: UTC seconds since 1970.
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        seconds = float(value)
    else:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.fromtimestamp(now, UTC)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def retry_delay_seconds(
    failures: int, *, jitter: float, retry_after_seconds: float | None = None
) -> float:
    """
    Return how long to wait after an attempt failed.

    Four times longer each time up to six hours, so that twelve attempts take about a
    day; half to one and a half times that; never sooner than the endpoint asked.

    Args:
        failures: Attempts that failed so far, at least 1.

        jitter: Evenly distributed in [0, 1).

        retry_after_seconds: What the endpoint asked for.
    """
    delay = min(4.0 ** (failures - 1), MAX_DELAY_SECONDS)
    return max(delay * (0.5 + jitter), retry_after_seconds or 0.0)
