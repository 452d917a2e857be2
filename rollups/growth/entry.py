"""What each tool result cost in the first prompt that had it."""

from dataclasses import dataclass

import numpy as np

from rollups.growth.carry import Resent
from rollups.growth.exact import share
from rollups.growth.money import Amounts
from rollups.growth.results import UNKNOWN, Asked, Sizes
from rollups.growth.segments import Bools, Ints


@dataclass(frozen=True, slots=True)
class FirstSent:
    """Tokens and dollars per tool row, in asked order; 0 while no prompt has it."""

    tokens: Ints
    known: Bools
    usd: Amounts


def first_sent(
    resent: Resent, asked: Asked, sizes: Sizes, by_call: Amounts
) -> FirstSent:
    """
    Return what the results that enter a prompt are of what it sent first.

    A result that stands before the first call is in the first prompt. What a prompt
    has no room for was not sent; all that is known to enter it shrinks alike. Shares
    are rounded down: the rest is the answer before, and what nobody told of. How much
    of a first prompt a result without a size is stays unknown.

    Args:
        resent: What each of them sent again, and first.

        asked: Tool rows in asked order.

        sizes: How large their results are.

        by_call: What the tokens sent first cost, per counted call.
    """
    at = np.where(asked.enters >= 0, asked.enters, asked.opening)
    inside = np.flatnonzero(at >= 0)
    at = at[inside]
    early = asked.enters[inside] < 0
    known = sizes.known.copy()
    np.add.at(known, at[early], sizes.tokens[inside][early])
    new, size = resent.new[at], sizes.tokens[inside]
    fits = known[at] <= new
    sent = np.where(fits, size, new * size // np.maximum(known[at], 1))
    tokens = np.zeros(len(asked.rows), dtype=np.int64)
    usd = np.zeros(len(asked.rows), dtype=np.int64)
    priced = np.ones(len(asked.rows), dtype=np.bool_)
    tokens[inside] = sent
    usd[inside] = share(by_call.pico_usd[at], sent, new)[0]
    told = np.ones_like(priced)
    told[inside] = sizes.source[inside] != UNKNOWN
    priced[inside] = by_call.known[at]
    return FirstSent(tokens, told, Amounts(usd, priced & told))
