"""The rate card of each call: resolved once per kind of call, then taken by row."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pricing.book import CallKey, PriceBook
from pricing.money import Mask
from pricing.plans import Plan, Times, choose_entries, only_card
from pricing.rate_cards import RateCard
from pricing.rate_table import Positions, RateTable

Codes = npt.NDArray[np.int64]
Words = list[str | None]
CardTest = Callable[[RateCard], bool]

_MAX_TABLE: Final = 1 << 20
"""Combinations up to which a table is cheaper than hashing."""


@dataclass(frozen=True, slots=True)
class CardsInForce:
    """
    Cards of n calls.

    Attributes:
        cards: The different cards.

        rows: For each call the position of its card.

        table: The rates of the cards.
    """

    cards: tuple[RateCard, ...]
    rows: Positions
    table: RateTable
    _answers: dict[CardTest, Mask] = field(default_factory=dict, repr=False)

    def between(self, start: int, stop: int) -> "CardsInForce":
        """Return those of the calls from *start* to *stop*."""
        return replace(self, rows=self.rows[start:stop])

    def where(self, test: CardTest) -> Mask:
        """Return for which calls *test* holds of the card; cards are asked once."""
        answers = self._answers.get(test)
        if answers is None:
            answers = np.array([test(card) for card in self.cards], np.bool_)
            self._answers[test] = answers
        mask: Mask = answers.take(self.rows, mode="clip")
        return mask


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
    positions: Positions = card_of_key.take(codes, mode="clip")
    if changing:
        _place_changing(positions, codes, times, _Changing(plans, changing, shelf))
    cards = tuple(shelf.cards)
    return CardsInForce(cards, positions, RateTable(cards))


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
    rows = np.flatnonzero(is_changing.take(codes, mode="clip"))
    own = codes[rows].astype(np.min_scalar_type(len(changing.plans)))
    rows = rows[np.argsort(own, kind="stable")]
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
    mixture = _Mixture([{}], (), np.zeros(1, np.int64).repeat(rows))
    for name in fields:
        column = calls.get(name)
        if column is not None and column.null_count < rows:
            mixture = mixture.with_field(name, *_encoded(column))
    mixture = mixture.settled()
    return [CallKey(**key) for key in mixture.keys], mixture.codes


class _Mixture(NamedTuple):
    """
    Combinations of texts as numbers.

    Attributes:
        keys: What the first digit of a number means.

        digits: Names of the further digits, and what each means.

        codes: The number of each call.
    """

    keys: list[dict[str, str]]
    digits: tuple[tuple[str, Words], ...]
    codes: Codes

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return math.prod(len(words) for _, words in self.digits) * len(self.keys)

    def with_field(self, name: str, words: Words, numbers: Codes) -> "_Mixture":
        """Return the combinations with a further text."""
        if self.size == 1:
            return self._replace(digits=((name, words),), codes=numbers)
        mixture = self
        if self.size * len(words) > _MAX_TABLE:
            mixture = self.settled()
        codes = np.multiply(mixture.codes, len(words), dtype=np.int64)
        codes += numbers
        return _Mixture(mixture.keys, (*mixture.digits, (name, words)), codes)

    def settled(self) -> "_Mixture":
        """Return the combinations that occur, numbered from 0."""
        codes, distinct = _renumbered(self.codes, self.size)
        return _Mixture([self._key(int(code)) for code in distinct], (), codes)

    def _key(self, code: int) -> dict[str, str]:
        texts = {}
        for name, words in reversed(self.digits):
            code, digit = divmod(code, len(words))
            word = words[digit]
            if word is not None:
                texts[name] = word
        return self.keys[code] | texts


def _telling_fields(calls: Mapping[str, pa.Array], book: PriceBook) -> list[str]:
    """Return the fields that tell keys of this batch apart."""
    fields = list(book.key_fields)
    asked, answered = calls.get("request_model"), calls.get("response_model")
    # Comparing is a tenth of encoding, and most calls get what they ask for.
    if asked is not None and answered is not None and asked.equals(answered):
        fields.remove("request_model")
    return fields


def _encoded(column: pa.Array) -> tuple[Words, Codes]:
    """Return the different texts of a column, null among them, and each row's."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode("encode")
    words: Words = [*column.dictionary.to_pylist(), None]
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
    return places.take(codes, mode="clip"), distinct
