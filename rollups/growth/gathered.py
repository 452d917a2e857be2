"""Values of segments put together to values of chains."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rollups.growth.chains import Curve
from rollups.growth.segments import Bools, Floats, Ints, group_sums


class Gathered:
    """
    Chains as the sum of their segments, led by one of them.

    A tangled chain has two segments. Amounts add up; its verdict is that of the
    quadratic one if there is one, else of the one with more input tokens.
    """

    def __init__(self, chains: int, curve: Curve, quadratic: Bools) -> None:
        self._chains = chains
        self._chain = curve.chain
        weight = curve.segments.sums(curve.input_tokens)
        order = np.lexsort((-np.arange(len(weight)), weight, quadratic, curve.chain))
        last = np.append(np.diff(curve.chain[order]) != 0, True)[: len(order)]
        self._lead: Ints = order[last]
        self.present: Bools = np.zeros(chains, dtype=np.bool_)
        self.present[curve.chain] = True

    def sums(self, values: Ints) -> Ints:
        """Return the sum over each chain's segments, 0 for a chain without calls."""
        return group_sums(values, self._chain, self._chains)

    def every(self, values: Bools) -> Bools:
        """Return whether *values* holds for all segments, false without calls."""
        missing = self.sums((~values).astype(np.int64))
        return self.present & (missing == 0)

    def of_lead(self, values: NDArray[Any], absent: int) -> NDArray[Any]:
        """Return the leading segment's value, *absent* for a chain without calls."""
        wide = np.full(self._chains, absent, dtype=values.dtype)
        wide[self._chain[self._lead]] = values[self._lead]
        return wide

    def ratios(self, values: Floats) -> pa.Array:
        """Return the leading segment's number as a column, null for nan."""
        wide = np.full(self._chains, np.nan)
        wide[self._chain[self._lead]] = values[self._lead]
        return pa.array(wide, mask=np.isnan(wide))
