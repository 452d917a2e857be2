"""How many tokens a byte of a tool result is, from how prompts grew."""

from typing import Final

import numpy as np

from rollups.growth.segments import Floats, Ints, Segments

DEFAULT_TOKENS_PER_BYTE: Final = 0.25
USUAL_SPREAD: Final = 0.08
"""
Four bytes to a token, as texts usually have; most have between three and six (prose,
code, JSON), and this is the standard deviation of the ratio.
"""

MOST_ABOVE_USUAL: Final = 1.5 * USUAL_SPREAD
MOST_BELOW_USUAL: Final = 0.5 * USUAL_SPREAD
"""
Growth over bytes beyond these, under three bytes to a token or near five, is no ratio
of texts: something else came, or something was dropped, which is far more usual.
"""

MOST_OFF_USUAL: Final = 2 * USUAL_SPREAD
"""
A slope beyond is no ratio of texts either, however well the line fits: as where all
results are as large but one, of another kind of text.
"""

CLEARLY_BETTER: Final = 4.0
"""An intercept counts from two standard errors on; squared, as in an F test."""


def fitted_ratio(segments: Segments, size: Ints, grown: Ints) -> Floats:
    """
    Return tokens per byte of each chain, from how growth depends on results.

    If results are all that prompts grow by, it is what they grew by in all, over all
    bytes: what fluctuates is in the first and the last prompt only. Where a line with
    an intercept fits clearly better, or that ratio is no text's, other things come or
    go at every step (user turns, a window's oldest messages): then it is the slope of
    that line. Either counts as far as the points tell it better than the usual ratio.

    Args:
        segments: The chains.

        size: Bytes of the results that enter each prompt; 0 where other things do.

        grown: What the prompt grew by beyond the answer.
    """
    told = size > 0
    count = segments.sums(told.astype(np.int64)).astype(np.float64)
    points = np.maximum(count, 2.0)
    grown = np.where(told, grown, 0)
    usual = DEFAULT_TOKENS_PER_BYTE
    sizes = segments.sums(size).astype(np.float64)
    rises = segments.sums(grown) - usual * sizes
    spread = segments.sums(size * size).astype(np.float64)
    joint = segments.sums(size * grown) - usual * spread
    rest = segments.sums(grown * grown) - usual * (2 * joint + usual * spread)
    whole = _quotient(rises, sizes)
    beside = _beside(whole, spread, joint, rest)
    noise = (beside + rest / points) / points
    through = whole * _weight(sizes * sizes / points, noise)
    missed = _beside(through, spread, joint, rest)
    spread = spread - sizes * sizes / points
    joint = joint - sizes * rises / points
    rest = np.maximum(rest - rises * rises / points, 0.0)
    line = np.where(spread > 0, _quotient(joint, spread), 0.0)
    beside = _beside(line, spread, joint, rest)
    noise = (beside + rest / (points - 1)) / (points - 1)
    line *= _weight(spread, noise)
    rest = _beside(line, spread, joint, rest)
    better = missed > rest * (1 + CLEARLY_BETTER / np.maximum(count - 2, 1))
    strange = (whole > MOST_ABOVE_USUAL) | (whole < -MOST_BELOW_USUAL)
    better &= np.abs(line) <= MOST_OFF_USUAL
    bent = (count > 2) & (better | strange)
    return usual + np.where(bent, line, through)


def _quotient(top: Floats, bottom: Floats) -> Floats:
    ratio = np.zeros(len(top))
    np.divide(top, bottom, out=ratio, where=bottom > 0)
    return ratio


def _beside(slope: Floats, spread: Floats, joint: Floats, rest: Floats) -> Floats:
    """Return the squares that a line of *slope* leaves over."""
    return np.maximum(rest - slope * (2 * joint - slope * spread), 0.0)


def _weight(spread: Floats, noise: Floats) -> Floats:
    """Return how far a slope counts: against the usual one, as their variances say."""
    return _quotient(spread * USUAL_SPREAD**2, spread * USUAL_SPREAD**2 + noise)
