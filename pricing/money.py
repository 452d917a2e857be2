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


def decimal_column(pico: Pico, valid: Mask | None) -> pa.Array:
    """
    Return pico-USD as a column of USD.

    Args:
        pico: Between 0 and `MAX_PICO` wherever valid.

        valid: False makes a null; None means all are valid.
    """
    rows = len(pico)
    buffer = pa.allocate_buffer(16 * rows)
    words = np.frombuffer(buffer, np.int64)
    words[0::2] = pico
    words[1::2] = 0
    bits = None
    if valid is not None:
        bits = pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(COST_TYPE, rows, [bits, buffer])


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
