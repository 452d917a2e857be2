"""What the ledger wants to know beside tokens: ids, tools, times, errors, places."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import Mask
from proto_handlers.columns import Chosen, Count, per_distinct
from proto_handlers.markers import read_markers
from proto_handlers.scalars import (
    FALSE,
    NO_COUNT,
    NO_FLAG,
    NO_NUMBER,
    NO_TEXT,
    TRUE,
    number,
    word,
)
from proto_handlers.schema import COST_FIELDS

_COST: Final = COST_FIELDS[0].type
_REGION: Final = re.compile(
    r"bedrock-runtime\.([a-z0-9-]+)\.amazonaws|([a-z0-9-]+)-aiplatform\.googleapis"
    r"|^([a-z]{2})\.api\.openai"
)
_TEXTS: Final = (
    "service_tier",
    "processing",
    "speed",
    "deployment",
    "response_id",
    "run_key",
    "workflow_name",
    "http_route",
    "tool_name",
    "tool_call_id",
)
_DOCUMENT_FIELDS: Final = (
    "documents",
    "document_bytes",
    "largest_document_bytes",
    "median_document_bytes",
)
_TOOL_ROLES: Final = pa.array(["tool", "retrieval"], pa.string())
_TOOL_NAME: Final = (
    r"^(?:(?:execute_tool|retrieval|running tool:|anthropic\.custom_tool_use) )?"
    r"(.*?)(?:\.(?:tool|run))?$"
)
_OTHER_ERROR: Final = "_OTHER"
_LEAST_ERROR_STATUS: Final = 400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SAMPLING: Final = re.compile(r"(?:^|,)\s*ot=([^,]*)")
_THRESHOLD: Final = re.compile(r"(?:^|;)th:([0-9a-f]{1,14})\s*(?:;|$)")
_POWER: Final = re.compile(r"(?:^|;)p:(\d{1,2})\s*(?:;|$)")
_NEVER_SAMPLED: Final = 63
_SAID_STATUS: Final = re.compile(
    r"\b(?:error|status|http)(?: code)?\W{0,3}([45]\d\d)\b", re.IGNORECASE
)
_NAMESPACE: Final = re.compile(r"[^|:]+:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}(\||$)")
_SAID_TIMEOUT: Final = re.compile(r"\btimed? ?-?out\b", re.IGNORECASE)
_OUTGOING: Final = pa.array(["CLIENT", "PRODUCER"], pa.string())


def details_of(
    chosen: Chosen,
    columns: Mapping[str, pa.Array],
    silenced: Mapping[str, Mask],
) -> dict[str, pa.Array]:
    """
    Return the detail columns that are no token counts; n rows in order.

    Args:
        chosen: What tells each field.

        columns: The wire's columns and ``operation`` and ``span_role``.

        silenced: By key, the spans whose value is not believed.
    """
    read: dict[str, pa.Array] = {name: chosen.text(name) for name in _TEXTS}
    read["run_key"] = per_distinct(read["run_key"], _run_key, pa.string())
    read["workflow_name"] = per_distinct(read["workflow_name"], _only, pa.string())
    read["step"] = chosen.number("step").to_arrow()
    read["resend_count"] = _resends(chosen)
    read["result_tokens"] = chosen.number("result_tokens").to_arrow()
    read["reported_cost_usd"] = chosen.mapped("reported_cost", _money, _COST)
    read["region"] = pc.coalesce(
        chosen.text("region"), chosen.mapped("server_address", _region, pa.string())
    )
    read["http_route"] = _routes(read["http_route"], columns["kind"])
    streaming = chosen.mapped("streaming", _flag, pa.bool_())
    read["finish_reason"] = chosen.mapped("finish_reason", _reason, pa.string())
    read["error_type"] = _errors(chosen, columns, silenced)
    # Some give the whole answer's time as its first token's, if it is not streamed.
    whole = pc.fill_null(pc.equal(streaming, FALSE), FALSE)
    first_token = _first_token(chosen, columns["start_unix_nano"])
    first_token = pc.if_else(whole, NO_NUMBER, first_token)
    # Who measured when the first token came was streaming, but for those that do so
    # whatever the answer (Strands, OpenLIT).
    measured = pc.and_not(
        first_token.is_valid(), pa.array(chosen.is_told("ttft_of_any"))
    )
    came = pc.if_else(measured, TRUE, NO_FLAG)
    read["streaming"] = pc.coalesce(streaming, came)
    read["time_to_first_token_ms"] = first_token
    read["tool_name"] = _tool_names(read["tool_name"], columns)
    read |= _documents(chosen)
    read |= _contents(chosen, columns["span_role"], read["document_bytes"])
    read["sampling_weight"] = pc.fill_null(
        per_distinct(columns["trace_state"], _weight, pa.float64()), number(1.0)
    )
    return read


def _resends(chosen: Chosen) -> pa.Int64Array:
    attempt = chosen.number("attempt")
    again = Count(np.maximum(attempt.value - 1, 0), attempt.known)
    return chosen.number("resend_count").or_else(again).to_arrow()


def _tool_names(
    told: pa.StringArray, columns: Mapping[str, pa.Array]
) -> pa.StringArray:
    """Return the tools' names; a tool that none is told of is named by its span."""
    is_tool = pc.is_in(columns["span_role"], value_set=_TOOL_ROLES)
    nameless = pc.and_(is_tool, told.is_null())
    if not pc.any(nameless).as_py():
        return told
    named = columns["name"].filter(nameless)
    names = pc.replace_substring_regex(named, _TOOL_NAME, r"\1")
    return pc.replace_with_mask(told, nameless, names)


