"""The demo from start to end."""

import contextlib
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from pydantic import SecretStr

from collector.config import AlertSettings, BudgetSettings, Settings, StoreSettings
from collector.demo.agents import PROMPT, run_agents
from collector.demo.checks import BUDGET, GROWTH, Check, check_all
from collector.demo.endpoint import Endpoint, Webhook, open_endpoint
from collector.demo.errors import DemoError
from collector.demo.lake import count_calls, read_lake
from collector.demo.paper import Paper
from collector.demo.report import (
    show_end,
    show_lake,
    show_service,
    show_title,
    show_webhooks,
)
from collector.demo.workload import AGENTS, BUDGET_NAME, BUDGET_USD, FEATURE_BUDGET
from collector.errors import SpanledgerError
from collector.sections import GrpcSettings, HttpSettings, WebSettings
from collector.serve import Supervisor
from collector.telemetry import configure_logging

_WAIT_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.1
_FREE_PORT: Final = "127.0.0.1:0"


def run_demo(settings: Settings | None = None) -> int:
    """
    Run agents through a service of the demo's own and check every number.

    Everything happens in a temporary directory and on loopback. It is removed, but for
    a demo that fails: then its log is named.

    Args:
        settings: To run with; default are the built-in ones, whatever the environment
            says. Directory, addresses, budgets and webhooks are the demo's own.

    Returns:
        0 if every number is right, else 1.
    """
    folder = Path(tempfile.mkdtemp(prefix="spanledger-demo-"))
    log_path = folder / "service.log"
    try:
        checks = _run(settings or Settings.model_construct(), folder, log_path)
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except (SpanledgerError, OSError) as error:
        return _fail(str(error), log_path)
    wrong = [check for check in checks if not check.is_right]
    if wrong:
        place, expected, found = wrong[0]
        others = f" ({len(wrong)} of {len(checks)} wrong)" if len(wrong) > 1 else ""
        return _fail(f"{place}: expected {expected}, found {found}{others}", log_path)
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def _fail(reason: str, log_path: Path) -> int:
    print(f"spanledger demo: {reason}; log: {log_path}", file=sys.stderr)
    return 1


def _run(settings: Settings, folder: Path, log_path: Path) -> list[Check]:
    started = time.monotonic()
    paper = Paper(sys.stdout)
    with log_path.open("ab") as log_file, open_endpoint() as endpoint:
        own = _own_settings(settings, folder / "data", endpoint)
        with log_path.open("a") as own_log:
            configure_logging("demo", stream=own_log)
            webhooks, traces = _run_service(paper, own, log_file, endpoint)
    seen = read_lake(own.lake_url, prompt=PROMPT)
    checks = check_all(seen, webhooks, traces)
    show_lake(paper, seen)
    show_webhooks(paper, webhooks)
    if all(check.is_right for check in checks):
        show_end(paper, checks, time.monotonic() - started)
    return checks


def _own_settings(settings: Settings, data_dir: Path, endpoint: Endpoint) -> Settings:
    budget = BudgetSettings(
        name=BUDGET_NAME,
        value=FEATURE_BUDGET,
        limit=BUDGET_USD,
        thresholds=(100,),
    )
    return settings.model_copy(
        update={
            "data_dir": data_dir,
            "grpc": GrpcSettings(listen=_FREE_PORT),
            "http": HttpSettings(listen=_FREE_PORT),
            "web": WebSettings(listen=_FREE_PORT),
            "store": StoreSettings(flush_seconds=0.2),
            "budgets": (budget,),
            "alerts": AlertSettings(
                webhook_url=endpoint.url, webhook_secret=SecretStr(endpoint.secret)
            ),
        }
    )


def _run_service(
    paper: Paper, settings: Settings, log_file: IO[bytes], endpoint: Endpoint
) -> tuple[list[Webhook], dict[str, str]]:
    """Run service and agents; return the webhooks and the trace of each agent."""
    show_title(paper)
    supervisor = Supervisor(settings, log_file=log_file)
    service = supervisor.start()
    with contextlib.ExitStack() as exits:
        exits.callback(supervisor.stop)
        show_service(paper, service)
        traces = run_agents(service.http)
        calls = sum(len(agent.steps) for agent in AGENTS)
        _wait_until(lambda: count_calls(settings.lake_url) >= calls)
        endpoint.wait_for({BUDGET, GROWTH}, _WAIT_SECONDS)
        exits.pop_all()
        if not supervisor.stop():
            message = "the service did not stop cleanly"
            raise DemoError(message)
    return endpoint.wait_for(set(), 0.0), traces


def _wait_until(is_true: Callable[[], bool]) -> None:
    # What is still missing at the deadline, the checks will name.
    pause = threading.Event()
    deadline = time.monotonic() + _WAIT_SECONDS
    while not is_true() and time.monotonic() < deadline:
        pause.wait(_POLL_SECONDS)
