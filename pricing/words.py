"""Text columns from few different words."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def word_column(
    words: Sequence[str | None], positions: npt.NDArray[np.int64]
) -> pa.Array:
    """Return for each position the word at it, as strings."""
    if len(set(words)) == 1:
        return _all_alike(words[0], len(positions))
    # From buffers, since pa.array() looks for pandas each time it sees numpy.
    places = pa.Array.from_buffers(
        pa.int64(), len(positions), [None, pa.py_buffer(positions)]
    )
    return pc.take(_array(tuple(words)), places, boundscheck=False)


@lru_cache(maxsize=256)
def _array(words: tuple[str | None, ...]) -> pa.Array:
    return pa.array(words, pa.string())


@lru_cache(maxsize=32)
def _all_alike(word: str | None, rows: int) -> pa.Array:
    if word is None:
        return pa.nulls(rows, pa.string())
    return pa.repeat(word, rows)
