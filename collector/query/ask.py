"""
Asking the service that runs on a data directory, else reading the lake.

The answer is the same table either way; the service's may be newer.
"""

import http.client
import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlencode

import pyarrow as pa

from collector.config import Settings
from collector.errors import QueryError
from collector.query.reports import (
    RECORDED,
    Report,
    find_report,
    run_report,
    with_parameters,
)
from collector.query.sql import run_sql
from collector.query.time_limit import TIMEOUT_SECONDS
from collector.query.times import Period
from collector.query.trace import Trace, read_trace
from collector.query.views import Lake
from collector.query.wire import ARROW_TYPE, MAX_ROWS, SUMMARY_KEY, TRUNCATED_HEADER
from collector.running import running_service
from collector.sections import split_listen

_GRACE_SECONDS: Final = 10.0
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (to connect to)


class _UnreachableError(Exception):
    """The service does not answer."""


def ask_sql(settings: Settings, statement: str, period: Period) -> pa.Table:
    """
    Run one query; see `collector.query.sql.run_sql`.

    Raises:
        QueryError: It fails, or its answer has more rows than the service sends.
    """
    asked = {"sql": statement, **_ends(period)}
    try:
        table = _ask(settings, "POST", "/api/sql", body=asked)
    except _UnreachableError:
        return run_sql(Lake.of(settings), statement, period=period)
    return table


def ask_report(
    settings: Settings,
    name: str,
    period: Period,
    limit: int,
    *,
    costs: str = RECORDED,
    parameters: Mapping[str, int] = MappingProxyType({}),
) -> Report:
    """Work out a report; see `collector.query.reports.run_report`."""
    kind = with_parameters(find_report(name), parameters)
    asked = {**_ends(period), "limit": limit, "costs": costs, **parameters}
    given = urlencode(asked)
    try:
        table = _ask(settings, "GET", f"/api/report/{name}?{given}")
    except _UnreachableError:
        lake = Lake.of(settings)
        return run_report(lake, kind, period=period, limit=limit, costs=costs)
    summary = json.loads((table.schema.metadata or {})[SUMMARY_KEY])
    return Report(kind, period, summary, table.replace_schema_metadata(None))


def ask_trace(settings: Settings, trace_id: str) -> Trace:
    """Read one trace; see `collector.query.trace.read_trace`."""
    key = trace_id.strip().lower()
    try:
        table = _ask(settings, "GET", f"/api/trace/{quote(key, safe='')}")
    except _UnreachableError:
        return read_trace(Lake.of(settings), key)
    return Trace(key, table)


def _ends(period: Period) -> dict[str, str]:
    ends: dict[str, datetime | None] = period._asdict()
    return {name: moment.isoformat() for name, moment in ends.items() if moment}


def _ask(
    settings: Settings,
    method: str,
    path: str,
    *,
    body: Mapping[str, str] | None = None,
) -> pa.Table:
    service = running_service(settings.state_dir)
    if service is None or not service.web:
        raise _UnreachableError
    host, port = split_listen(service.web)
    connection = http.client.HTTPConnection(
        _EVERYWHERE.get(host, host), port, timeout=TIMEOUT_SECONDS + _GRACE_SECONDS
    )
    headers = {"Accept": ARROW_TYPE, "Content-Type": "application/json"}
    try:
        connection.request(
            method, path, None if body is None else json.dumps(body), headers
        )
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException):
        raise _UnreachableError from None
    finally:
        connection.close()
    if response.headers.get("content-type") == ARROW_TYPE:
        if response.headers.get(TRUNCATED_HEADER) == "true":
            error = QueryError(f"query: more than {MAX_ROWS:,} rows")
            error.hint = "add a LIMIT, or read the lake's Parquet files directly"
            raise error
        return pa.ipc.open_stream(content).read_all()
    raise _refusal(content, response.status)


def _refusal(content: bytes, status: int) -> Exception:
    try:
        return QueryError(str(json.loads(content)["error"]))
    except (ValueError, KeyError, TypeError):
        return (
            _UnreachableError()
            if status == 404
            else QueryError(f"service: HTTP {status}")
        )
