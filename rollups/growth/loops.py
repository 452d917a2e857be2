"""Loops: rounds of the same tool calls with the same results."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rollups.growth.chains import Curve
from rollups.growth.columns import equality_codes
from rollups.growth.results import Asked
from rollups.growth.segments import Bools, Ints, run_lengths

LONGEST_PERIOD: Final = 4
LEAST_REPEATS: Final = 3
ROUNDS_KNOWN: Final = 3
ROUNDS_UNKNOWN: Final = 6
"""
Rounds that make a loop, when results are known and when only arguments are.

One call alone must come back three times: twice is what a careful agent does.
"""

FREE_ROUNDS: Final = 2
"""Rounds before a loop's calls count as wasted."""


@dataclass(frozen=True, slots=True)
class Loops:
    """Shortest period of each chain's loop (0: none) and the calls it wasted."""

    period: Ints
    wasted: Bools


@dataclass(frozen=True, slots=True)
class _Signatures:
    hashes: NDArray[np.uint64]
    comparable: Bools
    known: Bools


def find_loops(tool_calls: pa.Table, asked: Asked, curve: Curve) -> Loops:
    """
    Compare each call's tool calls with those 1 to 4 calls earlier.

    The same arguments with other results (polling, paging) are no loop. Calls
    without tools, and tools without a hash of their arguments, end a round.
    """
    signatures = _sign(tool_calls, asked, curve)
    period = np.zeros(len(curve.segments.counts), dtype=np.int64)
    wasted = np.zeros(curve.segments.size, dtype=np.bool_)
    for lag in range(1, LONGEST_PERIOD + 1):
        equal, known = _equal_to_earlier(signatures, curve, lag)
        repeats = run_lengths(equal)
        fires = (repeats >= (ROUNDS_UNKNOWN - 1) * lag) | (
            run_lengths(equal & known) >= max(LEAST_REPEATS, (ROUNDS_KNOWN - 1) * lag)
        )
        if not fires.any():
            continue
        owners = np.unique(curve.segments.owner[fires])
        period[owners] = np.where(period[owners] == 0, lag, period[owners])
        looping = _whole_runs(equal, fires)
        wasted |= looping & (repeats > (FREE_ROUNDS - 1) * lag)
    return Loops(period=period, wasted=wasted)


def _whole_runs(holds: Bools, marked: Bools) -> Bools:
    """Return the rows of every unbroken run that has a marked row."""
    run = np.cumsum(~holds)
    hit = np.zeros(int(run[-1]) + 1, dtype=np.bool_)
    hit[run[marked]] = True
    found: Bools = hit[run]
    return found & holds


def _equal_to_earlier(
    signatures: _Signatures, curve: Curve, lag: int
) -> tuple[Bools, Bools]:
    size = curve.segments.size
    equal = np.zeros(size, dtype=np.bool_)
    known = np.zeros(size, dtype=np.bool_)
    same = signatures.hashes[lag:] == signatures.hashes[:-lag]
    same &= signatures.comparable[lag:] & signatures.comparable[:-lag]
    equal[lag:] = same & (curve.segments.place[lag:] >= lag)
    known[lag:] = signatures.known[lag:] & signatures.known[:-lag]
    return equal, known


def _sign(tool_calls: pa.Table, asked: Asked, curve: Curve) -> _Signatures:
    """Add up one 64-bit mix per tool call: equal sets of calls, equal signatures."""
    inside = asked.caller >= 0
    rows = asked.rows[inside]
    caller = asked.caller[inside]
    name, arguments, result = (
        equality_codes(tool_calls.column(column))[rows]
        for column in ("tool_name", "arguments_hash", "result_hash")
    )
    mixed = _mix(
        _mix(_mix(name) ^ arguments.astype(np.uint64)) ^ result.astype(np.uint64)
    )
    size = curve.segments.size
    hashes = np.zeros(size, dtype=np.uint64)
    np.add.at(hashes, caller, mixed)
    comparable = np.zeros(size, dtype=np.bool_)
    comparable[caller] = True
    comparable[caller[arguments < 0]] = False
    known = comparable.copy()
    known[caller[result < 0]] = False
    return _Signatures(hashes=hashes, comparable=comparable, known=known)


def _mix(codes: Ints | NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Finish a 64-bit hash (splitmix64, Steele, Lea and Flood 2014)."""
    mixed = codes.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
