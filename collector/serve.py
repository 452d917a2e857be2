"""
The supervisor: three roles as processes of their own.

A role that dies is started again, with its addresses as before; the others go on. A
role that cannot even start the first time ends the service: its own line says why.
Stopping goes the way of a span: receive ends when its replies are out, drain when the
journal is empty, account when everything is published.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import IO, Any, Final

import structlog

from collector.config import ENVIRONMENT_PREFIX, Settings
from collector.errors import SpanledgerError
from collector.files import locked, make_directory
from collector.roles import ROLES, revealed
from collector.running import Service, announce, withdraw
from collector.telemetry import clear_metrics, configure_logging, metrics_directory

_POLL_SECONDS: Final = 0.05
_START_SECONDS: Final = 120.0
_CALM_SECONDS: Final = 10.0
_MAX_PAUSE_SECONDS: Final = 5.0

log = structlog.get_logger(component="serve")


class StartError(SpanledgerError):
    """A role could not start; what it said stands before this line."""


class RoleProcess:
    """One role: its process, what it said, and when it may start again."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process: subprocess.Popen[str] | None = None
        self.addresses: dict[str, str] = {}
        self.ready = threading.Event()
        self.pause_seconds = _POLL_SECONDS
        self.started = 0.0

    def start(self, settings: Mapping[str, Any], log_file: IO[bytes] | None) -> None:
        """Start the process, hand it its settings, send its log lines to *log_file*."""
        self.ready.clear()
        self.started = time.monotonic()
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", "collector.roles", self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
            text=True,
            # It has all settings from here; what the environment says is in them.
            env={k: v for k, v in os.environ.items() if not _is_setting(k)},
            # A terminal's Ctrl-C goes to the supervisor alone: it knows the order.
            start_new_session=True,
        )
        self.process = process
        stdin, stdout = process.stdin, process.stdout
        if stdin is None or stdout is None:  # pragma: no cover - both are pipes
            raise AssertionError
        stdin.write(json.dumps(settings) + "\n")
        stdin.flush()
        threading.Thread(target=self._listen, args=(stdout,), daemon=True).start()

    def _listen(self, stdout: IO[str]) -> None:
        line = stdout.readline()
        if line:
            self.addresses = json.loads(line)
            self.ready.set()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def stop(self, deadline: float) -> None:
        """Ask the process to stop; kill it at *deadline*."""
        if self.process is None:
            return
        if self.is_alive:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("role_killed", stopped_role=self.name)
            self.process.kill()
            self.process.wait()


def _is_setting(variable: str) -> bool:
    return variable.upper().startswith(ENVIRONMENT_PREFIX)


class Supervisor:
    """
    The service on one data directory.

    Log lines of the roles go to *log_file*, else to this process's standard error.
    """

    def __init__(
        self, settings: Settings, *, log_file: IO[bytes] | None = None
    ) -> None:
        self._settings = settings
        self._log_file = log_file
        self._plain = revealed(settings)
        self.roles = {name: RoleProcess(name) for name in ROLES}

    def start(self) -> Service:
        """
        Start all roles and return where they listen.

        Raises:
            StartError: A role could not start; the others are stopped again.
        """
        make_directory(self._settings.state_dir)
        clear_metrics(metrics_directory(self._settings.state_dir))
        deadline = time.monotonic() + _START_SECONDS
        for role in self.roles.values():
            role.start(self._plain, self._log_file)
        for role in self.roles.values():
            while not role.ready.wait(_POLL_SECONDS):
                if not role.is_alive or time.monotonic() > deadline:
                    self.stop()
                    message = f"serve: {role.name} did not start"
                    raise StartError(message)
        self._keep_addresses()
        addresses = {k: v for r in self.roles.values() for k, v in r.addresses.items()}
        service = Service(
            os.getpid(),
            grpc=addresses.get("grpc", ""),
            http=addresses.get("http", ""),
            web=addresses.get("web", ""),
        )
        announce(self._settings.state_dir, service)
        return service

    def _keep_addresses(self) -> None:
        # A role that starts again must be found where it was, also with port 0.
        for role in self.roles.values():
            for name, address in role.addresses.items():
                if name in self._plain:
                    self._plain[name]["listen"] = address

    def watch(self) -> None:
        """Start again what has died; call this often."""
        for role in self.roles.values():
            if role.is_alive:
                continue
            if time.monotonic() - role.started > _CALM_SECONDS:
                role.pause_seconds = _POLL_SECONDS
            if time.monotonic() - role.started < role.pause_seconds:
                continue
            code = role.process.returncode if role.process else None
            role.pause_seconds = min(2 * role.pause_seconds, _MAX_PAUSE_SECONDS)
            log.error("role_restarted", restarted_role=role.name, exit_code=code)
            role.start(self._plain, self._log_file)

    def stop(self) -> bool:
        """Stop the roles in the order of the flow; return whether all ended by 0."""
        withdraw(self._settings.state_dir)
        deadline = time.monotonic() + self._settings.shutdown_seconds
        for role in self.roles.values():
            role.stop(deadline)
        return all(
            r.process is None or not r.process.returncode for r in self.roles.values()
        )


def serve(settings: Settings) -> int:
    """
    Run the service until SIGTERM or SIGINT; return the exit code.

    Raises:
        LockedError: Another service runs on the data directory.
        StartError: A role could not start.
    """
    configure_logging("serve")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with locked(settings.data_dir, "serve"):
        supervisor = Supervisor(settings)
        service = supervisor.start()
        log.info("service_started", **service._asdict())
        while not stop.wait(_POLL_SECONDS):
            supervisor.watch()
        log.info("service_stopping")
        is_clean = supervisor.stop()
        log.info("service_stopped", clean=is_clean)
    return 0 if is_clean else 1
