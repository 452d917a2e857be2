"""Loops: rounds of the same tool calls with the same results."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from rollups.growth.chains import Curve
from rollups.growth.columns import equality_codes, integers
from rollups.growth.results import Asked
from rollups.growth.segments import Bools, Ints, prefix_sums, run_lengths

LONGEST_PERIOD: Final = 4
LEAST_REPEATS: Final = 3
ROUNDS_KNOWN: Final = 3
ROUNDS_UNKNOWN: Final = 6
"""
Rounds that make a loop, when results are known and when only arguments are.

One call alone must come back three times: twice is what a careful agent does.
"""

SHORT_PERIOD: Final = 2
"""The third round of more calls than this is clear before its last call."""

FREE_ROUNDS: Final = 2
"""Rounds before a loop's calls count as wasted."""


@dataclass(frozen=True, slots=True)
class Loops:
    """
    Loops of each segment, by their shortest period.

    Attributes:
        period: Calls per round; 0 where there is no loop.

        first: Row of the first call of the first round; -1 where there is no loop.

        rounds: Most rounds in a row, of which the last may lack its last call as
            above; 0 where there is no loop.

        wasted: The calls that a loop has wasted.
    """

    period: Ints
    first: Ints
    rounds: Ints
    wasted: Bools


@dataclass(frozen=True, slots=True)
class _Signatures:
    hashes: Ints
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
    first = np.full_like(period, -1)
    rounds = np.zeros_like(period)
    wasted = np.zeros(curve.segments.size, dtype=np.bool_)
    for lag in range(1, LONGEST_PERIOD + 1):
        equal, known = _equal_to_earlier(signatures, curve, lag)
        repeats = run_lengths(equal)
        fires = (repeats >= (ROUNDS_UNKNOWN - 1) * lag) | (
            run_lengths(equal & known) >= _least_repeats(lag)
        )
        if not fires.any():
            continue
        looping = _whole_runs(equal, fires)
        wasted |= looping & (repeats > (FREE_ROUNDS - 1) * lag)
        rows = np.flatnonzero(looping)
        owner = curve.segments.owner[rows]
        rows, owner = rows[period[owner] == 0], owner[period[owner] == 0]
        first[owner[::-1]] = rows[::-1] - lag
        begun = repeats[rows] + (lag > SHORT_PERIOD)
        np.maximum.at(rounds, owner, begun // lag + 1)
        period[owner] = lag
    return Loops(period=period, first=first, rounds=rounds, wasted=wasted)


def _least_repeats(period: int) -> int:
    """Return how many calls in a row must be known to repeat earlier ones."""
    whole = (ROUNDS_KNOWN - 1) * period
    return max(LEAST_REPEATS, whole - (period > SHORT_PERIOD))


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
    """
    Add up one 64-bit mix per tool call: equal sets of calls, equal signatures.

    Hashes are read only where tools and sizes already look like those of a call
    before: text is what costs.
    """
    size = curve.segments.size
    tools = np.flatnonzero(asked.caller >= 0)
    name = equality_codes(tool_calls.column("tool_name"))[asked.rows[tools]]
    rough = _mix(name)
    for column in ("result_bytes", "result_tokens"):
        rough = _mix(rough ^ integers(tool_calls, column, null=-1)[asked.rows[tools]])
    alike = _like_earlier(curve, _added(rough, asked.caller[tools], size))
    near = np.flatnonzero(alike[asked.caller[tools]])
    name, tools = name[near], tools[near]
    caller = asked.caller[tools]
    rows = tool_calls.select(("arguments_hash", "result_hash")).take(asked.rows[tools])
    arguments = equality_codes(rows.column("arguments_hash"))
    result = equality_codes(rows.column("result_hash"))
    mixed = _mix(_mix(_mix(name) ^ arguments) ^ result)
    comparable = np.zeros(size, dtype=np.bool_)
    comparable[caller] = True
    comparable[caller[arguments < 0]] = False
    known = comparable.copy()
    known[caller[result < 0]] = False
    hashes = _added(mixed, caller, size)
    return _Signatures(hashes=hashes, comparable=comparable, known=known)


def _like_earlier(curve: Curve, rough: Ints) -> Bools:
    """Tell which calls look like one 1 to 4 calls before or after them."""
    alike = np.zeros(curve.segments.size, dtype=np.bool_)
    for lag in range(1, LONGEST_PERIOD + 1):
        same = (rough[lag:] == rough[:-lag]) & (rough[lag:] != 0)
        same &= curve.segments.place[lag:] >= lag
        alike[lag:] |= same
        alike[:-lag] |= same
    return alike


def _added(mixed: Ints, caller: Ints, size: int) -> Ints:
    """Return sums per call modulo 2**64; callers come in order."""
    prefix = prefix_sums(mixed)
    counts = np.bincount(caller, minlength=size)
    ends = np.cumsum(counts)
    sums: Ints = prefix[ends] - prefix[ends - counts]
    return sums


def _mix(codes: Ints) -> Ints:
    """Finish a 64-bit hash (splitmix64, Steele, Lea and Flood 2014)."""
    mixed = codes.view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))).view(np.int64)
