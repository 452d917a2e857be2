"""Contexts that do not keep what was appended to them: windows, and histories cut."""

from typing import Final

import numpy as np

from rollups.growth.results import Sizes
from rollups.growth.segments import Bools, Floats, Ints, Segments
from rollups.growth.shape import find_steps, fit_line, ratios

SHED_EFFICIENCY: Final = 0.9
SHED_GAIN: Final = 0.4
WINDOW_FALLS: Final = 5
WINDOW_GAIN: Final = 0.6
"""
A context that also falls and keeps under two fifths of what was appended, or falls at
every fifth call and keeps under three fifths: a window that happens to drift upwards.
"""

DRIFT_FALLS: Final = 2
DRIFT_GAIN: Final = 0.75
DRIFT_R2: Final = 0.92
"""
So is one that falls twice, keeps under three quarters and fits no line well. A history
from which thoughts are dropped falls as well, and still fits a line.
"""

WINDOWS: Final = range(2, 13)
"""Lengths of windows that are looked for, in calls."""

LEAST_DROPS: Final = 4
DROPS_UNEXPLAINED: Final = 0.1
"""
A window is recognised by what it drops: at least four times what entered so many calls
before, up to a tenth (of the squares) that this does not explain.
"""

MOST_KEPT: Final = 0.9
"""Looked for where at least a tenth of what was appended is gone."""


def find_shedding(segments: Segments, steady: Ints, sizes: Sizes) -> Bools:
    """
    Tell which chains do not accumulate what answers and results append.

    In a history that accumulates, what was appended is still there. Without sizes
    nothing is known to be shed.

    Args:
        segments: The chains.

        steady: Size of each prompt without fluctuation, whose falls shed nothing.

        sizes: What is known to enter each prompt.
    """
    steps = find_steps(segments, steady, sizes.known)
    level = segments.running(steps.organic)
    line = fit_line(segments, level)
    gain = line.slope * (segments.counts - 1)
    appended = segments.sums(np.where(steps.jump, 0, sizes.known))
    travelled = segments.sums(np.abs(steps.organic))
    efficiency = ratios(level[segments.lasts], travelled)
    falls = segments.sums((steps.organic < 0).astype(np.int64))
    drifts = (falls >= DRIFT_FALLS) & (line.r2 < DRIFT_R2)
    kept = np.where(drifts, DRIFT_GAIN, SHED_GAIN)
    sheds = (efficiency < SHED_EFFICIENCY) & (gain < kept * appended)
    often = WINDOW_FALLS * falls >= segments.counts - 1
    sheds |= often & (gain < WINDOW_GAIN * appended)
    found: Bools = sheds | _are_windows(
        segments,
        gain < MOST_KEPT * appended,
        steps.organic,
        np.where(steps.jump, 0, sizes.known),
        np.where(steps.jump, 0, sizes.entering),
    )
    return found


def _are_windows(
    segments: Segments, suspects: Bools, change: Ints, known: Ints, results: Ints
) -> Bools:
    """
    Tell which of *suspects* drop at each call just what entered some calls before.

    Where results alone explain the drops better, answers stay: a history that grows.
    """
    windows = np.zeros(len(segments.counts), dtype=np.bool_)
    suspects = suspects & (segments.counts > LEAST_DROPS + WINDOWS.start)
    if not suspects.any():
        return windows
    inner, rows = segments.select(suspects)
    missing = (known - change)[rows].astype(np.float64)
    best = _left_over(inner, missing, known[rows])
    of_tools = _left_over(inner, missing, results[rows])
    windows[suspects] = (best < DROPS_UNEXPLAINED) & (best <= of_tools)
    return windows


def _left_over(segments: Segments, lost: Floats, entered: Ints) -> Floats:
    """Return the least share of the squares of *lost* that a window leaves over."""
    least = np.ones(len(segments.counts))
    for length in WINDOWS:
        rows = np.flatnonzero(segments.place > length)
        if not len(rows):
            break
        whole, rest = np.zeros(segments.size), np.zeros(segments.size)
        whole[rows] = lost[rows] ** 2
        rest[rows] = (lost[rows] - entered[rows - length]) ** 2
        total = segments.totals(whole)
        left = segments.totals(rest)
        enough = (segments.counts - 1 - length >= LEAST_DROPS) & (total > 0)
        share = np.ones(len(total))
        np.divide(left, total, out=share, where=enough)
        least = np.minimum(least, share)
    return least
