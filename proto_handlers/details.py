"""What the ledger wants to know beside tokens: ids, tools, times, errors, places."""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.columns import Chosen, per_distinct, whole_numbers
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
_MARKER: Final = r"^bytes=(?P<bytes>\d+)(?:;hash=(?P<hash>[0-9a-f]{32}))?$"
_THRESHOLD: Final = re.compile(r"(?:^|,)ot=(?:[^,]*;)?th:([0-9a-f]{1,14})(?:[;,]|$)")


def details_of(
    chosen: Chosen, spans: pa.Table, columns: dict[str, pa.Array]
) -> dict[str, pa.Array]:
    """Return the detail columns that are no token counts; n rows in order."""
    read: dict[str, pa.Array] = {name: chosen.text(name) for name in _TEXTS}
    read["step"] = chosen.number("step").to_arrow()
    read["resend_count"] = chosen.number("resend_count").to_arrow()
    read["result_tokens"] = chosen.number("result_tokens").to_arrow()
    read["reported_cost_usd"] = chosen.mapped("reported_cost", _money, _COST)
    read["region"] = pc.coalesce(
        chosen.text("region"), chosen.mapped("server_address", _region, pa.string())
    )
    read["streaming"] = chosen.mapped("streaming", _flag, pa.bool_())
    read["finish_reason"] = chosen.mapped("finish_reason", _first, pa.string())
    read["error_type"] = _errors(chosen.text("error_type"), spans)
    read["time_to_first_token_ms"] = _first_token(chosen)
    read |= _contents(chosen, columns)
    read["sampling_weight"] = pc.fill_null(
        per_distinct(
            spans.column("trace_state").combine_chunks(), _weight, pa.float64()
        ),
        1.0,
    )
    return read


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


def _first(text: str) -> str | None:
    """First of a JSON list of reasons, else the text."""
    if not text.startswith(("[", '"')):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, list):
        value = value[0] if value else None
    return None if value is None else str(value)


def _errors(said: pa.StringArray, spans: pa.Table) -> pa.StringArray:
    failed = pc.equal(spans.column("status_code").combine_chunks(), "ERROR")
    return pc.if_else(pc.and_(failed, said.is_null()), "error", said)


def _first_token(chosen: Chosen) -> pa.DoubleArray:
    seconds = chosen.mapped("ttft_seconds", _number, pa.float64())
    milliseconds = chosen.mapped("ttft_ms", _number, pa.float64())
    return pc.coalesce(milliseconds, pc.multiply(seconds, 1000.0))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e9 else None


def _contents(chosen: Chosen, columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    tool = pc.is_in(
        columns["operation"], value_set=pa.array(["execute_tool", "retrieval"])
    )
    call = pc.invert(tool)
    nothing = pa.scalar(None, pa.string())
    none = pa.scalar(None, pa.int64())
    _, arguments = _marked(chosen, "arguments_content")
    result_bytes, result = _marked(chosen, "result_content")
    _, sent = _marked(chosen, "input_content")
    system_bytes, system = _marked(chosen, "system_content")
    return {
        "arguments_hash": pc.if_else(tool, arguments, nothing),
        "result_hash": pc.if_else(tool, result, nothing),
        "result_bytes": pc.if_else(tool, result_bytes, none),
        "input_hash": pc.if_else(call, sent, nothing),
        "system_prompt_hash": system,
        "system_prompt_bytes": system_bytes,
    }


def _marked(chosen: Chosen, name: str) -> tuple[pa.Array, pa.Array]:
    texts = chosen.text(name)
    size = len(texts)
    if texts.null_count == size:
        return pa.nulls(size, pa.int64()), pa.nulls(size, pa.string())
    parts = pc.extract_regex(texts, pattern=_MARKER)
    numbers, right = whole_numbers(parts.field("bytes"))
    hashes = parts.field("hash")
    empty = pc.equal(pc.binary_length(hashes), 0)
    hashes = pc.if_else(empty, pa.scalar(None, pa.string()), hashes)
    return pa.array(numbers, mask=~right), hashes


def _weight(trace_state: str) -> float | None:
    """Weight of a head-sampled span by its OpenTelemetry rejection threshold."""
    found = _THRESHOLD.search(trace_state)
    if not found:
        return None
    rejected = int(found.group(1).ljust(14, "0"), 16)
    return 2**56 / (2**56 - rejected) if rejected < 2**56 else None
