"""The receipt of one call: which tokens, which price row, which sum, and why."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple

import duckdb
import pyarrow as pa

from collector.errors import QueryError, SpanledgerError
from collector.lake.books import Books
from collector.lake.target import open_target
from collector.query.again import asking_again
from collector.query.computed import computed_usd
from collector.query.formats import plain_rows, plain_value
from collector.query.sql import fetch
from collector.query.texts import query_text
from collector.query.views import Lake, open_lake
from pricing import PriceBookError
from pricing.items import Bill, itemise
from proto_handlers.sources import field_sources

_MILLION: Final = 1_000_000

_PARTS: Final = (
    ("uncached input", "uncached_input_tokens", "input_cost_usd"),
    ("cache read", "cache_read_tokens", "cache_read_cost_usd"),
    ("cache write", "cache_write_tokens", "cache_write_cost_usd"),
    ("output", "output_tokens", "output_cost_usd"),
    ("other", None, "other_cost_usd"),
)

LINES_SCHEMA: Final = pa.schema(
    [
        ("item", pa.string()),
        ("tokens", pa.int64()),
        ("usd_per_mtok", pa.decimal128(38, 12)),
        ("number", pa.int64()),
        ("usd_each", pa.decimal128(38, 12)),
        ("cost_usd", pa.decimal128(38, 12)),
    ]
)
"""
A row per product: tokens by a rate per million, or a number of searches or requests by
a fee. Where the book is not there or something else counted, a row per cost column.
"""

_FEES: Final = ("web_search", "request")
_PICO: Final = Decimal("0.000000000001")


class RestatedCost(NamedTuple):
    """What the same call costs by the newest restatement."""

    restatement_id: str
    restated_at: str
    cost_usd: Decimal | None
    cost_status: str
    cost_reason: str | None
    price_version: str
    lines: pa.Table
    """What the cost is made of, in rows of `LINES_SCHEMA`."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        told = self._asdict() | {"cost_usd": plain_value(self.cost_usd)}
        return told | {"lines": plain_rows(self.lines)}


class Receipt(NamedTuple):
    """What is known about the cost of a span."""

    trace_id: str
    span_id: str
    excluded: tuple[Mapping[str, Any], ...]
    """Why the span itself is not billed, if so: rows of ``excluded``."""
    call: Mapping[str, Any] | None
    """The call it stands for, or that was billed in its place; as JSON has it."""
    lines: pa.Table
    """What the cost is made of, in rows of `LINES_SCHEMA`."""
    spans: tuple[Mapping[str, Any], ...] = ()
    """
    The span and the one that the call's counts are from, as they were sent.

    Each has ``span_id``, ``scope_name``, ``scope_version``, ``dialect`` and ``keys``:
    for each field the attribute that told it, with its value.
    """
    input_tokens_above: int | None = None
    """The context tier that set the rates; null for the lowest."""
    computed_cost_usd: Decimal | None = None
    """What the book says where the reported cost counts; null else, or if nothing."""
    restated: RestatedCost | None = None
    """Null if the call was not priced again, or is billed as it was recorded."""

    def document(self) -> dict[str, Any]:
        """Return the receipt as JSON has it."""
        return {
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "counted": self.call is not None and not self.excluded,
            "excluded": [dict(row) for row in self.excluded],
            "call": None if self.call is None else dict(self.call),
            "spans": [dict(row) for row in self.spans],
            "input_tokens_above": self.input_tokens_above,
            "computed_cost_usd": plain_value(self.computed_cost_usd),
            "lines": plain_rows(self.lines),
            "restated": None if self.restated is None else self.restated.document(),
        }


@asking_again
def explain_span(lake: Lake, trace_id: str, span_id: str) -> Receipt:
    """
    Explain what a span cost, or why it is not billed.

    Raises:
        QueryError: The ledger does not know the span.
    """
    trace, span = trace_id.strip().lower(), span_id.strip().lower()
    views = ("calls", "calls_restated", "excluded", "spans")
    with open_lake(lake, needed=views) as connection:
        excluded = _find(connection, "not_billed", trace, span)
        call = _find(connection, "call_receipt", trace, span)
        billed = next(
            (row for row in excluded.to_pylist() if row["billed_span_id"]), None
        )
        if not call.num_rows and billed:
            call = _find(
                connection,
                "call_receipt",
                billed["billed_trace_id"] or trace,
                billed["billed_span_id"],
            )
        sent = _sent(connection, trace, span, call)
        again = _again(connection, call)
    if not call.num_rows and not excluded.num_rows:
        error = QueryError(
            f"span {span} of trace {trace}: no call and nothing excluded"
        )
        error.hint = "spanledger trace shows the spans of a trace"
        raise error
    row = call.to_pylist()[0] if call.num_rows else None
    others = plain_rows(excluded)
    if row is not None and row["span_id"] == span:
        # copies of a span that counts are no reason against it
        others = [other for other in others if other["reason"] != "retransmitted"]
    bill = None if row is None else _bill(lake, call, row)
    return Receipt(
        trace,
        span,
        tuple(others),
        None if row is None else plain_rows(call)[0],
        _lines(row) if bill is None else _products(bill),
        sent,
        None if bill is None else bill.input_tokens_above,
        None if row is None else _computed(lake, call, row),
        _restated(lake, again),
    )


