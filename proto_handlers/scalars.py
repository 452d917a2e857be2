"""
Scalars with their types.

Arrow finds out the type of an untyped one by looking for libraries that are not there,
which takes ten times as long as comparing a small column with it.
"""

from functools import cache
from typing import Final

import pyarrow as pa

NO_TEXT: Final = pa.scalar(None, pa.string())
NO_COUNT: Final = pa.scalar(None, pa.int64())
NO_NUMBER: Final = pa.scalar(None, pa.float64())
NO_FLAG: Final = pa.scalar(None, pa.bool_())
FALSE: Final = pa.scalar(False, pa.bool_())
TRUE: Final = pa.scalar(True, pa.bool_())
ZERO: Final = pa.scalar(0, pa.int64())
ZERO_LENGTH: Final = pa.scalar(0, pa.int32())
NO_CODE: Final = pa.scalar(-1, pa.int32())


@cache
def word(text: str) -> pa.StringScalar:
    """Return one of the words that code compares with."""
    return pa.scalar(text, pa.string())


@cache
def number(value: float) -> pa.DoubleScalar:
    """Return one of the numbers that code compares or computes with."""
    return pa.scalar(value, pa.float64())
