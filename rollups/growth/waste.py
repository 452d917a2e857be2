"""What a chain need not have spent: loops, carried jump results, repeated calls."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rollups.growth.carry import Carried
from rollups.growth.chains import Conversations
from rollups.growth.exact import fits_money
from rollups.growth.loops import Loops
from rollups.growth.money import Amounts, price_whole, tokens_whole
from rollups.growth.results import Asked
from rollups.growth.segments import Ints, group_sums
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
    asked: Asked,
    carried: Carried,
    carried_usd: Amounts,
    loops: Loops,
) -> Waste:
    """
    Add up what could have been avoided.

    Whole calls of a loop after its second round, whole failed and repeated calls,
    and the tokens sent again of results that made a jump.
    """
    keys, curve = conversations.keys, conversations.curve
    whole = np.concatenate([curve.rows[loops.wasted], conversations.repeat_rows])
    chain_of_whole = keys.of_calls[whole]
    made = (asked.enters >= 0) & steps.jump[np.maximum(asked.enters, 0)]
    chain_of_made = curve.chain[curve.segments.owner[asked.enters[made]]]
    price = price_whole(calls, whole)
    chain = np.concatenate([chain_of_whole, chain_of_made])
    tokens = np.concatenate([tokens_whole(calls, whole), carried.tokens[made]])
    usd = np.concatenate([price.pico_usd, carried_usd.pico_usd[made]])
    known = np.concatenate([price.known, carried_usd.known[made]])
    unknown = group_sums((~known).astype(np.int64), chain, keys.chains)
    fits = fits_money(usd, group=chain, groups=keys.chains) & (unknown == 0)
    total = group_sums(usd, chain, keys.chains)
    return Waste(
        tokens=group_sums(tokens, chain, keys.chains),
        usd=Amounts(np.where(fits, total, 0), fits),
    )
