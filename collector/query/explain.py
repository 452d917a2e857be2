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
from collector.query.formats import (
    format_table,
    plain_rows,
    plain_value,
    without_empty_columns,
)
from collector.query.sql import fetch
from collector.query.texts import query_text
from collector.query.views import Lake, open_lake
from pricing import PriceBookError
from pricing.items import Bill, itemise
from proto_handlers.dialects.spanledger import FOUND_PREFIX
from proto_handlers.sources import field_sources

_MILLION: Final = 1_000_000

_PARTS: Final = (
    ("uncached input", "uncached_input_tokens", "input_cost_usd"),
    ("cache read", "cache_read_tokens", "cache_read_cost_usd"),
    ("cache write", "cache_write_tokens", "cache_write_cost_usd"),
    ("output", "output_tokens", "output_cost_usd"),
    ("other", None, "other_cost_usd"),
)

_STATUS: Final = {
    "priced": "priced from the book",
    "partial": "only partly priced",
    "estimated": "estimated",
    "reported": "as reported by the sender",
    "subscription": "at list price; a subscription covers it",
    "free": "free of charge",
    "not_billed": "a failed attempt that nobody bills",
    "unpriced": "not priced: the cost is unknown, not zero",
}

_EXCLUDED: Final = {
    "aggregate": "its counts sum up or repeat those of other spans",
    "twin": "another span is the same call",
    "duplicate_response": "the same response was billed elsewhere",
    "retransmitted": "it was sent more than once; one copy counts",
}

_REASONS: Final = {
    "cache_unknown": "the library does not say what was cached",
    "usage_incomplete": "the counts leave out calls that it made",
    "no_usage": "no token counts were sent",
    "unknown_model": "no price list has the model",
    "lower_bound": "it cost at least that",
    "upper_bound": "it cost at most that",
}
"""Words of a reason for people; others stand for themselves."""

_CONVENTIONS: Final = {
    "inclusive": "sent with the cached ones",
    "exclusive": "sent without the cached ones",
    "inferred_exclusive": "sent without the cached ones, as there are more of those",
}

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
        }


@asking_again
def explain_span(lake: Lake, trace_id: str, span_id: str) -> Receipt:
    """
    Explain what a span cost, or why it is not billed.

    Raises:
        QueryError: The ledger does not know the span.
    """
    trace, span = trace_id.strip().lower(), span_id.strip().lower()
    with open_lake(lake, needed=("calls", "excluded", "spans")) as connection:
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
    )


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


def draw_receipt(receipt: Receipt) -> str:
    """Return the receipt as text for people."""
    lines = [f"span {receipt.span_id} of trace {receipt.trace_id}"]
    for other in receipt.excluded:
        reason = str(other["reason"])
        lines.append(f"  not billed: {reason}: {_EXCLUDED.get(reason, reason)}")
        if other["billed_span_id"]:
            trace = other["billed_trace_id"] or receipt.trace_id
            first = "calls, the first " if reason == "aggregate" else ""
            lines.append(
                f"  billed instead: {first}span {other['billed_span_id']} of {trace}"
            )
    if receipt.call is not None:
        lines += _facts(receipt.call)
        if receipt.computed_cost_usd is not None:
            lines.append(f"  {'computed cost':<14}{receipt.computed_cost_usd}")
        if receipt.input_tokens_above is not None:
            above = f"{receipt.input_tokens_above:,}"
            lines.append(f"  {'price tier':<14}above {above} tokens of input")
        if receipt.lines.num_rows:
            shown = without_empty_columns(receipt.lines)
            lines += ["", format_table(shown, "table").rstrip()]
        lines.append(f"total {plain_value(receipt.call['cost_usd']) or 'unknown'} USD")
    for sent in receipt.spans:
        scope = _joined(sent["scope_name"], sent["scope_version"], " ")
        lines += ["", f"span {sent['span_id']} as sent, scope {scope}"]
        lines.append(f"  read as {sent['dialect'] or 'no known dialect'}")
        lines += [
            f"  {key['field']:<22}{_said_by(key['key'])} = {key['value']}"
            for key in sent["keys"]
        ]
    return "\n".join(lines) + "\n"


def _facts(call: Mapping[str, Any]) -> list[str]:
    status = str(call["cost_status"])
    reason = str(call["cost_reason"] or "")
    words = [_REASONS.get(word, word) for word in reason.split()]
    why = f" ({reason}: {', '.join(words)})" if words else ""
    convention = _CONVENTIONS.get(str(call["usage_convention"]))
    facts = [
        ("call", f"{call['operation']} at {call['timestamp']}, span {call['span_id']}"),
        ("counts from", call["usage_span_id"]),
        ("asked for", _joined(call["provider"], call["request_model"])),
        ("answered by", call["response_model"]),
        ("feature", _joined(call["feature"], call["feature_source"], ", from ")),
        ("agent", call["agent_name"]),
        ("run, step", _joined(call["run_id"], call["step"], ", step ")),
        ("failed with", call["error_type"]),
        ("attempt", call["attempt"] if call["attempt"] != 1 else None),
        ("input tokens", _joined(call["input_tokens"], convention, ", ")),
        ("price row", _joined(call["price_provider"], call["price_model"])),
        ("matched by", call["price_match"]),
        ("price book", call["price_version"]),
        ("status", f"{status}: {_STATUS.get(status, status)}{why}"),
        ("reported cost", call["reported_cost_usd"]),
    ]
    return [f"  {label:<14}{value}" for label, value in facts if value is not None]


def _said_by(key: str) -> str:
    return "inside a text" if key.startswith(FOUND_PREFIX) else key


def _joined(first: object, second: object, between: str = " / ") -> str | None:
    if first is None:
        return None
    return str(first) if second is None else f"{first}{between}{second}"
