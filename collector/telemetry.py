"""
What the service tells its operator: log lines, metrics, one status file per role.

Metrics of all roles end in files of one directory, named by role and not by process:
a restarted role goes on counting in its own files, so that counters stay whole for
one life of the service, while gauges of a role that is not running are left out.
"""

import contextlib
import json
import logging
import os
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import structlog

if TYPE_CHECKING:
    from prometheus_client import Metric

METRICS_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
REPEAT_SECONDS: Final = 10.0
"""Least time in seconds between two log lines about the same trouble."""

_METRICS_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_STATUS_FIELDS: Final = frozenset(
    {"role", "pid", "written_unix", "ready", "reason", "age_seconds", "running"}
)

log = structlog.get_logger(component="telemetry")


def configure_logging(
    role: str, *, level: str = "info", stream: TextIO | None = None
) -> None:
    """
    Write one line per event to *stream*: JSON, or key=value on a terminal.

    Libraries that use the standard library's logging come out in the same form, from
    ``warning`` on.

    Args:
        role: Name of the process, in every line.

        level: ``debug``, ``info``, ``warning`` or ``error``.

        stream: Where lines go; default is standard error.
    """
    stream = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _role_adder(role),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.LogfmtRenderer(
            key_order=("timestamp", "level", "role", "component", "event"),
            drop_missing=True,
        )
        if stream.isatty()
        else structlog.processors.JSONRenderer(default=str)
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer,
            ],
        )
    )
    logging.basicConfig(
        handlers=[handler],
        level=max(_LEVELS[level], logging.WARNING),
        force=True,
    )


