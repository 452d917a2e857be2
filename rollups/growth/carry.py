"""The ledger of a chain: what each prompt sent again, and whose tokens those were."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from rollups.growth.chains import Curve
from rollups.growth.exact import apportion
from rollups.growth.results import Asked, Sizes
from rollups.growth.segments import (
    Bools,
    Floats,
    Ints,
    Segments,
    from_counts,
    scan_backward,
    scan_forward,
)

WHOLE_ABOVE_TENTHS: Final = 7
"""History that keeps seven tenths of its size is taken as kept whole: noise."""

_HALF: Final = 0.5
"""An item counts as carried while this share of it lives: two cuts always end it."""

RECENT_CALLS: Final = 8
"""Unexplained tokens are new only beyond the highest level of this many calls."""

SIZES_OFF: Final = 4
"""A size in tokens that was worked out from bytes may be too large by a fourth."""


@dataclass(frozen=True, slots=True)
class Resent:
    """
    What each call sent again, in tokens, and how much of older items survived it.

    Attributes:
        resent: Tokens of history in the prompt beyond the first prompt.

        new: Tokens that the chain sent here first; all of its first prompt. What is
            neither is the first prompt again.

        history: Both, but for the first prompt: what is beyond the first one's size,
            without what fluctuates.

        keep: Share of every older item that is still in this prompt, 0 to 1.

        entered: Share of the known new items that is in this prompt, 0 to 1.
    """

    resent: Ints
    new: Ints
    history: Ints
    keep: Floats
    entered: Floats


@dataclass(frozen=True, slots=True)
class Items:
    """
    All items of each segment: its results in asked order, then answers, then rest.

    Attributes:
        segments: One per segment of the curve.

        results: Where the tool rows are that enter a prompt, in asked order.

        answers: Where the model's own answers are, as one item.

        rest: Where that is which neither results nor answers explain.
    """

    segments: Segments
    results: Ints
    answers: Ints
    rest: Ints


@dataclass(frozen=True, slots=True)
class Carried:
    """
    Tokens sent again, whole numbers that add up to each segment's total.

    Attributes:
        tokens: Per tool row, in asked order.

        calls: For how many later calls at least half of the result lived on.

        items: What the shares belong to.

        shares: Tokens per item.
    """

    tokens: Ints
    calls: Ints
    items: Items
    shares: Ints


def measure_resent(curve: Curve, steady: Ints, sizes: Sizes) -> Resent:
    """
    Split each prompt beyond the first one's size into new and sent again.

    What fluctuates is neither: *steady* is the prompts without it. New is what is
    known to enter, and what the context rose by beyond that, unless it only comes back
    to where it was a few calls before. A prompt that keeps less than seven tenths of
    the history is a cut: every older item shrinks alike.
    """
    segments, known = curve.segments, sizes.known
    first = steady[segments.starts][segments.owner]
    history = np.minimum(np.maximum(steady - first, 0), curve.input_tokens)
    change = steady - segments.previous(steady)
    expected = np.minimum(known, history)
    older = segments.previous(history)
    at_most = history - np.clip(change, expected, history)
    whole = (10 * at_most >= WHOLE_ABOVE_TENTHS * older) & (older > 0)
    risen = _unexplained_rise(segments, change - known, ~whole)
    too_much = _oversized(sizes, known - change)
    fresh = np.where(whole, expected + risen - too_much, np.maximum(change, expected))
    fresh = np.clip(fresh, 0, history)
    resent = history - fresh
    keep = np.where(whole, 1.0, 0.0)
    np.divide(resent, older, out=keep, where=~whole & (older > 0))
    keep[segments.starts] = 0.0
    entered = np.ones(segments.size)
    np.divide(fresh, known, out=entered, where=~whole & (fresh < known))
    opening = curve.input_tokens[segments.starts][segments.owner]
    return Resent(
        resent=resent,
        new=np.where(segments.place > 0, fresh, opening),
        history=history,
        keep=keep,
        entered=entered,
    )


def attribute(curve: Curve, resent: Resent, asked: Asked, sizes: Sizes) -> Carried:
    """
    Charge every token sent again to a result, an answer or to neither.

    Items live on as their prompts keep them; what is left over beyond all known
    items is *other* (user turns, injected context). Scaled so that each segment's
    items add up to what it sent again, to the last token.
    """
    segments = curve.segments
    answers = sizes.answer * resent.entered
    lasting, alive = _lives(segments, resent, sizes.known * resent.entered)
    other = np.maximum(resent.history - alive, 0.0)
    older = np.zeros(segments.size)
    older[1:] = other[:-1]
    older[segments.starts] = 0.0
    inside = np.flatnonzero(asked.enters >= 0)
    at = asked.enters[inside]
    items = _lay_out(len(segments.counts), segments.owner[at])
    weights = np.zeros(items.segments.size)
    weights[items.results] = sizes.tokens[inside] * (resent.entered * lasting)[at]
    weights[items.answers] = segments.totals(answers * lasting)
    weights[items.rest] = segments.totals(np.minimum(older, other))
    shares = apportion(segments.sums(resent.resent), weights, items.segments)
    tokens = np.zeros(len(asked.rows), dtype=np.int64)
    tokens[inside] = shares[items.results]
    calls = np.zeros(len(asked.rows), dtype=np.int64)
    calls[inside] = _half_lives(resent.keep, at)
    return Carried(tokens=tokens, calls=calls, items=items, shares=shares)


def carry_outside(segments: Segments, keep: Floats, wasted: Bools) -> Floats:
    """Return which share of the carry of what enters each call is not in *wasted*."""
    share = np.ones(segments.size)
    inner, rows = segments.select(segments.sums(wasted.astype(np.int64)) > 0)
    whole = scan_backward(inner, keep[rows], np.ones(inner.size))
    free = scan_backward(inner, keep[rows], (~wasted[rows]).astype(np.float64))
    some = whole > 0
    share[rows[some]] = free[some] / whole[some]
    return share


def _lay_out(count: int, owner: Ints) -> Items:
    """Place results, *owner* per result in order, and two more items per segment."""
    inner = from_counts(np.bincount(owner, minlength=count) + 2)
    return Items(
        segments=inner,
        results=np.arange(len(owner)) + 2 * owner,
        answers=inner.lasts - 1,
        rest=inner.lasts,
    )


def _unexplained_rise(segments: Segments, surprise: Ints, cut: Bools) -> Ints:
    """Return how far the unexplained level rose above its recent height."""
    level = segments.running(surprise)
    rows = np.arange(segments.size, dtype=np.int64)
    begins = cut.copy()
    begins[segments.starts] = True
    since = rows - np.maximum.accumulate(np.where(begins, rows, 0))
    height = segments.previous(level)
    for lag in range(2, RECENT_CALLS + 1):
        earlier = np.where(since[lag:] >= lag, level[:-lag], height[lag:])
        np.maximum(height[lag:], earlier, out=height[lag:])
    return np.maximum(level - height, 0)


def _oversized(sizes: Sizes, fallen: Ints) -> Ints:
    """
    Return how much less entered than sizes from bytes say, as far as that may be.

    A deeper fall is no matter of sizes: something was dropped.
    """
    return np.where((fallen > 0) & (SIZES_OFF * fallen <= sizes.measured), fallen, 0)


def _lives(segments: Segments, resent: Resent, enter: Floats) -> tuple[Floats, Floats]:
    """
    Return per call how often what enters is sent again, and what is alive.

    Chains that never lose anything are counted; the others are solved by scans.
    """
    lasting = (segments.counts[segments.owner] - 1 - segments.place).astype(np.float64)
    alive = np.zeros(segments.size)
    lost = ((resent.keep < 1) & (segments.place > 1)) | (resent.entered < 1)
    lossy = segments.sums(lost.astype(np.int64)) > 0
    if lossy.any():
        inner, rows = segments.select(lossy)
        keep = resent.keep[rows]
        lasting[rows] = scan_backward(inner, keep, np.ones(inner.size))
        alive[rows] = scan_forward(inner, keep, enter[rows])
    plain, rows = segments.select(~lossy)
    alive[rows] = plain.running(enter[rows].astype(np.int64))
    return lasting, alive


def _half_lives(keep: Floats, at: Ints) -> Ints:
    cuts = np.flatnonzero(keep < 1)
    next_cut = np.searchsorted(cuts, at, side="right")
    ends = np.append(cuts, [len(keep)] * 2)
    survives = np.append(keep, 0.0)[ends[next_cut]] >= _HALF
    return np.where(survives, ends[next_cut + 1], ends[next_cut]) - 1 - at
