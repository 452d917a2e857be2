"""The receipt of a call as text for people."""

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from collector.query.explain import Receipt, RestatedCost
from collector.query.formats import format_table, plain_value, without_empty_columns
from proto_handlers.dialects.spanledger import FOUND_PREFIX

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
        lines += _sum_lines(receipt.lines, receipt.call["cost_usd"])
    if receipt.restated is not None:
        lines += ["", *_again_lines(receipt.restated)]
    for sent in receipt.spans:
        scope = _joined(sent["scope_name"], sent["scope_version"], " ")
        lines += ["", f"span {sent['span_id']} as sent, scope {scope}"]
        lines.append(f"  read as {sent['dialect'] or 'no known dialect'}")
        lines += [
            f"  {key['field']:<22}{_said_by(key['key'])} = {key['value']}"
            for key in sent["keys"]
        ]
    return "\n".join(lines) + "\n"


def _again_lines(restated: RestatedCost) -> list[str]:
    return [
        f"restated by {restated.restatement_id}",
        f"  {'price book':<14}{restated.price_version}",
        f"  {'status':<14}{_said_status(restated.cost_status, restated.cost_reason)}",
        *_sum_lines(restated.lines, restated.cost_usd),
    ]


def _sum_lines(lines: pa.Table, cost_usd: object) -> list[str]:
    """Return what a cost is made of, and the cost."""
    total = f"total {plain_value(cost_usd) or 'unknown'} USD"
    if not lines.num_rows:
        return [total]
    return ["", format_table(without_empty_columns(lines), "table").rstrip(), total]


def _said_status(status: str, reason: str | None) -> str:
    words = [_REASONS.get(word, word) for word in (reason or "").split()]
    why = f" ({reason}: {', '.join(words)})" if words else ""
    return f"{status}: {_STATUS.get(status, status)}{why}"


def _facts(call: Mapping[str, Any]) -> list[str]:
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
        ("status", _said_status(call["cost_status"], call["cost_reason"])),
        ("reported cost", call["reported_cost_usd"]),
    ]
    return [f"  {label:<14}{value}" for label, value in facts if value is not None]


def _said_by(key: str) -> str:
    return "inside a text" if key.startswith(FOUND_PREFIX) else key


def _joined(first: object, second: object, between: str = " / ") -> str | None:
    if first is None:
        return None
    return str(first) if second is None else f"{first}{between}{second}"
