"""The wheel: four top-level names, and every file that the code reads."""

import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = {"collector", "proto_handlers", "pricing", "rollups"}


@pytest.fixture(scope="module")
def wheel_files(tmp_path_factory):
    """Build the wheel; return the path of every file in it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-P", "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {PurePosixPath(name) for name in archive.namelist()}


def test_the_wheel_owns_four_top_level_names_and_nothing_else(wheel_files):
    names = {path.parts[0] for path in wheel_files}

    version = PROJECT["project"]["version"]
    assert names == PACKAGES | {f"spanledger-{version}.dist-info"}


def test_the_wheel_has_every_file_of_the_packages(wheel_files):
    in_checkout = {
        PurePosixPath(path.relative_to(ROOT).as_posix())
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert {path for path in wheel_files if path.parts[0] in PACKAGES} == in_checkout
    suffixes = {path.suffix for path in in_checkout}
    assert {".py", ".sql", ".toml", ".json", ".html", ".typed"} <= suffixes


def test_every_package_is_typed(wheel_files):
    assert {PurePosixPath(name, "py.typed") for name in PACKAGES} <= wheel_files


def test_no_other_distribution_here_has_our_names():
    owners = packages_distributions()

    assert {name: set(owners[name]) for name in PACKAGES if name in owners} == {
        name: {"spanledger"} for name in PACKAGES if name in owners
    }
