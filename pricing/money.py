"""Money as Arrow: ``DECIMAL(18,12)`` columns from and to int64 pico-USD."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Pico = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

COST_TYPE: Final = pa.decimal128(18, 12)

MAX_PICO: Final = 10**18 - 1
"""The largest cost of one call: $999,999.999999999999."""


class CostColumn:
    """``DECIMAL(18,12)`` of *rows* calls, filled from pico-USD block by block."""

    def __init__(self, rows: int) -> None:
        # Arrow's pool hands out pages it has had before; new ones would cost more.
        self._buffer = pa.allocate_buffer(16 * rows)
        self._words = np.frombuffer(self._buffer, np.int64).reshape(rows, 2)

    def put(self, start: int, pico: Pico | int, rows: int) -> None:
        """Set the cost of *rows* calls from *start* on, from 0 to `MAX_PICO`."""
        block = self._words[start : start + rows]
        block[:, 0] = pico
        block[:, 1] = 0

    def finish(self, valid: Mask | None) -> pa.Array:
        """Return the column; false makes a null, None means all are valid."""
        bits = None
        if valid is not None:
            bits = pa.py_buffer(np.packbits(valid, bitorder="little"))
        buffers = [bits, self._buffer]
        return pa.Array.from_buffers(COST_TYPE, len(self._words), buffers)


def pico_column(costs: pa.Array) -> tuple[Pico, Mask]:
    """
    Return a column of USD as pico-USD, and which of it is a cost.

    A null, a negative number and what no cost can be are no cost.
    """
    try:
        usd = pc.cast(costs, COST_TYPE)
    except pa.ArrowInvalid:
        usd = pa.array([_cost_or_none(cost) for cost in costs.to_pylist()], COST_TYPE)
    words = np.frombuffer(usd.buffers()[1] or b"", np.int64)
    pico = words[2 * usd.offset : 2 * (usd.offset + len(usd)) : 2]
    known = pc.is_valid(usd).to_numpy(zero_copy_only=False)
    return pico, known & (pico >= 0)


def _cost_or_none(cost: object) -> object:
    try:
        return pa.scalar(cost).cast(COST_TYPE).as_py()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
