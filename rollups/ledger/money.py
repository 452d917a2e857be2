"""Exact sums of money: integers of pico-USD in, decimals out."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rollups.ledger.columns import Ints, Mask, known

SUM_TYPE: Final = pa.decimal128(38, 12)
_SAFE: Final = 2.0**62
_WORDS: Final = 2


def pico_usd(costs: pa.Array) -> Ints:
    """Return costs of type DECIMAL(18,12) as pico-USD, 0 for null."""
    if len(costs) == 0:
        return np.zeros(0, np.int64)
    words = np.frombuffer(costs.buffers()[1], np.int64)
    first = costs.offset * _WORDS
    # 18 digits fit the lower word; the upper one only repeats the sign.
    low = words[first : first + len(costs) * _WORDS : _WORDS]
    return np.where(known(costs), low, 0)


def sum_by(group: Ints, values: Ints, *, size: int) -> npt.NDArray[np.object_] | Ints:
    """
    Return the exact sum of *values* per group.

    Sums that might not fit 64 bits (nine million dollars) are Python integers.
    """
    fits = float(np.abs(values).astype(np.float64).sum()) < _SAFE
    totals = np.zeros(size, np.int64 if fits else object)
    np.add.at(totals, group, values if fits else values.astype(object))
    return totals


def decimals(pico: npt.NDArray[np.object_] | Ints, *, null: Mask) -> pa.Array:
    """Return sums of pico-USD as DECIMAL(38,12), null where *null*."""
    if pico.dtype == object:
        whole = pa.array([int(one) for one in pico], pa.decimal128(38, 0))
        low_words = np.frombuffer(whole.buffers()[1], np.int64).copy()
        data = pa.py_buffer(low_words)
    else:
        words = np.empty((len(pico), _WORDS), np.int64)
        words[:, 0] = pico
        words[:, 1] = pico >> 63
        data = pa.py_buffer(words)
    valid = pa.array(~null).buffers()[1]
    return pa.Array.from_buffers(SUM_TYPE, len(pico), [valid, data])
