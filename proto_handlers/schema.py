"""The span schema: what decoding and normalising put into columns."""

from typing import Final

import pyarrow as pa

SPAN_SCHEMA_VERSION: Final = 1
LOG_KIND: Final = "LOG"
"""Kind of a row that a log event gave."""

_TEXT: Final = pa.string()
_COUNT: Final = pa.int64()
_MAP: Final = pa.map_(pa.string(), pa.string())
_TIME: Final = pa.timestamp("us", tz="UTC")
_COST: Final = pa.decimal128(18, 12)
_EVENT: Final = pa.struct(
    [("name", _TEXT), ("unix_nano", pa.int64()), ("attributes", _MAP)]
)
_LINK: Final = pa.struct(
    [("trace_id", _TEXT), ("span_id", _TEXT), ("attributes", _MAP)]
)


def _column(
    name: str, kind: pa.DataType, doc: str, *, null: bool = True
) -> "pa.Field[pa.DataType]":
    return pa.field(name, kind, nullable=null, metadata={"doc": doc})


WIRE_FIELDS: Final = (
    _column("timestamp", _TIME, "start of the span, UTC microseconds", null=False),
    _column("start_unix_nano", pa.int64(), "start, UTC nanoseconds", null=False),
    _column("end_unix_nano", pa.int64(), "end, UTC nanoseconds", null=False),
    _column("received_unix_nano", pa.int64(), "arrival, UTC nanoseconds", null=False),
    _column("trace_id", _TEXT, "W3C trace id, 32 lower-case hex digits", null=False),
    _column("span_id", _TEXT, "W3C span id, 16 lower-case hex digits", null=False),
    _column("parent_span_id", _TEXT, "span id of the parent; null on a root"),
    _column("trace_state", _TEXT, "W3C trace state as sent; null if empty"),
    _column("flags", pa.int64(), "W3C trace flags as sent", null=False),
    _column("name", _TEXT, "name of the span as sent", null=False),
    _column(
        "kind",
        _TEXT,
        "UNSPECIFIED, INTERNAL, ..., CONSUMER; LOG for a log event that tells a call",
    ),
    _column("status_code", _TEXT, "UNSET, OK or ERROR", null=False),
    _column("status_message", _TEXT, "status description; null if empty"),
    _column("service_name", _TEXT, "service.name of the resource"),
    _column("environment", _TEXT, "deployment environment of the resource"),
    _column("tenant", _TEXT, "tenant of the bearer token; null without one"),
    _column("scope_name", _TEXT, "name of the instrumentation scope"),
    _column("scope_version", _TEXT, "version of the instrumentation scope"),
)
"""What the wire says, one row per span, in the order received."""

USAGE_FIELDS: Final = (
    _column("dialect", _TEXT, "attribute dialect the span was read with"),
    _column("operation", _TEXT, "gen_ai operation in semantic-convention words"),
    _column("is_call", pa.bool_(), "whether the span is one LLM call", null=False),
    _column("provider", _TEXT, "provider as named by the instrumentation"),
    _column("request_model", _TEXT, "model asked for"),
    _column("response_model", _TEXT, "model that answered"),
    _column("input_tokens", _COUNT, "all input tokens, cached ones included"),
    _column("cache_read_tokens", _COUNT, "input tokens read from a cache"),
    _column("cache_write_tokens", _COUNT, "input tokens written to a cache"),
    _column("output_tokens", _COUNT, "all output tokens, reasoning included"),
    _column("reasoning_tokens", _COUNT, "output tokens spent on reasoning"),
)
"""What normalising found out and the lake keeps; a count not sent is null."""

COST_FIELDS: Final = (
    _column("cost_usd", _COST, "cost of a call in USD; null unless priced"),
    _column("cost_status", _TEXT, "priced, partial, estimated, ... ; null if no call"),
    _column("price_version", _TEXT, "version of the price book used; null if no call"),
)
"""What pricing adds before a span is stored."""

TAIL_FIELDS: Final = (
    _column("attributes", _MAP, "span attributes as text, content dropped", null=False),
    _column("resource_attributes", _MAP, "resource attributes as text", null=False),
    _column("events", pa.list_(_EVENT), "span events", null=False),
    _column("links", pa.list_(_LINK), "span links", null=False),
)

RAW_SCHEMA: Final = pa.schema([*WIRE_FIELDS, *TAIL_FIELDS])
"""A decoded batch before it is normalised."""

SPAN_SCHEMA: Final = pa.schema(
    [*WIRE_FIELDS, *USAGE_FIELDS, *COST_FIELDS, *TAIL_FIELDS],
    metadata={"spanledger.schema": f"spans/{SPAN_SCHEMA_VERSION}"},
)
"""The table ``spans`` of the lake."""

