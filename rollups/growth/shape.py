"""How the context of a chain grows: jumps, exponent, line, verdict and shape."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from rollups.growth.segments import Bools, Floats, Ints, Segments

JUMP_TOKENS: Final = 3000
JUMP_TO_PAST: Final = 6
JUMP_TO_AROUND: Final = 8
NOISE_WINDOW: Final = 31
"""
A jump adds 3,000 tokens and half the context, six times the usual change before it,
and, as far as later calls are known, eight times the usual change around it.
"""

UNEXPLAINED_JUMP: Final = 2
"""A jump that known answers and results do not half explain must be this tall."""

MIN_CALLS: Final = 6
MIN_EXPONENT: Final = 1.35
MIN_EFFICIENCY: Final = 0.20
MIN_R2: Final = 0.30
MIN_RELATIVE_GAIN: Final = 0.30
MIN_GAIN_TOKENS: Final = 500
SUPERLINEAR_EXPONENT: Final = 2.6
"""Above the middle between 2, a line, and 3, a context that grows as the square."""

LEVEL_CALLS: Final = 10
LEVEL_SLOPE: Final = 0.5
LEVEL_R2: Final = 0.85
"""
A ramp that stops by the middle: its later half climbs less than half as steeply as
the whole, and a line fits it worse than this (0.80 if it stops in the middle).
"""

FALL_TOKENS: Final = 1000
FALL_SHARE: Final = 0.3
BOUNDED_PEAK: Final = 1.5
BOUNDED_SHARE: Final = 0.30

SHAPES: Final = (
    "insufficient",
    "superlinear",
    "accreting",
    "sawtooth",
    "jump",
    "bounded",
    "flat",
)


@dataclass(frozen=True, slots=True)
class Steps:
    """Change of the context from call to call, in tokens; 0 at a first call."""

    change: Ints
    jump: Bools
    undone: Bools
    organic: Ints


@dataclass(frozen=True, slots=True)
class Growth:
    """
    One verdict per segment.

    Attributes:
        quadratic: The context grows so that input tokens grow as the square.

        exponent: Of cumulative input tokens; 1 is flat, 2 is a line. Nan, as the
            other numbers, where a chain has one call.

        r2: Fit of a line to the organic context.

        slope: Tokens per step.

        shape: Index into `SHAPES`.
    """

    quadratic: Bools
    exponent: Floats
    r2: Floats
    slope: Floats
    shape: Ints


@dataclass(frozen=True, slots=True)
class Line:
    """A least-squares line over the call numbers of each segment."""

    slope: Floats
    r2: Floats


def find_steps(segments: Segments, tokens: Ints, known: Ints) -> Steps:
    """
    Tell organic change from jumps.

    A jump that the next call takes back by half or more is a one-call jump; that
    call's organic change is what the two leave over.

    Args:
        segments: The chains.

        tokens: Size of each prompt.

        known: Tokens of answers and results that are known to be new in it.
    """
    before = segments.previous(tokens)
    change = tokens - before
    jump = _jumps(segments, before, change, known)
    after = np.zeros(segments.size, dtype=np.bool_)
    after[1:] = jump[:-1]
    after[segments.starts] = False
    earlier = segments.previous(change)
    undone = after & ~jump & (2 * change <= -earlier)
    organic = np.where(jump, 0, change + np.where(undone, earlier, 0))
    return Steps(change=change, jump=jump, undone=undone, organic=organic)


def judge_growth(
    segments: Segments, tokens: Ints, resent: Ints, steps: Steps, sheds: Bools
) -> Growth:
    """
    Return the growth verdict of each chain, from sums over its calls.

    Args:
        segments: The chains.

        tokens: Size of each prompt.

        resent: Tokens that it sent again.

        steps: Changes from call to call.

        sheds: Which chains do not keep what was appended (`rollups.growth.shed`).
    """
    level = segments.running(steps.organic)
    exponent = _exponent(segments, level)
    whole = fit_line(segments, level)
    late = fit_line(segments, level, segments.counts // 2)
    travelled = segments.sums(np.abs(steps.organic))
    efficiency = ratios(level[segments.lasts], travelled)
    gain = whole.slope * (segments.counts - 1)
    first = tokens[segments.starts]
    context = first + segments.sums(level) / segments.counts
    levelled = (
        (segments.counts >= LEVEL_CALLS)
        & (late.slope < LEVEL_SLOPE * whole.slope)
        & (whole.r2 < LEVEL_R2)
    )
    quadratic = (
        (segments.counts >= MIN_CALLS)
        & (exponent >= MIN_EXPONENT)
        & (efficiency >= MIN_EFFICIENCY)
        & (whole.r2 >= MIN_R2)
        & (gain >= MIN_RELATIVE_GAIN * context)
        & (gain >= MIN_GAIN_TOKENS)
        & ~(levelled | sheds)
    )
    peaked = segments.highest(tokens) >= BOUNDED_PEAK * first
    bounded = peaked & (segments.sums(resent) > BOUNDED_SHARE * segments.sums(tokens))
    shape = np.select(
        [
            segments.counts < MIN_CALLS,
            quadratic & (exponent >= SUPERLINEAR_EXPONENT),
            quadratic,
            _saws(segments, tokens, steps),
            _has_stayed(segments, steps),
            bounded,
        ],
        range(6),
        default=6,
    )
    return Growth(
        quadratic=quadratic,
        exponent=exponent,
        r2=whole.r2,
        slope=whole.slope,
        shape=shape,
    )


def _jumps(segments: Segments, before: Ints, change: Ints, known: Ints) -> Bools:
    tall = (change >= JUMP_TOKENS) & (2 * change >= before)
    tall &= (2 * known >= change) | (change >= UNEXPLAINED_JUMP * before)
    rows = np.flatnonzero(tall)
    place = segments.place[rows]
    later = segments.counts[segments.owner[rows]] - 1 - place
    past = np.minimum(place - 1, NOISE_WINDOW)
    to_past = _twice_median_change(change, rows, past, np.zeros_like(past))
    around = np.minimum(later, NOISE_WINDOW)
    to_around = _twice_median_change(change, rows, past, around)
    height = 2 * change[rows]
    tall[rows] = (height >= JUMP_TO_PAST * to_past) & (
        height >= JUMP_TO_AROUND * to_around
    )
    return tall


def _twice_median_change(change: Ints, rows: Ints, past: Ints, later: Ints) -> Ints:
    """
    Return twice the median absolute change around each row, without the row.

    Args:
        change: Change at every row.

        rows: The rows in question.

        past: Number of rows before each that count; 0 and less is none.

        later: Number of rows after each that count.
    """
    lags = np.arange(1, NOISE_WINDOW + 1, dtype=np.int64)
    inside = np.concatenate([lags <= past[:, None], lags <= later[:, None]], axis=1)
    places = np.concatenate([rows[:, None] - lags, rows[:, None] + lags], axis=1)
    window = np.abs(change[np.where(inside, places, 0)])
    window = np.sort(np.where(inside, window, np.iinfo(np.int64).max), axis=1)
    count = inside.sum(axis=1)
    each = np.arange(len(rows))
    low = window[each, np.maximum((count - 1) // 2, 0)]
    high = window[each, count // 2]
    return np.where(count == 0, 0, low + high)


def _exponent(segments: Segments, level: Ints) -> Floats:
    above = level - segments.lowest(level)[segments.owner]
    total = segments.sums(above).astype(np.float64)
    moment = segments.sums(above * segments.place).astype(np.float64)
    rest = (segments.counts - 0.5) * total - moment
    exponent = np.ones(len(segments.counts))
    np.divide(moment, rest, out=exponent, where=rest > 0)
    return np.where(segments.counts > 1, exponent, np.nan)


def fit_line(segments: Segments, level: Ints, skipped: Ints | None = None) -> Line:
    """Fit a least-squares line over call numbers, without the first *skipped*."""
    left_out = 0 if skipped is None else skipped
    n = (segments.counts - left_out).astype(np.float64)
    spread_k = n * n * (n * n - 1) / 12
    total = segments.sums(level, skipped).astype(np.float64)
    moment = segments.sums(level * segments.place, skipped).astype(np.float64)
    moment -= left_out * total
    square = segments.sums(level * level, skipped).astype(np.float64)
    joint = n * moment - n * (n - 1) / 2 * total
    spread = n * square - total * total
    slope = np.full(len(n), np.nan)
    np.divide(joint, spread_k, out=slope, where=n > 1)
    r2 = np.where(n > 1, 0.0, np.nan)
    np.divide(joint * joint, spread_k * spread, out=r2, where=spread_k * spread > 0)
    return Line(slope=slope, r2=np.minimum(r2, 1.0))


def _saws(segments: Segments, tokens: Ints, steps: Steps) -> Bools:
    fall = -steps.change
    material = (fall >= FALL_TOKENS) & (fall >= FALL_SHARE * segments.previous(tokens))
    falls = segments.sums((material & ~steps.undone).astype(np.int64))
    saws: Bools = (falls >= 2) & (5 * falls <= segments.counts)
    return saws


def _has_stayed(segments: Segments, steps: Steps) -> Bools:
    stayed = steps.jump.copy()
    stayed[:-1] &= ~steps.undone[1:]
    found: Bools = segments.sums(stayed.astype(np.int64)) > 0
    return found


def ratios(part: Ints, whole: Ints) -> Floats:
    ratio = np.zeros(len(part))
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio
