"""Exact integer shares: pico-USD and tokens that must add up to the last unit."""

import numpy as np

from rollups.growth.segments import Bools, Floats, Ints, Segments

MAX_COST_PICO_USD = 10**18
"""A row's cost is below this: ``DECIMAL(18, 12)`` holds no more."""

_WEIGHT_BITS = 31
_WEIGHT_MASK = (1 << _WEIGHT_BITS) - 1
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


def apportion(total: Ints, weights: Floats, segments: Segments) -> Ints:
    """
    Split one integer total per segment over its rows by weight, to the last unit.

    Largest remainders are rounded up; of equal ones the earlier row.

    Args:
        total: One amount per segment, non-negative.

        weights: Non-negative, one per row; a segment with a total has some.

        segments: What belongs together.
    """
    whole = _integer_weights(weights, segments)
    sums = segments.sums(whole)
    shares, remainders = share(total[segments.owner], whole, sums[segments.owner])
    short = total - segments.sums(shares)
    rows = np.flatnonzero((short > 0)[segments.owner] & (remainders > 0))
    if len(rows):
        shares[_largest(rows, remainders[rows], segments.owner[rows], short)] += 1
    return shares


def _largest(rows: Ints, remainders: Ints, group: Ints, short: Ints) -> Ints:
    """Return of each group the ``short[group]`` rows with the largest remainders."""
    key = (group << _WEIGHT_BITS) | (_WEIGHT_MASK - remainders)
    order = np.argsort(key)
    if np.any(np.diff(key[order]) == 0):
        order = np.argsort(key, kind="stable")
    ordered = group[order]
    begins = np.flatnonzero(np.diff(ordered, prepend=-1))
    rank = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
    return rows[order[rank < short[ordered]]]


def _integer_weights(weights: Floats, segments: Segments) -> Ints:
    """Scale each segment's weights by a power of two to about 2**30 in all."""
    sums = np.add.reduceat(weights, segments.starts) if len(weights) else weights
    _, exponent = np.frexp(sums)
    scale = (_WEIGHT_BITS - 1 - exponent)[segments.owner]
    scaled: Ints = np.rint(np.ldexp(weights, scale)).astype(np.int64)
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
