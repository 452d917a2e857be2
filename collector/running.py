"""The service that runs on a data directory, if one does."""

import json
import os
from pathlib import Path
from typing import NamedTuple

from collector.files import replace_file


class Service(NamedTuple):
    """Where a running service listens: ``host:port`` each."""

    pid: int
    grpc: str
    http: str
    web: str


def _path(state_dir: Path) -> Path:
    return state_dir / "serve.json"


def announce(state_dir: Path, service: Service) -> None:
    """Let other processes find the service."""
    replace_file(_path(state_dir), json.dumps(service._asdict()).encode())


def withdraw(state_dir: Path) -> None:
    """Take the announcement back."""
    _path(state_dir).unlink(missing_ok=True)


def running_service(state_dir: Path) -> Service | None:
    """Return the service that runs on a data directory; null if none does."""
    try:
        service = Service(**json.loads(_path(state_dir).read_text()))
        os.kill(service.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return service
