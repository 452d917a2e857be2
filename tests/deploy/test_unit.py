"""The systemd unit: it starts what exists and waits long enough for a clean stop."""

from pathlib import Path

import pytest

from collector.cli import build_parser
from collector.config import Settings, load_settings

UNIT = Path(__file__).parents[2] / "deploy" / "spanledger.service"


@pytest.fixture(scope="module")
def unit():
    """Return the unit's lines as pairs of key and value."""
    lines = UNIT.read_text().splitlines()
    pairs = [line.split("=", 1) for line in lines if "=" in line and line[0] != "#"]
    return {key: value for key, value in pairs if key != "Environment"} | {
        "Environment": [value for key, value in pairs if key == "Environment"]
    }


def test_the_command_line_is_one_that_the_program_takes(unit):
    program, *words = unit["ExecStart"].split()

    parsed = build_parser().parse_args(words)

    assert Path(program).name == "spanledger"
    assert Path(program).is_absolute()
    assert parsed.config == Path("/etc/spanledger/spanledger.toml")


def test_the_environment_is_made_of_settings(unit, monkeypatch):
    for assignment in unit["Environment"]:
        monkeypatch.setenv(*assignment.split("=", 1))

    settings = load_settings()

    assert settings.data_dir == Path("/var/lib") / unit["StateDirectory"]


def test_a_clean_stop_is_waited_for_and_the_signal_is_for_the_supervisor_alone(unit):
    assert int(unit["TimeoutStopSec"]) > Settings().shutdown_seconds
    assert unit["KillMode"] == "mixed"
    assert unit["KillSignal"] == "SIGTERM"


def test_the_service_has_no_more_rights_than_it_needs(unit):
    assert unit["DynamicUser"] == "yes"
    assert unit["NoNewPrivileges"] == "yes"
    assert unit["CapabilityBoundingSet"] == ""
    assert unit["ProtectSystem"] == "strict"
    assert unit["ProtectHome"] == "yes"
    assert set(unit["RestrictAddressFamilies"].split()) == {
        "AF_INET",
        "AF_INET6",
        "AF_UNIX",
    }