def _money(text: str) -> Decimal | None:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 <= amount < Decimal(10) ** 6:
        return None
    return amount.quantize(Decimal("1e-12"))


def _region(address: str) -> str | None:
    found = _REGION.search(address)
    return next((part for part in found.groups() if part), None) if found else None


def _flag(text: str) -> bool | None:
    return {"true": True, "false": False, "1": True, "0": False}.get(text.lower())


def _reason(text: str) -> str | None:
    """Return the first of a JSON list of reasons, lower case, else the text."""
    if text.startswith(("[", '"')):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text.lower()
        if isinstance(value, list):
            value = value[0] if value else None
        if value is None:
            return None
        text = str(value)
    # Semantic Kernel prints the enum: FinishReason.TOOL_CALLS.
    return text.rpartition("FinishReason.")[2].lower() or None


def _run_key(text: str) -> str | None:
    """Return the graph that a LangGraph namespace is a node of; null in the whole."""
    if _NAMESPACE.match(text):
        return text.rpartition("|")[0] or None
    return text


def _only(text: str) -> str | None:
    """Return the one item of a JSON list, null of several; else the text."""
    if not text.startswith("["):
        return text
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(items, list):
        return text
    return items[0] if len(items) == 1 and isinstance(items[0], str) else None


def _routes(told: pa.StringArray, kinds: pa.StringArray) -> pa.StringArray:
    """Return the routes that were served; Anthropic's SDK names the one it calls."""
    if told.null_count == len(told):
        return told
    called = pc.fill_null(pc.is_in(kinds, value_set=_OUTGOING), FALSE)
    return pc.if_else(called, NO_TEXT, told)


