"""The demo as a user runs it."""

import os
import subprocess

import pytest
from service import command

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]


def run_demo(folder, *arguments):
    """Run the demo among settings of someone else, which it must not touch."""
    (folder / "tmp").mkdir()
    environment = os.environ | {
        "TMPDIR": str(folder / "tmp"),
        "SPANLEDGER_DATA_DIR": str(folder / "mine"),
        "SPANLEDGER_GRPC__LISTEN": "127.0.0.1:1",
    }
    return subprocess.run(
        command("demo", *arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=environment,
    )


def test_the_demo_is_right_to_the_pico_dollar_and_leaves_nothing_behind(tmp_path):
    done = run_demo(tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "All right" in done.stdout
    assert "triage-agent: quadratic, accreting (exponent 2.00" in done.stdout
    assert "signed  run.context_growth" in done.stdout
    assert "signed  budget.threshold_crossed" in done.stdout
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not (tmp_path / "mine").exists()


def test_a_demo_that_is_not_right_ends_with_one_line(tmp_path):
    config = tmp_path / "spanledger.toml"
    config.write_text("[content]\nkeep = true\n")

    done = run_demo(tmp_path, "--config", str(config))

    assert done.returncode == 1
    assert "All right" not in done.stdout
    (line,) = done.stderr.splitlines()
    assert "spans with a prompt in them: expected 0, found 45" in line
