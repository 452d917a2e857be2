"""What the cost of one call is made of: each thing used, its rate and their product."""

from fractions import Fraction
from typing import NamedTuple

import pyarrow as pa

from pricing.book import PriceBook
from pricing.compute import INPUT_FIELDS
from pricing.in_force import cards_in_force
from pricing.rate_cards import MISSING, USAGE_CLASSES
from pricing.usage import read_counts, split_usage


class Item(NamedTuple):
    """
    One product of a bill.

    Attributes:
        usage_class: One of `USAGE_CLASSES`.

        number: How many were used; a request is one.

        pico_usd: Rate of one, all rules applied; null if the book has none.
    """

    usage_class: str
    number: int
    pico_usd: Fraction | None


class Bill(NamedTuple):
    """The items of one call, and the context tier that set their rates."""

    items: list[Item]
    input_tokens_above: int | None

    def total_pico_usd(self) -> int:
        """Return the sum of the products, rounded once, half to even."""
        products = (item.number * (item.pico_usd or 0) for item in self.items)
        return round(sum(products, Fraction(0)))


def itemise(call: pa.Table, book: PriceBook) -> Bill:
    """
    Return what `price_calls` multiplies for one call.

    Args:
        call: One row with any of `INPUT_FIELDS`.

        book: The book it was priced with.
    """
    known = call.select([name for name in INPUT_FIELDS if name in call.column_names])
    (batch,) = known.combine_chunks().to_batches()
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    in_force = cards_in_force(columns, 1, book)
    card = in_force.cards[int(in_force.rows[0])]
    usage = split_usage(read_counts(columns, 1))
    tokens = int(usage.input_tokens[0])
    tier = sum(tokens > above for above in card.above)
    items = []
    for name, rate in zip(USAGE_CLASSES, card.rates[tier], strict=True):
        number = int(usage.classes[name][0]) if name in usage.classes else 0
        if name == "request":
            number = int(rate > 0)
        if number:
            price = None if rate == MISSING else Fraction(rate, card.divisor)
            items.append(Item(name, number, price))
    return Bill(items, card.above[tier - 1] if tier else None)
