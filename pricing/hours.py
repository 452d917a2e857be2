"""
Hours of machines: what they cost, shared over the tokens they served.

Such a call has no price by itself. Once its hour is over and all calls of it are
known, each token has the same share, and the shares add up to the hour's cost.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pricing.amounts import PARTS
from pricing.book import PriceBook
from pricing.in_force import cards_in_force
from pricing.money import CostColumn, Mask, Pico
from pricing.rate_cards import HOUR_OPEN

_MAX_SQUARED: Final = 3_037_000_499
"""Largest number whose square fits an int64."""

_SHARED: Final = {"input_cost_usd": "input_tokens", "output_cost_usd": "output_tokens"}
"""Where each share goes, and the tokens it is for."""


def share_hour(calls: pa.Table, costs: pa.Table, book: PriceBook) -> pa.Table:
    """
    Return *costs* with the cost of machines by the hour shared out.

    Args:
        calls: All calls of one hour that is over, as `pricing.price_calls` takes them.
            Their order decides which call has a pico-USD that cannot be divided.

        costs: What they cost by *book*, with the columns of `pricing.COST_SCHEMA`.

        book: Prices by model and date.

    Returns:
        The same rows in the same order. A call that waits for its hour and tells any
        tokens is ``estimated``; a row of the book that served none shares nothing.
    """
    waits = _is(costs, "cost_status", "unpriced") & _is(costs, "cost_reason", HOUR_OPEN)
    if not waits.any():
        return costs
    columns = {name: calls[name].combine_chunks() for name in calls.column_names}
    tokens = np.column_stack(
        [_tokens(columns, name, len(waits)) for name in _SHARED.values()]
    )
    waits &= tokens.any(axis=1)
    in_force = cards_in_force(columns, len(waits), book)
    shares = np.zeros_like(tokens)
    for hour in dict.fromkeys(card.hour for card in in_force.cards if card.hour):
        served = np.array([card.hour == hour for card in in_force.cards], np.bool_)
        rows = np.flatnonzero(waits & served.take(in_force.rows))
        if len(rows):
            divided = divide(hour.pico_usd, tokens[rows].ravel())
            shares[rows] = divided.reshape(-1, len(_SHARED))
    return _with_shares(costs, shares, waits)


def divide(pico_usd: int, tokens: npt.NDArray[np.int64]) -> Pico:
    """
    Divide a cost over *tokens*, exactly in sum.

    The cost of the first k numbers is their part of the whole, rounded down, and each
    number has what it adds to that: less than a pico-USD beside its exact part.

    Args:
        pico_usd: From 0 to `pricing.money.MAX_PICO`.

        tokens: Numbers from 0 on, not all of them 0.
    """
    numbers = tokens
    if tokens.sum(dtype=np.float64) > _MAX_SQUARED // 2:
        numbers = tokens.astype(object)
    upto = np.cumsum(numbers)
    total = int(upto[-1])
    each, rest = divmod(pico_usd, total)
    ends = each * upto + rest * upto // total
    return np.diff(ends, prepend=0).astype(np.int64)


def _is(costs: pa.Table, name: str, word: str) -> Mask:
    mask: Mask = pc.fill_null(pc.equal(costs[name], word), False).to_numpy()
    return mask.copy()


def _tokens(
    columns: dict[str, pa.Array], name: str, rows: int
) -> npt.NDArray[np.int64]:
    column = columns.get(name)
    if column is None:
        return np.zeros(rows, np.int64)
    return np.asarray(pc.fill_null(pc.cast(column, pa.int64()), 0))


def _with_shares(costs: pa.Table, shares: Pico, where: Mask) -> pa.Table:
    shared = dict(zip(_SHARED, shares.T, strict=True))
    nothing = np.zeros(len(where), np.int64)
    new = {"cost_usd": shares.sum(axis=1)}
    new |= {name: shared.get(name, nothing) for name in PARTS}
    chosen = pa.array(where)
    for name, pico in new.items():
        column = CostColumn(len(where))
        column.put(0, pico, len(where))
        costs = _set(costs, name, pc.if_else(chosen, column.finish(None), costs[name]))
    for name, word in (("cost_status", "estimated"), ("cost_reason", None)):
        before = costs[name].cast(pa.string())
        after = pc.if_else(chosen, pa.scalar(word, pa.string()), before)
        costs = _set(costs, name, after.dictionary_encode())
    return costs


def _set(costs: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    place = costs.schema.get_field_index(name)
    return costs.set_column(place, costs.schema.field(place), column)
