"""Answers for probes and scrapers: ``/healthz``, ``/readyz``, ``/metrics``."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from collector.telemetry import METRICS_CONTENT_TYPE, metrics_directory, metrics_text
from collector.web.readiness import judge_readiness

Readiness = Callable[[], Mapping[str, Any]]


def probe_routes(state_dir: Path, readiness: Readiness) -> list[Route]:
    """
    Return the routes of the probes.

    Args:
        state_dir: The service's ``state`` directory.

        readiness: Returns what ``/readyz`` says; ``ready`` decides 200 or 503.
            ``?roles=receive`` asks about some roles only.
    """

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        said = dict(readiness())
        asked = request.query_params.get("roles")
        if asked is not None:
            wanted = set(asked.split(","))
            unknown = wanted - said["roles"].keys()
            if unknown:
                line = f"no role {', '.join(sorted(unknown))}"
                return JSONResponse({"error": line}, status_code=400)
            said["roles"] = {role: said["roles"][role] for role in sorted(wanted)}
            said["ready"] = all(it["ready"] for it in said["roles"].values())
        return JSONResponse(dict(said), status_code=200 if said["ready"] else 503)

    def metrics(_request: Request) -> Response:
        text = metrics_text(metrics_directory(state_dir))
        return Response(text, media_type=METRICS_CONTENT_TYPE)

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]


def build_status_app(state_dir: Path, role: str) -> Starlette:
    """Return the app of a role that runs alone: probes and metrics, nothing else."""
    return Starlette(
        routes=probe_routes(state_dir, lambda: judge_readiness(state_dir, [role]))
    )
