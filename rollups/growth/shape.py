"""How the context of a chain grows: jumps, exponent, line, verdict and shape."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from rollups.growth.segments import Bools, Floats, Ints, Segments

JUMP_TOKENS: Final = 3000
JUMP_TO_NOISE: Final = 6
NOISE_WINDOW: Final = 31
"""A jump adds this many tokens, half the context, and 6 times the usual change."""

MIN_CALLS: Final = 6
MIN_EXPONENT: Final = 1.4
MIN_EFFICIENCY: Final = 0.20
MIN_R2: Final = 0.30
MIN_RELATIVE_GAIN: Final = 0.30
MIN_GAIN_TOKENS: Final = 500
SUPERLINEAR_EXPONENT: Final = 2.6
"""Above the middle between 2, a line, and 3, a context that grows as the square."""

FALL_TOKENS: Final = 1000
FALL_SHARE: Final = 0.3
BOUNDED_PEAK: Final = 1.5
BOUNDED_SHARE: Final = 0.30


@dataclass(frozen=True, slots=True)
class Steps:
    """Change of the context from call to call, in tokens; 0 at a first call."""

    change: Ints
    jump: Bools
    undone: Bools
    organic: Ints


@dataclass(frozen=True, slots=True)
class Growth:
    """One verdict per segment; the numbers are nan where a chain has one call."""

    quadratic: Bools
    exponent: Floats
    r2: Floats
    slope: Floats
    sawtooth: Bools
    jumped: Bools
    peaked: Bools


def find_steps(segments: Segments, tokens: Ints) -> Steps:
    """
    Tell organic change from jumps.

    A jump that the next call takes back by half or more is a one-call jump; that
    call's organic change is what the two leave over.
    """
    before = segments.previous(tokens)
    change = tokens - before
    jump = (change >= JUMP_TOKENS) & (2 * change >= before)
    candidates = np.flatnonzero(jump)
    noise = _twice_median_change(segments, change, candidates)
    jump[candidates] = 2 * change[candidates] >= JUMP_TO_NOISE * noise
    after = np.zeros(segments.size, dtype=np.bool_)
    after[1:] = jump[:-1]
    after[segments.starts] = False
    earlier = segments.previous(change)
    undone = after & ~jump & (2 * change <= -earlier)
    organic = np.where(jump, 0, change + np.where(undone, earlier, 0))
    return Steps(change=change, jump=jump, undone=undone, organic=organic)


def judge_growth(segments: Segments, tokens: Ints, steps: Steps) -> Growth:
    """Return the growth verdict of each chain, from sums over its calls."""
    calls = segments.counts.astype(np.float64)
    level = segments.running(steps.organic)
    exponent = _exponent(segments, level)
    slope, r2 = _line(segments, level)
    travelled = segments.sums(np.abs(steps.organic))
    efficiency = _ratio(level[segments.lasts], travelled)
    gain = slope * (calls - 1)
    relative = gain * calls / np.maximum(segments.sums(tokens), 1)
    quadratic = (
        (segments.counts >= MIN_CALLS)
        & (exponent >= MIN_EXPONENT)
        & (efficiency >= MIN_EFFICIENCY)
        & (r2 >= MIN_R2)
        & (relative >= MIN_RELATIVE_GAIN)
        & (gain >= MIN_GAIN_TOKENS)
    )
    falls = segments.sums(_material_falls(segments, tokens, steps).astype(np.int64))
    first = tokens[segments.starts]
    stayed = _stayed(segments, steps)
    return Growth(
        quadratic=quadratic,
        exponent=exponent,
        r2=r2,
        slope=slope,
        sawtooth=(falls >= 2) & (5 * falls <= segments.counts),
        jumped=segments.sums(stayed.astype(np.int64)) > 0,
        peaked=segments.highest(tokens) >= BOUNDED_PEAK * first,
    )


def shape_names(segments: Segments, growth: Growth, resent_share: Floats) -> list[str]:
    """Return the word for each chain's shape, the first that fits."""
    grown = np.where(
        growth.exponent >= SUPERLINEAR_EXPONENT, "superlinear", "accreting"
    )
    names = np.select(
        [
            segments.counts < MIN_CALLS,
            growth.quadratic,
            growth.sawtooth,
            growth.jumped,
            growth.peaked & (resent_share > BOUNDED_SHARE),
        ],
        ["insufficient", grown, "sawtooth", "jump", "bounded"],
        default="flat",
    )
    return [str(name) for name in names]


def _twice_median_change(segments: Segments, change: Ints, rows: Ints) -> Ints:
    """Return twice the median absolute change in the window before each row."""
    lags = np.arange(1, NOISE_WINDOW + 1, dtype=np.int64)
    inside = lags < segments.place[rows][:, None]
    window = np.abs(change[np.where(inside, rows[:, None] - lags, 0)])
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


def _line(segments: Segments, level: Ints) -> tuple[Floats, Floats]:
    """Return slope and R^2 of the least-squares line over call numbers."""
    n = segments.counts.astype(np.float64)
    sum_k = n * (n - 1) / 2
    spread_k = n * ((n - 1) * n * (2 * n - 1) / 6) - sum_k * sum_k
    total = segments.sums(level).astype(np.float64)
    moment = segments.sums(level * segments.place).astype(np.float64)
    square = segments.sums(level * level).astype(np.float64)
    joint = n * moment - sum_k * total
    spread = n * square - total * total
    slope = np.full(len(n), np.nan)
    np.divide(joint, spread_k, out=slope, where=segments.counts > 1)
    r2 = np.where(segments.counts > 1, 0.0, np.nan)
    np.divide(joint * joint, spread_k * spread, out=r2, where=spread_k * spread > 0)
    return slope, np.minimum(r2, 1.0)


def _material_falls(segments: Segments, tokens: Ints, steps: Steps) -> Bools:
    fall = -steps.change
    before = segments.previous(tokens)
    falls: Bools = (fall >= FALL_TOKENS) & (fall >= FALL_SHARE * before)
    return falls & ~steps.undone


def _stayed(segments: Segments, steps: Steps) -> Bools:
    taken_back = np.zeros(segments.size, dtype=np.bool_)
    taken_back[:-1] = steps.undone[1:]
    return steps.jump & ~taken_back


def _ratio(part: Ints, whole: Ints) -> Floats:
    ratio = np.zeros(len(part))
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio
