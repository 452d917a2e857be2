import ast
import importlib.util
import io
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from collector.telemetry import (
    RepeatingLog,
    configure_logging,
    metrics_directory,
    metrics_text,
    read_statuses,
    write_status,
)

LOG_METHODS = {"debug", "info", "warning", "error", "critical", "exception"}
LOGGERS = re.compile(r"(^|_)(log|logger|repeating)$")
IRREGULAR_PARTICIPLES = {
    *("begun", "bound", "built", "cut", "found", "held", "hidden", "kept", "left"),
    *("lost", "made", "read", "run", "seen", "sent", "set", "shut", "stuck", "taken"),
    *("put", "written", "rebuilt", "reset", "torn", "broken", "gone"),
}

STATES = {"corrupt", "full", "ready", "stopping", "unreadable"}
"""Words for what something is now, where nothing was done to it."""


@pytest.fixture
def log_settings():
    before = structlog.get_config()
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def _run(code: str, *arguments: str | Path) -> str:
    command = [sys.executable, "-P", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _metrics(state_dir: Path) -> bytes:
    return metrics_text(metrics_directory(state_dir))


def _log_calls():
    for package in ("collector", "proto_handlers", "pricing", "rollups"):
        (folder,) = importlib.util.find_spec(package).submodule_search_locations
        for path in sorted(Path(folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in LOG_METHODS
                    and LOGGERS.search(_name(node.func.value))
                ):
                    yield f"{path}:{node.lineno}", node


def _name(node: ast.expr) -> str:
    match node:
        case ast.Call(func=inner):
            return _name(inner)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _is_event_name(node: ast.expr) -> bool:
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return False
    words = node.value.split("_")
    return (
        len(words) >= 2
        and all(re.fullmatch(r"[a-z0-9]+", word) for word in words)
        and (words[-1].endswith("ed") or words[-1] in IRREGULAR_PARTICIPLES | STATES)
    )


def test_event_names_are_constants_of_the_form_noun_verbed():
    calls = list(_log_calls())

    bad = [
        place
        for place, call in calls
        if len(call.args) != 1 or not _is_event_name(call.args[0])
    ]

    assert calls
    assert bad == []


def test_a_line_is_one_json_object_with_utc_time_level_and_role(log_settings):
    stream = io.StringIO()
    configure_logging("drain", stream=stream)

    structlog.get_logger(component="x").info("batch_stored", spans=3, path=Path("a"))

    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "batch_stored",
        "level": "info",
        "role": "drain",
        "component": "x",
        "spans": 3,
        "path": "a",
    }


def test_on_a_terminal_a_line_is_key_value_pairs(log_settings):
    stream = io.StringIO()
    stream.isatty = lambda: True
    configure_logging("drain", stream=stream)

    structlog.get_logger().warning("frame_quarantined", reason="bad id")

    assert stream.getvalue().endswith(
        ' level=warning role=drain event=frame_quarantined reason="bad id"\n'
    )


def test_lines_below_the_level_are_not_written(log_settings):
    stream = io.StringIO()
    configure_logging("drain", level="warning", stream=stream)

    structlog.get_logger().info("batch_stored")

    assert stream.getvalue() == ""


def test_warnings_of_libraries_come_out_in_the_same_form(log_settings):
    stream = io.StringIO()
    configure_logging("receive", stream=stream)

    logging.getLogger("uvicorn.error").warning("port %d", 80)
    logging.getLogger("uvicorn.error").info("left out")

    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["role"], line["logger"]) == (
        "port 80",
        "warning",
        "receive",
        "uvicorn.error",
    )


def test_repeating_trouble_is_logged_once_in_ten_seconds_with_a_count():
    now = [100.0]
    with capture_logs() as lines:
        repeating = RepeatingLog(structlog.get_logger(), clock=lambda: now[0])
        for now[0] in (100.0, 101.0, 109.9, 110.0):
            repeating.warning("disk_filled", free_bytes=1)

    assert lines == [
        {"event": "disk_filled", "free_bytes": 1, "log_level": "warning"},
        {"event": "disk_filled", "free_bytes": 1, "log_level": "warning"}
        | {"repeated": 2},
    ]


def test_repeating_trouble_about_different_things_is_told_apart():
    with capture_logs() as lines:
        repeating = RepeatingLog(structlog.get_logger(), clock=lambda: 0.0)
        repeating.error("webhook_failed", about="a")
        repeating.error("webhook_failed", about="b")

    assert len(lines) == 2


def test_importing_telemetry_does_not_import_the_metrics_library():
    code = "import sys, collector.telemetry; print('prometheus_client' in sys.modules)"

    assert _run(code).strip() == "False"


