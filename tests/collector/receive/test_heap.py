"""Freed memory stays with the process for the next request."""

import resource
import subprocess
import sys

import pytest

BLOCK_BYTES = 200_000
BLOCKS = 100
ROUNDS = 20
FAULTS = f"""
import ctypes, resource, sys
from collector.receive.heap import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
def use():
    blocks = [libc.malloc({BLOCK_BYTES}) for _ in range({BLOCKS})]
    for block in blocks:
        ctypes.memset(block, 1, {BLOCK_BYTES})
    for block in blocks:
        libc.free(block)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({ROUNDS}):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    """Return the page faults of taking and freeing the blocks again and again."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", FAULTS, how],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's settings")
def test_requests_are_given_the_memory_of_those_before():
    pages = BLOCKS * BLOCK_BYTES // resource.getpagesize()

    assert faults("given back") > ROUNDS * pages // 2
    assert faults("kept") < pages
