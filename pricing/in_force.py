"""The rate card of each call: resolved once per kind of call, then taken by row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pricing.book import CallKey, PriceBook
from pricing.plans import Plan, Times, choose_entries, only_card
from pricing.rate_cards import RateCard

Codes = npt.NDArray[np.int64]
Positions = npt.NDArray[np.intp]

_MAX_TABLE: Final = 1 << 20
"""Combinations up to which a table is cheaper than hashing."""


@dataclass(frozen=True, slots=True)
class CardsInForce:
    """
    Cards of n calls.

    Attributes:
        cards: The different cards.

        rows: For each call the position of its card.
    """

    cards: tuple[RateCard, ...]
    rows: Positions


def cards_in_force(
    calls: Mapping[str, pa.Array], rows: int, book: PriceBook
) -> CardsInForce:
    """
    Return the card of each of *rows* calls at its ``timestamp``.

    A call without a timestamp is priced as of the day the list was read.
    """
    keys, codes = _distinct_keys(calls, rows, _telling_fields(calls, book))
    times = _unix_micros(calls.get("timestamp"), rows, book.newest_micros)
    first, last = int(times.min()), int(times.max())
    plans = [book.plan(key) for key in keys]
    shelf = _Shelf()
    card_of_key = np.empty(len(keys), np.intp)
    changing = []
    for code, plan in enumerate(plans):
        card = only_card(plan, first, last)
        if card is None:
            changing.append(code)
        card_of_key[code] = shelf.put(card or plan[-1].card)
    positions: Positions = card_of_key.take(codes)
    if changing:
        _place_changing(positions, codes, times, _Changing(plans, changing, shelf))
    return CardsInForce(tuple(shelf.cards), positions)


class _Shelf:
    """Cards by identity, in the order they came."""

    def __init__(self) -> None:
        self.cards: list[RateCard] = []
        self._positions: dict[int, int] = {}

    def put(self, card: RateCard) -> int:
        position = self._positions.setdefault(id(card), len(self.cards))
        if position == len(self.cards):
            self.cards.append(card)
        return position


@dataclass(frozen=True, slots=True)
class _Changing:
    """Keys whose card changes within the batch."""

    plans: Sequence[Plan]
    codes: Sequence[int]
    shelf: _Shelf


def _place_changing(
    positions: Positions, codes: Codes, times: Times, changing: _Changing
) -> None:
    is_changing = np.zeros(len(changing.plans), np.bool_)
    is_changing[changing.codes] = True
    rows = np.flatnonzero(is_changing.take(codes))
    rows = rows[np.argsort(codes[rows], kind="stable")]
    edges = np.searchsorted(codes[rows], [*changing.codes, len(changing.plans)])
    for code, start, end in zip(changing.codes, edges[:-1], edges[1:], strict=True):
        plan, mine = changing.plans[code], rows[start:end]
        shelved = np.array([changing.shelf.put(entry.card) for entry in plan], np.intp)
        positions[mine] = shelved[choose_entries(plan, times[mine])]


def _unix_micros(column: pa.Array | None, rows: int, default: int) -> Times:
    if column is None:
        return np.full(rows, default, np.int64)
    if pa.types.is_timestamp(column.type):
        column = pc.cast(column, pa.timestamp("us", column.type.tz), safe=False)
    column = pc.cast(column, pa.int64())
    if column.null_count:
        column = column.fill_null(default)
    micros: Times = column.to_numpy()
    return micros


def _distinct_keys(
    calls: Mapping[str, pa.Array], rows: int, fields: Sequence[str]
) -> tuple[list[CallKey], Codes]:
    """Return the different keys, and for each call the position of its key."""
    codes = np.zeros(rows, np.int64)
    keys: list[dict[str, str]] = [{}]
    for name in fields:
        column = calls.get(name)
        if column is None or column.null_count == rows:
            continue
        words, numbers = _encoded(column)
        radix = len(words)
        if len(keys) > 1:
            numbers = codes * radix + numbers
        codes, distinct = _renumbered(numbers, len(keys) * radix)
        pairs = [divmod(int(code), radix) for code in distinct]
        keys = [_with(keys[key], name, words[word]) for key, word in pairs]
    return [CallKey(**key) for key in keys], codes


def _telling_fields(calls: Mapping[str, pa.Array], book: PriceBook) -> list[str]:
    """Return the fields that tell keys of this batch apart."""
    fields = list(book.key_fields)
    asked, answered = calls.get("request_model"), calls.get("response_model")
    if asked is not None and answered is not None and asked.type == answered.type:
        # Comparing is a quarter of encoding, and most calls get what they ask for.
        same = pc.equal(asked, answered)
        if not same.null_count and pc.all(same).as_py():
            fields.remove("request_model")
    return fields


def _with(key: dict[str, str], name: str, word: str | None) -> dict[str, str]:
    return key if word is None else {**key, name: word}


def _encoded(column: pa.Array) -> tuple[list[str | None], Codes]:
    """Return the different texts of a column, null among them, and each row's."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    words: list[str | None] = [*column.dictionary.to_pylist(), None]
    numbers = column.indices
    if numbers.null_count:
        numbers = numbers.fill_null(len(words) - 1)
    return words, numbers.to_numpy()


def _renumbered(codes: Codes, size: int) -> tuple[Codes, Codes]:
    """Return *codes* below *size* as positions among the different ones, and those."""
    if size > _MAX_TABLE:
        encoded = pa.array(codes).dictionary_encode()
        return encoded.indices.to_numpy(), encoded.dictionary.to_numpy()
    seen = np.zeros(size, np.bool_)
    seen[codes] = True
    distinct = np.flatnonzero(seen)
    places = np.empty(size, np.int64)
    places[distinct] = np.arange(len(distinct))
    return places.take(codes), distinct
