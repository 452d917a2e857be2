"""New spans of the lake, and the ledger rows of whole traces."""

from collections.abc import Iterable, Mapping
from typing import Final

import pyarrow as pa

from collector.lake.books import Books
from collector.lake.target import Target
from proto_handlers.normalise import normalise
from proto_handlers.schema import WIRE_FIELDS
from rollups.ledger import Ledger, draft_ledger, finish_ledger

_READ: Final = [
    *(field.name for field in WIRE_FIELDS),
    "attributes",
    "resource_attributes",
]

Dimensions = Mapping[str, tuple[str, ...]]


def read_spans(target: Target, keys: Iterable[str], dimensions: Dimensions) -> pa.Table:
    """
    Read spans objects and normalise them.

    Raises:
        LakeError: An object is missing or damaged.
    """
    parts = [normalise(target.read(key, _READ), dimensions) for key in keys]
    return pa.concat_tables(parts) if parts else normalise(_nothing(), dimensions)


def _nothing() -> pa.Table:
    return pa.schema([*WIRE_FIELDS]).empty_table()


def make_ledger(spans: pa.Table, books: Books, dimensions: Dimensions) -> Ledger:
    """
    Turn the spans of whole traces into ledger rows, priced as they were received.

    Args:
        spans: All spans of some traces, normalised; any order, repeats allowed.

        books: The price books of the lake.

        dimensions: Configured dimensions with their keys.
    """
    names = tuple(dimensions)
    draft = draft_ledger(spans, dimensions=names)
    return finish_ledger(draft, books.price(draft.calls), dimensions=names)
