"""Facts of stored calls set otherwise, whole columns at a time."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.lake.books import STORED_FACTS
from collector.repricing.stored import Mask, differ
from collector.repricing.swaps import Swap
from pricing import PriceBook
from pricing.book import CallKey
from pricing.names import guess_seller

CACHED_BEFORE: Final = "cached_before"
READ_LATER: Final = "read_later"
"""Columns of ``whatif_chains.sql``, needed for a cache that is on."""

_OF_SELLER: Final = ("service_tier", "speed", "deployment", "region")
"""Facts in a seller's own words, which say nothing of another's price."""

_CACHE_COUNTS: Final = (
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
)

Facts = dict[str, pa.Array]


def change_facts(
    calls: pa.Table, swaps: Sequence[Swap], book: PriceBook
) -> tuple[pa.Table, Mask]:
    """
    Return calls as the swaps want them, and which became others.

    Swaps apply one after the other; which calls are meant is asked of the calls as they
    were. A cost that was reported is one of the call as it was, so a call that becomes
    another has none.

    Args:
        calls: Stored calls, texts as plain columns.

        swaps: What is to be otherwise.

        book: Says who sells a model.
    """
    facts: Facts = {name: calls.column(name) for name in STORED_FACTS}
    for swap in swaps:
        where = swap.where.fits(calls)
        if where.any():
            _apply(facts, calls, swap, where, book)
    changed = np.zeros(calls.num_rows, np.bool_)
    for name, column in facts.items():
        if column is not calls.column(name):
            changed |= differ(column, calls.column(name))
    if changed.any():
        _set(facts, "reported_cost_usd", None, changed)
    return pa.table(facts), changed


def _apply(
    facts: Facts, calls: pa.Table, swap: Swap, where: Mask, book: PriceBook
) -> None:
    if "provider" in swap.facts:
        other = where & differ_from(facts["provider"], swap.facts["provider"])
        _forget_seller(facts, other)
    elif swap.model is not None:
        _follow_model(facts, swap.model, where, book)
    if swap.model is not None:
        for name in ("request_model", "response_model"):
            _set(facts, name, swap.model, where)
    for name, value in swap.facts.items():
        _set(facts, name, value or None, where)
    if swap.cache == "off":
        _without_cache(facts, where)
    elif swap.cache == "on":
        _with_cache(facts, calls, where)


def differ_from(column: pa.ChunkedArray, word: str) -> Mask:
    """Return where a text is not *word*."""
    same = pc.fill_null(pc.equal(column, word), False)
    mask: Mask = ~same.to_numpy()
    return mask


def _follow_model(facts: Facts, model: str, where: Mask, book: PriceBook) -> None:
    """Let a model that the seller does not have come from who makes it."""
    sellers = pc.unique(facts["provider"].filter(pa.array(where))).to_pylist()
    for seller in sellers:
        maker = _maker(model, seller, book)
        if maker is None:
            continue
        same = pc.is_in(facts["provider"], value_set=pa.array([seller], pa.string()))
        mine = where & same.to_numpy()
        _set(facts, "provider", maker, mine)
        _forget_seller(facts, mine)


def _maker(model: str, seller: str | None, book: PriceBook) -> str | None:
    """Return who sells *model* in place of *seller*, null if that does itself."""
    card = book.plan(CallKey(provider=seller, request_model=model))[-1].card
    if card.match == "fallback":
        return card.provider
    if card.reason == "unknown_model":
        return guess_seller(None, model.lower())
    return None


def _forget_seller(facts: Facts, where: Mask) -> None:
    for name in _OF_SELLER:
        _set(facts, name, None, where)


def _without_cache(facts: Facts, where: Mask) -> None:
    """Bill cached tokens as fresh; what a library hid stays hidden."""
    apart = pc.match_substring(facts["usage_convention"], "exclusive")
    hidden = pc.and_(facts["cache_unknown"], apart)
    where = where & ~pc.fill_null(hidden, False).to_numpy()
    for name in _CACHE_COUNTS:
        _set(facts, name, 0, where & _is_above_zero(facts[name]))
    unknown = pc.fill_null(facts["cache_unknown"], False).to_numpy() & where
    for name in _CACHE_COUNTS[:2]:
        _set(facts, name, 0, unknown)
    _set(facts, "cache_unknown", False, unknown)


def _with_cache(facts: Facts, calls: pa.Table, where: Mask) -> None:
    """Let calls that used no cache read the prompt before theirs and write the rest."""
    before = calls.column(CACHED_BEFORE)
    where = where & pc.is_valid(before).to_numpy()
    for name in _CACHE_COUNTS:
        where &= ~_is_above_zero(facts[name])
    total = pc.fill_null(facts["input_tokens"], 0)
    read = pc.min_element_wise(pc.fill_null(before, 0), total)
    rest = pc.subtract(total, read)
    write = pc.if_else(calls.column(READ_LATER), rest, 0)
    _set(facts, "cache_read_tokens", read, where & _is_above_zero(read))
    _set(facts, "cache_write_tokens", write, where & _is_above_zero(write))


def _is_above_zero(column: pa.ChunkedArray) -> Mask:
    mask: Mask = pc.fill_null(pc.greater(column, 0), False).to_numpy()
    return mask


def _set(facts: Facts, name: str, value: object, where: Mask) -> None:
    if not where.any():
        return
    column = facts[name]
    if not isinstance(value, pa.ChunkedArray):
        value = pa.scalar(value, column.type)
    facts[name] = pc.if_else(pa.array(where), value, column)
