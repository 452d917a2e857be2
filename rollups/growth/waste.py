"""What a chain need not have spent: loops, carried jump results, repeated calls."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rollups.growth.carry import Carried, Resent, carry_outside
from rollups.growth.chains import Conversations
from rollups.growth.exact import fits_money
from rollups.growth.loops import Loops
from rollups.growth.money import Amounts, price_whole, tokens_whole
from rollups.growth.results import Asked
from rollups.growth.segments import Floats, Ints, group_sums
from rollups.growth.shape import Steps


@dataclass(frozen=True, slots=True)
class Waste:
    """Avoidable tokens and dollars per chain."""

    tokens: Ints
    usd: Amounts


def measure_waste(
    calls: pa.Table,
    conversations: Conversations,
    steps: Steps,
    resent: Resent,
    asked: Asked,
    carried: Carried,
    carried_usd: Amounts,
    loops: Loops,
) -> Waste:
    """
    Add up what could have been avoided.

    Whole calls of a loop after its second round, whole failed and repeated calls,
    and the tokens sent again, in other calls, of results that made a jump.
    """
    keys, curve = conversations.keys, conversations.curve
    whole = np.concatenate([curve.rows[loops.wasted], conversations.repeat_rows])
    price = price_whole(calls, whole)
    made = np.flatnonzero(np.append(steps.jump, False)[asked.enters])
    enters = asked.enters[made]
    share = np.ones(len(made))
    if len(made) and loops.wasted.any():
        share = carry_outside(curve.segments, resent.keep, loops.wasted)[enters]
    chain = np.concatenate(
        [keys.of_calls[whole], curve.chain[curve.segments.owner[enters]]]
    )
    tokens = np.concatenate(
        [tokens_whole(calls, whole), _part(carried.tokens[made], share)]
    )
    usd = np.concatenate([price.pico_usd, _part(carried_usd.pico_usd[made], share)])
    known = np.concatenate([price.known, carried_usd.known[made]])
    unknown = group_sums((~known).astype(np.int64), chain, keys.chains)
    fits = fits_money(usd, group=chain, groups=keys.chains) & (unknown == 0)
    total = group_sums(usd, chain, keys.chains)
    return Waste(
        tokens=group_sums(tokens, chain, keys.chains),
        usd=Amounts(np.where(fits, total, 0), fits),
    )


def _part(amounts: Ints, share: Floats) -> Ints:
    """Return the share of each amount, rounded; the whole where the share is 1."""
    return np.where(share < 1, np.rint(amounts * share).astype(np.int64), amounts)
