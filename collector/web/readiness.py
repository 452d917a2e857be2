"""Whether the service is ready, judged by what its roles last said."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from collector.telemetry import read_statuses

SILENT_SECONDS: Final = 30.0
"""Age in seconds of a status from which on its role counts as stuck."""

ALL_ROLES: Final = ("receive", "drain", "account")


def judge_readiness(
    state_dir: Path, roles: Sequence[str] = ALL_ROLES
) -> dict[str, Any]:
    """
    Return ``ready`` for the service and, under ``roles``, for each of *roles*.

    A role is ready if it says so, still runs and said it not long ago. Its other
    figures are passed through.

    Args:
        state_dir: The service's ``state`` directory.

        roles: Names of the roles that must be ready.
    """
    statuses = read_statuses(state_dir)
    judged = {role: _judge(statuses.get(role)) for role in roles}
    return {"ready": all(it["ready"] for it in judged.values()), "roles": judged}


def _judge(status: Mapping[str, Any] | None) -> dict[str, Any]:
    if status is None:
        return {"ready": False, "reason": "has not said anything yet"}
    judged = dict(status)
    if not status["running"]:
        judged |= {"ready": False, "reason": "is not running"}
    elif status["age_seconds"] > SILENT_SECONDS:
        silence = f"has said nothing for {status['age_seconds']:.0f} seconds"
        judged |= {"ready": False, "reason": silence}
    return judged
