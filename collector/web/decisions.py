"""``GET /v1/decisions``: may a workflow go on."""

from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from collector.alerts.decisions import Decisions

_MAX_ASKED: Final = 10


def decision_routes(decisions: Decisions) -> list[Route]:
    """
    Return the route that gateways ask.

    Each query parameter is a ledger column with its value. 200 has the decision, 503
    means that findings were not looked at yet: the gateway is to use its own default.
    """

    async def decide(request: Request) -> Response:
        asked = dict(request.query_params)
        if not asked or len(asked) > _MAX_ASKED:
            line = "ask for a feature, user_id, run_id or the like: ?feature=refund"
            return JSONResponse({"error": line}, status_code=400)
        found = decisions.decide(asked, now=datetime.now(UTC))
        if found is None:
            return JSONResponse(
                {"error": "findings were not looked at yet"},
                status_code=503,
                headers={"retry-after": "1"},
            )
        return JSONResponse(found.document(), headers={"cache-control": "no-store"})

    return [Route("/v1/decisions", decide)]
