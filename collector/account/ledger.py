"""New spans of the lake, and the ledger rows of the whole traces they belong to."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from collector.account.findings import Rules
from collector.account.segments import (
    SPANS,
    Traces,
    response_numbers,
    trace_numbers,
)
from collector.account.store import Store
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


class Absorbed(NamedTuple):
    """What new spans changed."""

    traces: int
    """Traces whose ledger rows were made anew."""
    calls: pa.Table
    """The new rows of ``calls``."""


def absorb(
    store: Store,
    new: pa.Table,
    books: Books,
    rules: Rules,
    dimensions: Dimensions,
    *,
    seen_unix: float,
) -> Absorbed:
    """
    Add new spans to the store and make the ledger rows of their traces anew.

    A trace comes with the traces that share a provider's response id with it: a
    gateway and an SDK that report one call from two traces.

    Args:
        store: Where earlier spans are and rows go; the caller commits it.

        new: Normalised spans that are not in the store.

        books: The price books of the lake.

        rules: Rules about single runs are asked.

        dimensions: Configured dimensions with their keys.

        seen_unix: When the spans were seen.
    """
    touched, spans = _whole_traces(store, new)
    ledger = make_ledger(spans, books, dimensions)
    tables = ledger._asdict()
    findings = rules.about_traces(tables)
    store.put(touched, {SPANS: new, **tables, "findings": findings}, seen_unix)
    return Absorbed(len(touched), ledger.calls)


def _whole_traces(store: Store, new: pa.Table) -> tuple[Traces, pa.Table]:
    touched: Traces = np.unique(trace_numbers(new.column("trace_id")))
    parts = [*store.spans_of(touched), new]
    looked_at = parts
    while True:
        numbers = [response_numbers(part.column("response_id")) for part in looked_at]
        responses: Traces = np.unique(np.concatenate(numbers))
        linked = store.linked(responses[responses != 0])
        more = np.setdiff1d(linked, touched)
        if not len(more):
            return touched, pa.concat_tables(parts)
        looked_at = store.spans_of(more)
        parts += looked_at
        touched = np.union1d(touched, more)