def _errors(
    chosen: Chosen, columns: Mapping[str, pa.Array], silenced: Mapping[str, Mask]
) -> pa.StringArray:
    """
    Return why spans failed; null where they did not.

    An HTTP status or a timeout that only the description says, as ``Error code: 429``,
    is read there. A failure that is the instrumentation's own is none of the call.
    """
    said = chosen.text("error_type")
    failed = pc.equal(columns["status_code"], word("ERROR"))
    failed = failed.to_numpy(zero_copy_only=False)
    codes = chosen.number("http_status")
    refused = codes.known & (codes.value >= _LEAST_ERROR_STATUS)
    own = silenced.get("error.type")
    if own is not None:
        failed &= ~own
        said = pc.if_else(pa.array(own), NO_TEXT, said)
    if not (failed | refused).any():
        return said
    unsaid = said.is_null().to_numpy(zero_copy_only=False)
    by_status = codes.to_arrow().cast(pa.string())
    said = pc.if_else(pa.array(unsaid & refused), by_status, said)
    nameless = pa.array(unsaid & failed & ~refused)
    described = pc.if_else(nameless, columns["status_message"], NO_TEXT)
    described = per_distinct(described, _said_status, pa.string())
    return pc.if_else(nameless, pc.fill_null(described, word(_OTHER_ERROR)), said)


def _said_status(description: str) -> str | None:
    found = _SAID_STATUS.search(description)
    if found:
        return found.group(1)
    return "timeout" if _SAID_TIMEOUT.search(description) else None


def _first_token(chosen: Chosen, start: pa.Int64Array) -> pa.DoubleArray:
    seconds = chosen.mapped("ttft_seconds", _number, pa.float64())
    milliseconds = chosen.mapped("ttft_ms", _number, pa.float64())
    told = pc.coalesce(milliseconds, pc.multiply(seconds, number(1000.0)))
    if not chosen.is_told("first_token_time").any():
        return told
    arrived = chosen.mapped("first_token_time", _unix_nano, pa.int64())
    passed = pc.divide(pc.subtract(arrived, start).cast(pa.float64()), number(1e6))
    passed = pc.if_else(pc.greater_equal(passed, number(0.0)), passed, NO_NUMBER)
    return pc.coalesce(told, passed)


def _unix_nano(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None or not 1970 < moment.year < 2262:
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e9 else None


def _documents(chosen: Chosen) -> dict[str, pa.Array]:
    """Return how many documents were found and how large they are, mostly null."""
    if not any(name in chosen.places for name in _DOCUMENT_FIELDS):
        return dict.fromkeys(
            _DOCUMENT_FIELDS, pa.nulls(chosen.attributes.owners, pa.int64())
        )
    return {name: chosen.number(name).to_arrow() for name in _DOCUMENT_FIELDS}


def _contents(
    chosen: Chosen, roles: pa.StringArray, document_bytes: pa.Int64Array
) -> dict[str, pa.Array]:
    tool = pc.fill_null(pc.is_in(roles, value_set=_TOOL_ROLES), FALSE)
    call = pc.fill_null(pc.equal(roles, word("call")), FALSE)
    _, arguments = read_markers(chosen, "arguments_content")
    result_bytes, result = read_markers(chosen, "result_content")
    _, sent = read_markers(chosen, "input_content")
    system_bytes, system = read_markers(chosen, "system_content")
    return {
        "arguments_hash": pc.if_else(tool, arguments, NO_TEXT),
        "result_hash": pc.if_else(tool, result, NO_TEXT),
        # What is beside the texts of documents hardly reaches a prompt.
        "result_bytes": pc.if_else(
            tool, pc.coalesce(document_bytes, result_bytes), NO_COUNT
        ),
        "input_hash": pc.if_else(call, sent, NO_TEXT),
        "system_prompt_hash": system,
        "system_prompt_bytes": system_bytes,
    }


def _weight(trace_state: str) -> float | None:
    """
    Return the weight of a head-sampled span, null if trace state does not say it.

    By its rejection threshold; else by the exponent that samplers gave before
    (https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling).
    """
    told = _SAMPLING.search(trace_state)
    if not told:
        return None
    if found := _THRESHOLD.search(told.group(1)):
        rejected = int(found.group(1).ljust(14, "0"), 16)
        return 2**56 / (2**56 - rejected) if rejected < 2**56 else None
    if found := _POWER.search(told.group(1)):
        exponent = int(found.group(1))
        return 0.0 if exponent >= _NEVER_SAMPLED else float(2**exponent)
    return None
