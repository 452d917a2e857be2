"""
Overlays: dated rules that change what lists say.

TOML. Each ``[[price]]`` is a rule; the first of a file whose selectors and time fit a
call counts. A file lies over the catalogs and the files before it, so a discount in it
is taken off their result.

Selectors, any of them absent: ``tenant``, ``feature``, ``provider``, ``model``,
``region``, ``deployment``, ``service_tier``, ``processing``, ``speed``: a glob or a list
of globs, lower case; ``!glob`` fits what is told and does not match. ``provider`` fits
our word for the seller or the name as sent, ``model`` a name as sent or as listed.

Time: ``from`` and ``until`` (half-open, with offset), ``hours``, ``weekdays`` and
``except_days``, the name of a list of days under ``[calendars]``.

``kind`` says what happens:

- ``replace``: own rates, ``usd_per_mtok`` by unit, ``usd_per_1000`` for ``web_search``
  and ``request``, and ``[[price.tiers]]`` with ``above`` or ``at_least`` and rates.
- ``multiply``: ``factor`` for all classes or ``factors`` by class (``tokens`` for all
  but fees), written as ``"93/100"`` or a number. With ``fills_gap`` it only applies
  where the list has no price for the tier asked for.
- ``free``, ``unpriced``, ``subscription`` (at list price, counted apart).
- ``fixed_per_request``: ``usd``, whatever was used.
- ``gpu_hour``: ``usd_per_hour`` and ``tokens_per_hour``; gives an estimate.
"""

import datetime as dt
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any, Final, NamedTuple

from pricing.catalog import MAX_RATE, clock_micros, unix_micros
from pricing.errors import PriceBookError
from pricing.plans import ALWAYS, Entry, Plan, Schedule, narrowed
from pricing.rate_cards import (
    UNITS,
    USAGE_CLASSES,
    Rate,
    RateCard,
    build_card,
    unpriced_card,
)