IDENTITY: Final = (
    "tenant",
    "project",
    "environment",
    "feature",
    "agent_name",
    "agent_version",
    "agent_id",
    "conversation_id",
    "user_id",
    "api_key",
    "prompt_name",
    "prompt_version",
)
"""
Identity of a call, inherited from ancestors and resource.

A normalised batch has two columns for each identity and each configured
dimension: ``own_<name>`` (on the span), ``resource_<name>`` (on its resource).
"""

DETAIL_FIELDS: Final = (
    _column("span_role", _TEXT, "call, agent, tool, retrieval, workflow, step or null"),
    _column("has_usage", pa.bool_(), "whether the span has a token count", null=False),
    _column("is_total", pa.bool_(), "counts are sums over children", null=False),
    _column("usage_convention", _TEXT, "inclusive, exclusive or inferred_exclusive"),
    _column(
        "cache_unknown",
        pa.bool_(),
        "whether the library drops cache counts, so that null is not zero",
        null=False,
    ),
    _column(
        "usage_incomplete",
        pa.bool_(),
        "whether the counts leave out calls that the span made",
        null=False,
    ),
    _column("cache_write_5m_tokens", _COUNT, "writes that live five minutes"),
    _column("cache_write_1h_tokens", _COUNT, "writes that live one hour"),
    _column("input_audio_tokens", _COUNT, "audio tokens inside input"),
    _column("cache_read_audio_tokens", _COUNT, "audio tokens inside cache reads"),
    _column("output_audio_tokens", _COUNT, "audio tokens inside output"),
    _column("input_image_tokens", _COUNT, "image tokens inside input"),
    _column("output_image_tokens", _COUNT, "image tokens inside output"),
    _column("web_search_requests", _COUNT, "billed web searches of the call"),
    _column("reported_cost_usd", _COST, "cost the sender reported; null if none"),
    _column("service_tier", _TEXT, "service tier the provider answered with"),
    _column("processing", _TEXT, "batch or realtime, if told"),
    _column("speed", _TEXT, "fast, if told"),
    _column("deployment", _TEXT, "data-zone, provisioned, ..., if told"),
    _column("region", _TEXT, "cloud region told or read from the server address"),
    _column("response_id", _TEXT, "the provider's id of the response"),
    _column("resend_count", _COUNT, "retries made inside the SDK"),
    _column("step", _COUNT, "step the span itself declares"),
    _column("run_key", _TEXT, "run id of the dialect's own"),
    _column("workflow_name", _TEXT, "workflow or function name, a late feature source"),
    _column("http_route", _TEXT, "route of a server span, a late feature source"),
    _column("streaming", pa.bool_(), "whether the answer was streamed"),
    _column("time_to_first_token_ms", pa.float64(), "milliseconds to the first token"),
    _column("finish_reason", _TEXT, "first finish reason"),
    _column("error_type", _TEXT, "error type or HTTP status of a failed span"),
    _column("tool_name", _TEXT, "tool of a tool span"),
    _column("tool_call_id", _TEXT, "id of the tool call"),
    _column("arguments_hash", _TEXT, "hash of the tool call's arguments"),
    _column("result_hash", _TEXT, "hash of the tool call's result"),
    _column("result_bytes", _COUNT, "size of the tool call's result in bytes"),
    _column("result_tokens", _COUNT, "size of the tool call's result, if reported"),
    _column("documents", _COUNT, "documents that a retrieval found"),
    _column("document_bytes", _COUNT, "size of all their texts in bytes"),
    _column("largest_document_bytes", _COUNT, "size of the largest text"),
    _column("median_document_bytes", _COUNT, "size of the middle text"),
    _column("input_hash", _TEXT, "hash of the call's input messages"),
    _column("system_prompt_hash", _TEXT, "hash of the system instructions"),
    _column("system_prompt_bytes", _COUNT, "size of the system instructions in bytes"),
    _column("sampling_weight", pa.float64(), "1 / sampling probability", null=False),
)
"""What only the ledger needs: read again from the stored maps, never stored."""


def normalised_schema(dimensions: tuple[str, ...] = ()) -> pa.Schema:
    """
    Return the schema of a normalised batch.

    Args:
        dimensions: Names of configured dimensions beyond `IDENTITY`, in order.
    """
    names = (*IDENTITY, *(name for name in dimensions if name not in IDENTITY))
    own = [
        _column(f"own_{name}", _TEXT, f"{name} on the span itself") for name in names
    ]
    resource = [
        _column(f"resource_{name}", _TEXT, f"{name} on the resource") for name in names
    ]
    return pa.schema([*WIRE_FIELDS, *USAGE_FIELDS, *DETAIL_FIELDS, *own, *resource])