ROLE = """
import sys
from pathlib import Path
from collector.telemetry import enable_multiprocess, metrics_directory
directory = metrics_directory(Path(sys.argv[1]))
enable_multiprocess(directory, sys.argv[2], fresh=sys.argv[4:] == ["fresh"])
from prometheus_client import Counter, Gauge
Counter("spans_total", "spans", ["kind"]).labels("good").inc(int(sys.argv[3]))
Gauge("lag_seconds", "lag", multiprocess_mode="livemostrecent").set_to_current_time()
if sys.argv[4:] == ["stay"]:
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_metrics_of_all_roles_are_added_up(tmp_path):
    _run(ROLE, tmp_path, "receive", "2")
    _run(ROLE, tmp_path, "drain", "3")

    assert b'spans_total{kind="good"} 5.0\n' in _metrics(tmp_path)


def test_a_restarted_role_goes_on_counting(tmp_path):
    _run(ROLE, tmp_path, "receive", "2")
    _run(ROLE, tmp_path, "receive", "3")

    assert b'spans_total{kind="good"} 5.0\n' in _metrics(tmp_path)


def test_a_role_that_starts_afresh_counts_from_zero(tmp_path):
    _run(ROLE, tmp_path, "receive", "2")
    _run(ROLE, tmp_path, "receive", "3", "fresh")

    assert b'spans_total{kind="good"} 3.0\n' in _metrics(tmp_path)


def test_gauges_and_memory_of_a_dead_role_are_left_out(tmp_path):
    command = [sys.executable, "-P", "-c", ROLE, str(tmp_path), "drain", "1", "stay"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as role:
        role.stdout.readline()
        alive = _metrics(tmp_path)
        role.kill()
        role.wait()
        dead = _metrics(tmp_path)

    assert b"\nlag_seconds " in alive
    assert b'spanledger_process_resident_bytes{role="drain"}' in alive
    assert b"\nlag_seconds " not in dead
    assert b'resident_bytes{role="drain"}' not in dead
    assert b'spans_total{kind="good"} 1.0\n' in dead


def test_figures_of_a_status_are_gauges_while_its_role_runs(tmp_path):
    metrics_directory(tmp_path).mkdir()
    write_status(tmp_path, "drain", ready=False, backlog_bytes=7, taken={"a": 1})

    text = _metrics(tmp_path).decode()

    assert "\nspanledger_drain_backlog_bytes 7.0\n" in text
    assert '\nspanledger_role_ready{role="drain"} 0.0\n' in text
    assert "taken" not in text


def test_a_torn_metrics_file_does_not_hide_the_others(tmp_path):
    _run(ROLE, tmp_path, "receive", "2")
    directory = metrics_directory(tmp_path)
    (directory / "counter_drain.db").write_bytes(b"\x40\0\0\0" + b"\xff" * 60)
    (directory / "counter_account.db").write_bytes(b"")

    with capture_logs() as lines:
        text = metrics_text(directory)

    assert b'spans_total{kind="good"} 2.0\n' in text
    assert [line["event"] for line in lines] == ["metrics_skipped"] * 2


def test_a_metric_made_too_early_is_refused(tmp_path):
    code = """
import sys
from pathlib import Path
from prometheus_client import Counter
from collector.telemetry import enable_multiprocess
Counter("early_total", "too early")
try:
    enable_multiprocess(Path(sys.argv[1]), "drain")
except RuntimeError as error:
    print(error)
"""

    assert "made before enable_multiprocess" in _run(code, tmp_path)


def test_a_status_is_read_back_with_age_and_whether_its_writer_runs(tmp_path):
    write_status(tmp_path, "drain", ready=False, reason="behind", lag_seconds=4.5)

    status = read_statuses(tmp_path)["drain"]

    assert status["pid"] == os.getpid()
    assert status["running"]
    assert 0 <= status["age_seconds"] < 60
    assert (status["ready"], status["reason"], status["lag_seconds"]) == (
        False,
        "behind",
        4.5,
    )


def test_the_status_of_a_killed_role_is_marked_as_not_running(tmp_path):
    code = """
import sys
from pathlib import Path
from collector.telemetry import write_status
write_status(Path(sys.argv[1]), "account", ready=True)
"""
    _run(code, tmp_path)

    assert not read_statuses(tmp_path)["account"]["running"]


def test_an_unreadable_status_is_left_out(tmp_path):
    write_status(tmp_path, "drain", ready=True)
    (tmp_path / "status" / "receive.json").write_text("{")

    assert list(read_statuses(tmp_path)) == ["drain"]
