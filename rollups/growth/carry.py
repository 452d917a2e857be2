"""The ledger of a chain: what each prompt sent again, and whose tokens those were."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from rollups.growth.chains import Curve
from rollups.growth.exact import apportion
from rollups.growth.results import Asked, Sizes
from rollups.growth.segments import Floats, Ints, scan_backward, scan_forward
from rollups.growth.shape import Steps

WHOLE_ABOVE_TENTHS: Final = 7
"""History that keeps seven tenths of its size is taken as kept whole: noise."""

_HALF: Final = 0.5
"""An item counts as carried while this share of it lives: two cuts always end it."""


@dataclass(frozen=True, slots=True)
class Resent:
    """
    What each call sent again, in tokens, and how much of older items survived it.

    Attributes:
        resent: Tokens of history in the prompt beyond the first prompt.

        excess: Tokens beyond the size of the first prompt.

        keep: Share of every older item that is still in this prompt, 0 to 1.

        entered: Share of the known new items that is in this prompt, 0 to 1.

        answer: Tokens of the answer before that enter here.
    """

    resent: Ints
    excess: Ints
    keep: Floats
    entered: Floats
    answer: Ints


@dataclass(frozen=True, slots=True)
class Carried:
    """Tokens sent again per tool row, and per chain those of answers and the rest."""

    tokens: Ints
    calls: Ints
    output: Ints
    other: Ints


def measure_resent(curve: Curve, steps: Steps, sizes: Sizes) -> Resent:
    """Split each prompt beyond the first one's size into new and sent again."""
    segments = curve.segments
    first = curve.input_tokens[segments.starts][segments.owner]
    excess = np.maximum(curve.input_tokens - first, 0)
    answer = segments.previous(curve.output_tokens)
    answer[segments.starts] = 0
    known = answer + sizes.entering
    fresh = np.maximum(steps.change, np.minimum(known, excess))
    fresh = np.clip(fresh, 0, excess)
    resent = excess - fresh
    older = segments.previous(excess)
    whole = (10 * resent >= WHOLE_ABOVE_TENTHS * older) & (older > 0)
    keep = np.ones(segments.size)
    np.divide(resent, older, out=keep, where=~whole & (older > 0))
    keep[older == 0] = 0.0
    keep[segments.starts] = 0.0
    entered = np.ones(segments.size)
    partly = ~whole & (fresh < known)
    np.divide(fresh, known, out=entered, where=partly)
    return Resent(
        resent=resent, excess=excess, keep=keep, entered=entered, answer=answer
    )


def attribute(curve: Curve, resent: Resent, asked: Asked, sizes: Sizes) -> Carried:
    """
    Charge every token sent again to a result, an answer or to neither.

    Items live on as their prompts keep them; what is left over beyond all known
    items is *other* (user turns, injected context). Scaled so that each chain's
    items add up to what it sent again, to the last token.
    """
    segments = curve.segments
    ones = np.ones(segments.size)
    lasting = scan_backward(segments, resent.keep, ones)
    known = (resent.answer + sizes.entering) * resent.entered
    alive = scan_forward(segments, resent.keep, known)
    other = np.maximum(resent.excess - alive, 0.0)
    older = np.zeros(segments.size)
    older[1:] = other[:-1]
    older[segments.starts] = 0.0
    inside = asked.enters >= 0
    at = asked.enters[inside]
    chains = len(segments.counts)
    weights = np.zeros(len(asked.rows))
    weights[inside] = sizes.tokens[inside] * resent.entered[at] * lasting[at]
    output = _sums(segments.owner, resent.answer * resent.entered * lasting, chains)
    rest = _sums(segments.owner, np.minimum(older, other), chains)
    total = segments.sums(resent.resent)
    by_tools = _sums(segments.owner[at], weights[inside], chains)
    rest[(by_tools + output + rest == 0) & (total > 0)] = 1.0
    group = np.concatenate([segments.owner[at], np.arange(chains), np.arange(chains)])
    parts = apportion(total, np.concatenate([weights[inside], output, rest]), group)
    tokens = np.zeros(len(asked.rows), dtype=np.int64)
    tokens[inside] = parts[: len(at)]
    calls = np.zeros(len(asked.rows), dtype=np.int64)
    calls[inside] = _half_lives(curve, resent.keep, at)
    return Carried(
        tokens=tokens,
        calls=calls,
        output=parts[len(at) : len(at) + chains],
        other=parts[len(at) + chains :],
    )


def _sums(group: Ints, values: Floats, groups: int) -> Floats:
    return np.bincount(group, weights=values, minlength=groups).astype(np.float64)


def _half_lives(curve: Curve, keep: Floats, at: Ints) -> Ints:
    """Return for how many later calls at least half of what entered at *at* lived."""
    cuts = np.flatnonzero(keep < 1)
    next_cut = np.searchsorted(cuts, at, side="right")
    ends = np.append(cuts, [curve.segments.size] * 2)
    survives = np.append(keep, 0.0)[ends[next_cut]] >= _HALF
    return np.where(survives, ends[next_cut + 1], ends[next_cut]) - 1 - at
