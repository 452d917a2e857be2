"""
Whole traces to ledger rows: what was called, by whom, in which run and step.

Knows which spans are one call, whose they are and how runs nest. Knows no prices, no
attributes, no storage: the caller normalises spans before and prices calls between
`draft_ledger` and `finish_ledger`. Pure: equal spans give equal tables, whatever their
order, however often they are repeated.
"""

from rollups.ledger.build import Draft, Ledger, draft_ledger, finish_ledger
from rollups.ledger.repriced import reprice_ledger
from rollups.ledger.spans import REQUIRED_FIELDS, required_fields

__all__ = [
    "REQUIRED_FIELDS",
    "Draft",
    "Ledger",
    "draft_ledger",
    "finish_ledger",
    "reprice_ledger",
    "required_fields",
]
