"""The C heap of a process that takes and frees megabytes for every request."""

import contextlib
import ctypes
from typing import Final

_LARGEST_BLOCK_BYTES: Final = 32 << 20
_KEPT_BYTES: Final = 64 << 20

# From glibc's malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def keep_freed_memory() -> None:
    """
    Let glibc keep up to 64 MiB of freed memory for the next requests.

    By its defaults it gives a request's memory back to the kernel and takes it again,
    zeroed page by page, for the next. Other C libraries are left as they are.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
