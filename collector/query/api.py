"""
The query API on the web port: the same tables as the command line shows.

``POST /api/sql``, ``GET /api/report/<name>``, ``GET /api/trace/<id>`` and
``GET /api/explain/<trace>/<span>``. A client that accepts Arrow gets an IPC stream with
exact types, or CSV if it asks for that; everyone else gets JSON.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import anyio.to_thread
import pyarrow as pa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from collector.config import Settings
from collector.errors import QueryError
from collector.query.explain import explain_span
from collector.query.formats import format_table, plain_rows
from collector.query.reports import (
    DEFAULT_LIMIT,
    RECORDED,
    find_report,
    run_report,
    with_parameters,
)
from collector.query.sql import run_sql
from collector.query.times import parse_period
from collector.query.trace import read_trace
from collector.query.views import Lake
from collector.query.wire import ARROW_TYPE, MAX_ROWS, SUMMARY_KEY, TRUNCATED_HEADER

_MAX_BODY_BYTES: Final = 1 << 20
_AT_ONCE: Final = 2
_ASIDE: Final = frozenset({"since", "until", "limit", "costs"})

Handler = Callable[[Request], Awaitable[Response]]


def api_routes(
    settings: Settings, *, refresh: Callable[[], None] = lambda: None
) -> list[Route]:
    """
    Return the routes of the query API.

    Args:
        settings: Say where the lake is and how much memory a query may use.

        refresh: Called in a worker thread before each query, so that answers are as
            current as the caller can make them.
    """
    api = _Api(settings, refresh)
    return [
        Route("/api/sql", api.sql, methods=["POST"]),
        Route("/api/report/{name}", api.report),
        Route("/api/trace/{trace_id}", api.trace),
        Route("/api/explain/{trace_id}/{span_id}", api.explain),
    ]


class _Api:
    def __init__(self, settings: Settings, refresh: Callable[[], None]) -> None:
        self._lake = Lake.of(settings)
        self._memory_limit = settings.account.memory_limit
        self._refresh = refresh
        self._limiter: anyio.CapacityLimiter | None = None

    async def sql(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if kind != "application/json":
            return _error(415, "content-type must be application/json")
        body = await _body(request)
        if body is None:
            return _error(413, f"more than {_MAX_BODY_BYTES} bytes")
        try:
            asked = json.loads(body)
            statement = asked["sql"]
            ends = asked.get("since"), asked.get("until")
        except (ValueError, TypeError, KeyError, AttributeError):
            return _error(400, 'body must be JSON like {"sql": "SELECT ..."}')
        if not all(isinstance(text, str) for text in (statement, *filter(None, ends))):
            return _error(400, "sql, since and until must be text")
        return await self._answer(lambda: self._run_sql(request, statement, ends))

    def _run_sql(
        self, request: Request, statement: str, ends: tuple[str | None, str | None]
    ) -> Response:
        found = run_sql(
            self._lake,
            statement,
            period=parse_period(*ends),
            memory_limit=self._memory_limit,
            max_rows=MAX_ROWS + 1,
        )
        is_cut = found.num_rows > MAX_ROWS
        response = _response(request, found.slice(0, MAX_ROWS))
        response.headers[TRUNCATED_HEADER] = "true" if is_cut else "false"
        return response

    async def report(self, request: Request) -> Response:
        try:
            kind = find_report(request.path_params["name"])
        except QueryError as error:
            return _error(404, error.line())
        given = request.query_params
        asked = {name: text for name, text in given.items() if name not in _ASIDE}
        if not all(text.isdigit() for text in asked.values()):
            return _error(400, "parameters of a report must be numbers")
        try:
            numbers = {name: int(text[:20]) for name, text in asked.items()}
            kind = with_parameters(kind, numbers)
        except QueryError as error:
            return _error(400, error.line())
        limit = given.get("limit", str(DEFAULT_LIMIT))
        if not limit.isdigit() or int(limit) > MAX_ROWS:
            return _error(400, f"limit must be a number up to {MAX_ROWS}")

        def run() -> Response:
            report = run_report(
                self._lake,
                kind,
                period=parse_period(given.get("since"), given.get("until")),
                costs=given.get("costs", RECORDED),
                limit=int(limit),
                memory_limit=self._memory_limit,
            )
            summary = json.dumps(dict(report.summary)).encode()
            table = report.table.replace_schema_metadata({SUMMARY_KEY: summary})
            return _response(request, table, report.document())

        return await self._answer(run)

    async def trace(self, request: Request) -> Response:
        def run() -> Response:
            trace = read_trace(
                self._lake,
                request.path_params["trace_id"],
                memory_limit=self._memory_limit,
            )
            return _response(request, trace.table, trace.document())

        return await self._answer(run)

    async def explain(self, request: Request) -> Response:
        def run() -> Response:
            receipt = explain_span(self._lake, **request.path_params)
            return JSONResponse(receipt.document())

        return await self._answer(run)

    async def _answer(self, run: Callable[[], Response]) -> Response:
        """Run a query in a worker thread; few at once, for their memory adds up."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_AT_ONCE)

        def refreshed() -> Response:
            self._refresh()
            return run()

        try:
            return await anyio.to_thread.run_sync(refreshed, limiter=self._limiter)
        except QueryError as error:
            return _error(400, error.line())


async def _body(request: Request) -> bytes | None:
    """Return the body, null if it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            return None
    return bytes(body)


def _response(
    request: Request, table: pa.Table, document: dict[str, Any] | None = None
) -> Response:
    accepted = request.headers.get("accept", "")
    if ARROW_TYPE in accepted:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return Response(sink.getvalue().to_pybytes(), media_type=ARROW_TYPE)
    if "text/csv" in accepted:
        return Response(format_table(table, "csv"), media_type="text/csv")
    rows = {"columns": table.column_names, "rows": plain_rows(table)}
    return JSONResponse(rows if document is None else document)


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status_code=status)
