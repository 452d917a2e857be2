"""The app of the web port: probes, metrics, the page, and routes of others."""

import base64
import functools
import hashlib
import importlib.resources
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import jinja2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from collector.config import Settings
from collector.errors import QueryError
from collector.query.reports import RECORDED
from collector.web.page import PERIODS, build_page
from collector.web.probes import Readiness, probe_routes
from collector.web.readiness import judge_readiness

_DEFAULT_PERIOD: Final = PERIODS[1]
_WAITING_PAGES: Final = 4
"""Pages asked for at once; one is worked out at a time, whatever people reload."""


def build_app(
    settings: Settings,
    *,
    readiness: Readiness | None = None,
    query_routes: Iterable[BaseRoute] = (),
) -> Starlette:
    """
    Return the app of the web port.

    Args:
        settings: All settings: the page reads the lake and the alerts.

        readiness: What ``/readyz`` says; default judges the statuses of all roles.

        query_routes: Further routes, such as those of the API.
    """
    judge = readiness or functools.partial(judge_readiness, settings.state_dir)
    waiting = threading.BoundedSemaphore(_WAITING_PAGES)
    at_work = threading.Lock()

    def page(request: Request) -> Response:
        since = request.query_params.get("since", _DEFAULT_PERIOD)
        costs = request.query_params.get("costs", RECORDED)
        if not waiting.acquire(blocking=False):
            return PlainTextResponse(
                "busy\n", status_code=503, headers={"retry-after": "2"}
            )
        try:
            with at_work:
                now = datetime.now(UTC)
                context = build_page(
                    settings, judge(), since=since, now=now, costs=costs
                )
        except QueryError as error:
            return PlainTextResponse(f"{error.line()}\n", status_code=400)
        finally:
            waiting.release()
        css = _css()
        return HTMLResponse(_template().render(context, css=css), headers=_headers(css))

    routes = [*probe_routes(settings.state_dir, judge), Route("/", page)]
    return Starlette(routes=[*routes, *query_routes])


def _headers(css: str) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return {
        "content-security-policy": (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:;"
            " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


@functools.cache
def _css() -> str:
    folder = importlib.resources.files("collector.web") / "templates"
    return (folder / "page.css").read_text()


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("collector.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page.html")
