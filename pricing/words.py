"""Text columns from few different words."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

WORD_TYPE: Final = pa.dictionary(pa.int32(), pa.string())

_Places = npt.NDArray[np.int32]


def word_column(
    words: Sequence[str | None], positions: npt.NDArray[np.int64]
) -> pa.DictionaryArray:
    """Return for each position the word at it; its dictionary has no null."""
    different, places = _numbered(tuple(words))
    if len(set(words)) == 1:
        numbers = _alike(int(places[0]), len(positions))
    else:
        numbers = places.take(positions, mode="clip")
    bits = None
    if None in words:
        bits = pa.py_buffer(np.packbits(numbers >= 0, bitorder="little"))
        numbers = np.maximum(numbers, 0)
    # From buffers, since pa.array() looks for pandas each time it sees numpy.
    indices = pa.Array.from_buffers(
        pa.int32(), len(numbers), [bits, pa.py_buffer(numbers)]
    )
    return pa.DictionaryArray.from_arrays(indices, different, safe=False)


@lru_cache(maxsize=256)
def _numbered(words: tuple[str | None, ...]) -> tuple[pa.Array, _Places]:
    """Return the different words, and of each its place among them, -1 for None."""
    different = list(dict.fromkeys(word for word in words if word is not None))
    numbers = {word: place for place, word in enumerate(different)} | {None: -1}
    places = np.array([numbers[word] for word in words], np.int32)
    return pa.array(different, pa.string()), places


@lru_cache(maxsize=32)
def _alike(place: int, rows: int) -> _Places:
    return np.full(rows, place, np.int32)