def _again(connection: duckdb.DuckDBPyConnection, call: pa.Table) -> pa.Table:
    """Return the call as restated; no row if it is not."""
    if not call.num_rows:
        return call
    ids = (call.column(name)[0].as_py() for name in ("trace_id", "span_id"))
    return _find(connection, "restated_receipt", *ids)


def _restated(lake: Lake, again: pa.Table) -> RestatedCost | None:
    if not again.num_rows:
        return None
    (row,) = again.to_pylist()
    bill = _bill(lake, again, row)
    told = plain_rows(again)[0] | {
        "cost_usd": row["cost_usd"],
        "lines": _lines(row) if bill is None else _products(bill),
    }
    return RestatedCost(**{name: told[name] for name in RestatedCost._fields})


def _sent(
    connection: duckdb.DuckDBPyConnection, trace: str, span: str, call: pa.Table
) -> tuple[Mapping[str, Any], ...]:
    """Return the asked span and the one that was counted, with the keys used."""
    counted = call.column("usage_span_id")[0].as_py() if call.num_rows else None
    parameters = {"trace_id": trace, "span_id": span, "usage_span_id": counted or span}
    rows = fetch(connection, query_text("sent_spans"), parameters=parameters)
    plain = rows.drop_columns(["attributes"]).to_pylist()
    spans = [{**row, "keys": []} for row in plain]
    for source in field_sources(rows):
        spans[source.row]["keys"].append(
            {"field": source.field, "key": source.key, "value": source.value}
        )
    # Of a span that was sent more than once the copies say the same.
    distinct = {row["span_id"]: row for row in spans}
    return tuple(distinct.values())


def _bill(lake: Lake, call: pa.Table, row: Mapping[str, Any]) -> Bill | None:
    """Return the items of a call, if by its book they are what it cost."""
    if row["cost_usd"] is None or row["cost_status"] in ("reported", "not_billed"):
        return None
    try:
        book = Books(open_target(lake.url)).book(row["price_version"])
    except (KeyError, PriceBookError, SpanledgerError):
        return None
    bill = itemise(call, book)
    return bill if bill.total_pico_usd() * _PICO == row["cost_usd"] else None


def _computed(lake: Lake, call: pa.Table, row: Mapping[str, Any]) -> Decimal | None:
    if row["cost_status"] != "reported":
        return None
    (cost,) = computed_usd(call, Books(open_target(lake.url))).to_pylist()
    return cost


def _products(bill: Bill) -> pa.Table:
    rows = []
    for name, number, pico_usd in bill.items:
        is_fee = name in _FEES
        rate = None if pico_usd is None else pico_usd * (1 if is_fee else _MILLION)
        cost = None if pico_usd is None else pico_usd * number
        rows.append(
            {
                "item": _WORDS.get(name, name.replace("_", " ")),
                "number" if is_fee else "tokens": number,
                "usd_each" if is_fee else "usd_per_mtok": _usd(rate),
                "cost_usd": _usd(cost),
            }
        )
    return pa.Table.from_pylist(rows, schema=LINES_SCHEMA)


_WORDS: Final = {"input": "uncached input"}


def _usd(pico_usd: Fraction | None) -> Decimal | None:
    if pico_usd is None:
        return None
    amount = Decimal(pico_usd.numerator) / Decimal(pico_usd.denominator)
    return _rounded(amount * _PICO)


def _find(
    connection: duckdb.DuckDBPyConnection, name: str, trace: str, span: str
) -> pa.Table:
    parameters: dict[str, object] = {"trace_id": trace, "span_id": span}
    return fetch(connection, query_text(name), parameters=parameters)


def _lines(call: Mapping[str, Any] | None) -> pa.Table:
    rows = []
    for item, count, part in _PARTS if call else ():
        tokens = call[count] if call and count else None
        cost = call[part] if call else None
        if not tokens and not cost:
            continue
        if call and call["cost_status"] == "reported" and not cost:
            cost = None  # the parts of what somebody else worked out are not known
        rate = cost * _MILLION / tokens if tokens and cost is not None else None
        rows.append(
            {
                "item": item,
                "tokens": tokens,
                "usd_per_mtok": None if rate is None else _rounded(rate),
                "cost_usd": cost,
            }
        )
    return pa.Table.from_pylist(rows, schema=LINES_SCHEMA)


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(_PICO)