def _role_adder(role: str) -> structlog.typing.Processor:
    def add_role(
        _logger: object, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event.setdefault("role", role)
        return event

    return add_role


class RepeatingLog:
    """
    Log repeating trouble at most once in ten seconds.

    The next line says with ``repeated`` how many were left out since the last one.
    Not for use by several threads at once: a line may then be counted twice.
    """

    def __init__(
        self,
        logger: Any,  # noqa: ANN401  (structlog's loggers have no common type)
        *,
        seconds: float = REPEAT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._seconds = seconds
        self._clock = clock
        self._last: dict[tuple[str, str], tuple[float, int]] = {}

    def info(self, event: str, *, about: str = "", **fields: object) -> None:
        """Log *event* unless it was logged just now about the same thing."""
        self._emit("info", event, about, fields)

    def warning(self, event: str, *, about: str = "", **fields: object) -> None:
        """Log *event* unless it was logged just now about the same thing."""
        self._emit("warning", event, about, fields)

    def error(self, event: str, *, about: str = "", **fields: object) -> None:
        """Log *event* unless it was logged just now about the same thing."""
        self._emit("error", event, about, fields)

    def _emit(
        self, method: str, event: str, about: str, fields: dict[str, object]
    ) -> None:
        now = self._clock()
        last, left_out = self._last.get((event, about), (-float("inf"), 0))
        if now - last < self._seconds:
            self._last[event, about] = last, left_out + 1
            return
        self._last[event, about] = now, 0
        if left_out:
            fields = {**fields, "repeated": left_out}
        getattr(self._logger, method)(event, **fields)


def metrics_directory(state_dir: Path) -> Path:
    """Return the directory where the roles of a service keep their metrics."""
    return state_dir / "metrics"


def clear_metrics(directory: Path) -> None:
    """Forget all metrics: for the supervisor, when a life of the service starts."""
    for path in directory.glob("*"):
        path.unlink(missing_ok=True)


def enable_multiprocess(directory: Path, role: str, *, fresh: bool = False) -> None:
    """
    Keep this process's metrics in files that the web port can read.

    Must run before the first metric is made, that is before modules with metrics
    are imported.

    Args:
        directory: As returned by `metrics_directory`; made if it is not there.

        role: Name without underscores; unique among processes that run now.

        fresh: Start counting from zero: for a role that runs without a supervisor.

    Raises:
        RuntimeError: A metric exists already; it would never be seen.
    """
    from prometheus_client import REGISTRY, metrics, values  # noqa: PLC0415

    made = [
        collector
        for collector in REGISTRY._collector_to_names  # noqa: SLF001
        if isinstance(collector, metrics.MetricWrapperBase)
    ]
    if made and values.ValueClass is values.MutexValue:
        message = f"metric made before enable_multiprocess: {made[0]}"
        raise RuntimeError(message)
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.glob(f"*_{role}.db"):
        if fresh or path.name.startswith("gauge_"):
            path.unlink(missing_ok=True)
    (directory / f"{role}.pid").write_text(str(os.getpid()))
    os.environ[_METRICS_VARIABLE] = str(directory)
    make_value: Any = values.MultiProcessValue
    values.ValueClass = make_value(lambda: role)


def metrics_text(directory: Path) -> bytes:
    """
    Return the metrics of all roles in Prometheus text format.

    Counters and histograms of a role that died count on; its gauges are left out.
    A file that cannot be read is left out and logged. Figures of the roles' statuses,
    which stand beside *directory*, are gauges as well.
    """
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415

    registry = CollectorRegistry()
    registry.register(_RoleMetrics(directory))
    return generate_latest(registry)


class _RoleMetrics:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable["Metric"]:
        from prometheus_client.multiprocess import (  # noqa: PLC0415
            MultiProcessCollector,
        )

        pids = {path.stem: _read_pid(path) for path in self._directory.glob("*.pid")}
        running = {role: pid for role, pid in pids.items() if _is_running(pid)}
        files = [
            str(path)
            for path in sorted(self._directory.glob("*.db"))
            if not path.name.startswith("gauge_")
            or path.stem.rpartition("_")[2] in running
        ]
        merge: Any = MultiProcessCollector.merge
        yield from merge(list(_readable(files)))
        yield from _process_metrics(running)
        yield from _status_metrics(self._directory.parent)


def _readable(files: list[str]) -> Iterator[str]:
    from prometheus_client.mmap_dict import MmapedDict  # noqa: PLC0415

    read_values: Any = MmapedDict.read_all_values_from_file
    for file in files:
        try:
            for key, *_ in read_values(file):
                json.loads(key)
        except (OSError, ValueError, RuntimeError, struct.error) as error:
            log.warning("metrics_skipped", file=file, reason=str(error))
        else:
            yield file


def _process_metrics(running: dict[str, int]) -> Iterator["Metric"]:
    from prometheus_client.core import (  # noqa: PLC0415
        CounterMetricFamily,
        GaugeMetricFamily,
    )

    memory = GaugeMetricFamily(
        "spanledger_process_resident_bytes",
        "resident memory of a role",
        labels=["role"],
    )
    processor = CounterMetricFamily(
        "spanledger_process_cpu_seconds", "processor time of a role", labels=["role"]
    )
    for role, pid in sorted(running.items()):
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            memory.add_metric([role], int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))
            ticks = int(fields[11]) + int(fields[12])
            processor.add_metric([role], ticks / os.sysconf("SC_CLK_TCK"))
    yield memory
    yield processor


def _status_metrics(state_dir: Path) -> Iterator["Metric"]:
    """Yield figures of running roles, each named ``spanledger_<role>_<figure>``."""
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

    ready = GaugeMetricFamily(
        "spanledger_role_ready", "whether a role does its work", labels=["role"]
    )
    for role, status in read_statuses(state_dir).items():
        if not status["running"]:
            continue
        ready.add_metric([role], float(status["ready"]))
        for figure in sorted(status.keys() - _STATUS_FIELDS):
            value = status[figure]
            if isinstance(value, (int, float)):
                yield GaugeMetricFamily(
                    f"spanledger_{role}_{figure}", "from the role's status", value
                )
    yield ready


def _read_pid(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _is_running(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_status(
    state_dir: Path,
    role: str,
    *,
    ready: bool,
    reason: str | None = None,
    **figures: object,
) -> None:
    """
    Replace the status of *role*: about once a second and whenever it changes.

    Args:
        state_dir: The service's ``state`` directory.

        role: Name of the role.

        ready: Whether the role does its work.

        reason: Why not, in a few words.

        figures: What an operator wants to know, units in the names.
    """
    directory = state_dir / "status"
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f".{role}.{os.getpid()}.tmp"
    status = {
        "role": role,
        "pid": os.getpid(),
        "written_unix": time.time(),
        "ready": ready,
        "reason": reason,
        **figures,
    }
    temporary.write_text(json.dumps(status, default=str))
    temporary.replace(directory / f"{role}.json")


def read_statuses(state_dir: Path) -> dict[str, dict[str, Any]]:
    """
    Return each role's last status, with ``age_seconds`` and ``running`` added.

    ``running`` says whether the process that wrote it still exists. A role that never
    wrote one, or whose file cannot be read, is not in the result.
    """
    statuses = {}
    for path in sorted((state_dir / "status").glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            status = json.loads(path.read_text())
            status["age_seconds"] = max(0.0, time.time() - status["written_unix"])
            status["running"] = _is_running(status["pid"])
            statuses[path.stem] = status
    return statuses
