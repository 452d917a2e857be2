"""How bad a chain is: none, info, warning or critical."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from rollups.growth.chains import Conversations
from rollups.growth.columns import fold_codes, text_codes
from rollups.growth.money import Amounts
from rollups.growth.segments import Bools, Floats, Ints

SEVERITIES: Final = ("none", "info", "warning", "critical")
PICO_USD: Final = 10**12

LONG_FACTOR: Final = 1.5
LONG_CALLS: Final = 8
"""A run is too long beyond 1.5 times its workflow's p95, and by 8 calls at least."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Where severities begin; defaults as in the growth rule's documentation."""

    warning_waste_tokens: int = 20_000
    warning_resent_tokens: int = 20_000
    warning_resent_share: float = 0.5
    critical_resent_pico_usd: int = PICO_USD


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Flags:
    """What a severity is made of, one entry per chain."""

    quadratic: Bools
    jumped: Bools
    loop: Bools
    too_long: Bools
    resent_tokens: Ints
    resent_share: Floats
    waste_tokens: Ints
    resent_usd: Amounts


def grade(flags: Flags, limits: Limits) -> Ints:
    """Return the severity of each chain as index into `SEVERITIES`."""
    critical = flags.resent_usd.known & (
        flags.resent_usd.pico_usd >= limits.critical_resent_pico_usd
    )
    warning = flags.loop | flags.too_long
    warning |= flags.waste_tokens >= limits.warning_waste_tokens
    warning |= (flags.resent_share >= limits.warning_resent_share) & (
        flags.resent_tokens >= limits.warning_resent_tokens
    )
    info = flags.quadratic | flags.jumped
    return np.select([critical, warning, info], [3, 2, 1], default=0)


def too_long(
    calls: pa.Table, conversations: Conversations, baselines: pa.Table | None
) -> pa.Array:
    """
    Tell which chains are far longer than their workflow's usual 95th percentile.

    A workflow is an agent name and a feature, as on the chain's first call.
    Null where *baselines* has no row for it.
    """
    chains = conversations.keys.chains
    if baselines is None or not baselines.num_rows or not chains:
        return pa.nulls(chains, pa.bool_())
    first = calls.take(pa.array(conversations.keys.first_rows))
    codes = np.zeros(chains + baselines.num_rows, dtype=np.int64)
    for name in ("agent_name", "feature"):
        parts = text_codes(first.column(name), baselines.column(name))
        codes = fold_codes(codes, np.concatenate(parts))
    usual = np.full(int(codes.max()) + 1, np.nan)
    usual[codes[chains:]] = baselines.column("p95_calls").cast(pa.float64()).to_numpy()
    p95 = usual[codes[:chains]]
    long = conversations.successes > np.maximum(LONG_FACTOR * p95, p95 + LONG_CALLS)
    return pa.array(long, mask=np.isnan(p95))
