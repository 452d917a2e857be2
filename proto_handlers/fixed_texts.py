"""Columns of texts that are all of one length: ids and hashes in hex."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_HEX: Final = np.frombuffer(
    "".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint16
)


def fixed_texts(text: bytes, count: int, width: int) -> pa.StringArray:
    """Return *count* texts of *width* ASCII characters that stand one after another."""
    ends = np.arange(count + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(text))


def hex_texts(raw: npt.NDArray[np.uint8], width: int) -> pa.StringArray:
    """Return each *width* bytes of *raw* as lower-case hex."""
    return fixed_texts(_HEX[raw].tobytes(), len(raw) // width, 2 * width)
