"""How bad a chain is: none, info, warning or critical."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from rollups.growth.money import Amounts
from rollups.growth.segments import Bools, Floats, Ints

SEVERITIES: Final = ("none", "info", "warning", "critical")
PICO_USD: Final = 10**12


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
