"""What holds for the whole suite: which package is under test, and how it is run."""

import logging
import os
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

import collector

EXPECT_WHEEL = "SPANLEDGER_EXPECT_WHEEL"
PACKAGE = Path(collector.__file__).parent

# A shared machine is slow at times: how long an example takes is no claim.
settings.register_profile("home", deadline=None)
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "home")


def pytest_report_header() -> str:
    return f"collector: {PACKAGE}"


def pytest_configure() -> None:
    if os.environ.get(EXPECT_WHEEL) and "site-packages" not in PACKAGE.parts:
        pytest.exit(f"{EXPECT_WHEEL} is set, but collector is {PACKAGE}", returncode=3)
    # Settings of whoever runs the tests are none of theirs.
    for variable in [name for name in os.environ if name.startswith("SPANLEDGER_")]:
        del os.environ[variable]


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    """Undo what a command under test did to logging: its streams end with its test."""
    yield
    structlog.reset_defaults()
    for handler in list(logging.root.handlers):
        if type(handler) is logging.StreamHandler:
            logging.root.removeHandler(handler)
