"""Files that are whole or not there, and locks."""

import os
import subprocess
import sys

import pytest

from collector.errors import LockedError
from collector.files import locked, replace_file, replacing_file


def test_a_replaced_file_has_the_new_content(tmp_path):
    path = tmp_path / "deep" / "file"
    replace_file(path, b"old")

    replace_file(path, b"new")

    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_an_error_while_writing_leaves_the_old_content(tmp_path):
    path = tmp_path / "file"
    replace_file(path, b"old")

    with pytest.raises(RuntimeError), replacing_file(path) as file:
        file.write(b"ne")
        raise RuntimeError

    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_lock_is_refused_to_a_second_process_by_name_of_the_first(tmp_path):
    child = f"""
from pathlib import Path
from collector.errors import LockedError
from collector.files import locked
try:
    with locked(Path({str(tmp_path)!r}), "drain"):
        print("taken")
except LockedError as error:
    print(error.line())
"""

    with locked(tmp_path, "drain"):
        held = subprocess.run(
            [sys.executable, "-P", "-c", child],
            capture_output=True,
            text=True,
            check=True,
        )
    free = subprocess.run(
        [sys.executable, "-P", "-c", child], capture_output=True, text=True, check=True
    )

    assert f"in use by process {os.getpid()}" in held.stdout
    assert free.stdout == "taken\n"


def test_locks_of_roles_do_not_exclude_each_other(tmp_path):
    with locked(tmp_path, "drain"), locked(tmp_path, "account"):
        with pytest.raises(LockedError), locked(tmp_path, "drain"):
            pass
