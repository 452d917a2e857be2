"""The service as a process of its own: started, killed, stopped, looked at."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from collector.running import running_service

START_SECONDS = 180.0
DEADLINE_SECONDS = 180.0


def wait_until(is_true, *, seconds=DEADLINE_SECONDS, what="condition"):
    """Return what *is_true* returns once that is true; fail after a while."""
    deadline = time.monotonic() + seconds
    pause_seconds = 0.005
    while not (found := is_true()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, 0.1)
    return found


def command(*arguments):
    """Return the command line of the program under test."""
    return [sys.executable, "-P", "-m", "collector", *arguments]


def command_output(*arguments) -> str:
    """Run the program under test to its end; return what it printed."""
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, timeout=300
    )
    return done.stdout + done.stderr


def write_config(folder: Path, **sections) -> Path:
    """Write settings on free ports, with *sections* as TOML text; return the file."""
    listen = 'listen = "127.0.0.1:0"'
    parts = {"grpc": listen, "http": listen, "web": listen} | sections
    top = [f"data_dir = {str(folder / 'data')!r}", parts.pop("top", "")]
    # An array of tables, such as [[budgets]], brings its own header.
    tables = [parts.pop("tables", "")]
    text = [f"[{name}]\n{body}" for name, body in parts.items()]
    path = folder / "spanledger.toml"
    path.write_text("\n".join([*top, *text, *tables]))
    return path


class Service:
    """One service; `start` and `stop` as often as a test likes."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.data_dir = config.parent / "data"
        self.log_path = config.parent / "service.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def lake(self) -> str:
        return str(self.data_dir / "lake")

    @property
    def addresses(self):
        """Where the service listens; null while none runs."""
        return running_service(self.data_dir / "state")

    def spawn(self) -> None:
        with self.log_path.open("ab") as log_file:
            self.process = subprocess.Popen(
                command("serve", "--config", str(self.config)),
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                start_new_session=True,
            )

    def start(self) -> "Service":
        self.spawn()
        wait_until(self._is_up, seconds=START_SECONDS, what="service is up")
        return self

    def _is_up(self) -> bool:
        assert self.process.poll() is None, self.log_tail()
        addresses = self.addresses
        return addresses is not None and addresses.pid == self.process.pid

    def log_tail(self) -> str:
        return self.log_path.read_text()[-4_000:]

    def role_pids(self) -> dict[str, int]:
        """Return the process of each role that runs now."""
        pids = {}
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with contextlib.suppress(OSError):
            for pid in map(int, children.read_text().split()):
                with contextlib.suppress(OSError):
                    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                    if len(words) > 1:  # a role that died just now has none
                        pids[words[-2].decode()] = pid
        return pids

    def kill_role(self, role: str) -> bool:
        """Kill a role without notice; tell whether it was there."""
        pid = self.role_pids().get(role)
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return True

    def kill_tree(self) -> None:
        """Kill supervisor and roles without notice."""
        pids = [self.process.pid, *self.role_pids().values()]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(60)
        wait_until(lambda: not any(map(_exists, pids[1:])), what="roles are gone")

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_SECONDS)


def _exists(pid: int) -> bool:
    try:
        # A zombie that nobody has waited for is gone, too.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] != "Z"


@contextlib.contextmanager
def service(config: Path):
    """Run a service for the block; whatever happens, nothing of it is left."""
    running = Service(config)
    running.start()
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.kill_tree()
