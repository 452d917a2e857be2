"""Exact integer shares: pico-USD and tokens that must add up to the last unit."""

import numpy as np

from rollups.growth.segments import Bools, Floats, Ints, group_sums

_WEIGHT_BITS = 31
"""Group weights stay below 2**31, so that a remainder times a weight fits int64."""


def share(amount: Ints, part: Ints, whole: Ints) -> tuple[Ints, Ints]:
    """
    Return ``floor(amount * part / whole)`` and the remainder of the division.

    Args:
        amount: Non-negative, below 2**63.

        part: 0 to *whole*.

        whole: Below 2**31; where it is 0 the share is 0.
    """
    divisor = np.maximum(whole, 1)
    quotient = amount // divisor
    partial = (amount - quotient * divisor) * part
    more = partial // divisor
    return quotient * part + more, partial - more * divisor


def apportion(total: Ints, weights: Floats, group: Ints) -> Ints:
    """
    Split integer totals by weight so that each group adds up exactly.

    Largest remainders are rounded up; of equal ones the earlier row.

    Args:
        total: One amount per group, non-negative.

        weights: Non-negative, one per row; every group with a total has some.

        group: Group of each row.
    """
    groups = len(total)
    whole_weights = _integer_weights(weights, group, groups)
    weight_sums = group_sums(whole_weights, group, groups)
    shares, remainders = share(total[group], whole_weights, weight_sums[group])
    short = total - group_sums(shares, group, groups)
    open_rows = np.flatnonzero((short > 0)[group] & (whole_weights > 0))
    if not len(open_rows):
        return shares
    order = open_rows[np.lexsort((-remainders[open_rows], group[open_rows]))]
    ordered = group[order]
    first = np.searchsorted(ordered, ordered, side="left")
    rank = np.arange(len(order)) - first
    shares[order[rank < short[ordered]]] += 1
    return shares


def _integer_weights(weights: Floats, group: Ints, groups: int) -> Ints:
    sums = np.bincount(group, weights=weights, minlength=groups)
    _, exponent = np.frexp(sums)
    scale = (_WEIGHT_BITS - 1 - exponent).astype(np.int64)
    scaled: Ints = np.rint(np.ldexp(weights, scale[group].astype(np.int32))).astype(
        np.int64
    )
    return scaled


def fits_money(*amounts: Ints, group: Ints, groups: int) -> Bools:
    """Tell for which groups the sum of all *amounts* stays well inside int64."""
    magnitude = np.zeros(groups)
    for amount in amounts:
        magnitude += np.bincount(
            group, weights=np.abs(amount).astype(np.float64), minlength=groups
        )
    fits: Bools = magnitude < float(2**62)
    return fits
