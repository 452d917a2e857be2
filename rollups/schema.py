"""The ledger's tables: one line per column, with its doc in the field."""

from typing import Final

import pyarrow as pa

LEDGER_VERSION: Final = 1

_TEXT: Final = pa.string()
_COUNT: Final = pa.int64()
_TIME: Final = pa.timestamp("us", tz="UTC")
_COST: Final = pa.decimal128(18, 12)
_SUM: Final = pa.decimal128(38, 12)
_RATIO: Final = pa.float64()


def _column(
    name: str, kind: pa.DataType, doc: str, *, null: bool = True
) -> "pa.Field[pa.DataType]":
    return pa.field(name, kind, nullable=null, metadata={"doc": doc})


_TIMESTAMP: Final = _column("timestamp", _TIME, "start, UTC microseconds", null=False)
_TRACE: Final = _column("trace_id", _TEXT, "W3C trace id", null=False)
_SPAN: Final = _column("span_id", _TEXT, "W3C span id", null=False)

_RUN: Final = _column("run_id", _TEXT, "agent run, unique with trace_id", null=False)
_CHAIN: Final = _column("chain_id", _TEXT, "conversation inside the run", null=False)

IDENTITY_FIELDS: Final = (
    _column("tenant", _TEXT, "tenant: bearer token's, else an attribute's"),
    _column("project", _TEXT, "project"),
    _column("environment", _TEXT, "deployment environment"),
    _column("feature", _TEXT, "product feature that made the call"),
    _column("agent_name", _TEXT, "nearest agent"),
    _column("agent_version", _TEXT, "version of the nearest agent"),
    _column("agent_id", _TEXT, "id of the nearest agent"),
    _column("conversation_id", _TEXT, "conversation or session"),
    _column("user_id", _TEXT, "end user"),
    _column("api_key", _TEXT, "name or hash of the API key"),
    _column("prompt_name", _TEXT, "name of the prompt template"),
    _column("prompt_version", _TEXT, "version of the prompt template"),
)
"""Identity: own attribute, else nearest ancestor's, else the resource's."""

_CALL_HEAD: Final = (
    _TIMESTAMP,
    _TRACE,
    _column("span_id", _TEXT, "span that stands for the call", null=False),
    _column("usage_span_id", _TEXT, "span whose counts were taken"),
    _RUN,
    _CHAIN,
    _column("step", pa.int32(), "step of the run, from 0; null outside the loop"),
    _column("step_source", _TEXT, "own, frame or order"),
    _column("attempt", pa.int32(), "attempt at this call, from 1", null=False),
    _column("service_name", _TEXT, "service.name of the resource"),
)

CARRY_FIELDS: Final = (
    _column(
        "new_tokens", _COUNT, "input that the chain sent here first; null off the curve"
    ),
    _column(
        "resent_tokens",
        _COUNT,
        "history sent again; the rest of the input is the chain's first prompt again",
    ),
    _column("resent_usd", _COST, "dollars for history sent again"),
    _column("waste_reason", _TEXT, "why the call bought nothing: failed, repeat, loop"),
)
"""What the growth detector says of a call."""

_CALL_TAIL: Final = (
    _column("feature_source", _TEXT, "where the feature came from"),
    _column("operation", _TEXT, "chat, embeddings, ...", null=False),
    _column("provider", _TEXT, "provider as named by the instrumentation"),
    _column("request_model", _TEXT, "model asked for"),
    _column("response_model", _TEXT, "model that answered"),
    _column("input_tokens", _COUNT, "all input tokens, cached ones included"),
    _column(
        "uncached_input_tokens",
        _COUNT,
        "input minus the known cached parts; at most this much if cost_reason says so",
    ),
    _column("cache_read_tokens", _COUNT, "input tokens read from a cache"),
    _column("cache_write_tokens", _COUNT, "input tokens written to a cache, all"),
    _column("cache_write_5m_tokens", _COUNT, "writes that live five minutes"),
    _column("cache_write_1h_tokens", _COUNT, "writes that live one hour"),
    _column("output_tokens", _COUNT, "output tokens, reasoning included"),
    _column("reasoning_tokens", _COUNT, "output tokens spent on reasoning"),
    _column("input_audio_tokens", _COUNT, "audio tokens inside input"),
    _column("cache_read_audio_tokens", _COUNT, "audio tokens inside cache reads"),
    _column("output_audio_tokens", _COUNT, "audio tokens inside output"),
    _column("input_image_tokens", _COUNT, "image tokens inside input"),
    _column("output_image_tokens", _COUNT, "image tokens inside output"),
    _column("usage_convention", _TEXT, "inclusive, exclusive or inferred_exclusive"),
    _column("cost_usd", _COST, "cost in USD; null if not priced"),
    _column("input_cost_usd", _COST, "part for uncached input"),
    _column("cache_read_cost_usd", _COST, "part for cache reads"),
    _column("cache_write_cost_usd", _COST, "part for cache writes"),
    _column("output_cost_usd", _COST, "part for output"),
    _column("other_cost_usd", _COST, "part for fees and everything else"),
    _column("cost_status", _TEXT, "priced, partial, unpriced, ...", null=False),
    _column("cost_reason", _TEXT, "why not fully priced"),
    _column("reported_cost_usd", _COST, "cost the sender reported"),
    _column("price_provider", _TEXT, "provider of the price row"),
    _column("price_model", _TEXT, "model of the price row"),
    _column("price_match", _TEXT, "exact, alias, prefix or fallback"),
    _column("price_version", _TEXT, "version of the price book used"),
    _column("sampling_weight", _RATIO, "1 / sampling probability", null=False),
    _column("duration_ms", _RATIO, "end minus start in milliseconds", null=False),
    _column("time_to_first_token_ms", _RATIO, "milliseconds to the first token"),
    _column("streaming", pa.bool_(), "whether the answer was streamed"),
    _column("finish_reason", _TEXT, "first finish reason"),
    _column("error_type", _TEXT, "error type of a failed call"),
    _column("response_id", _TEXT, "the provider's id of the response"),
    _column("dialect", _TEXT, "attribute dialect of the counts"),
    _column("input_hash", _TEXT, "hash of the input messages"),
    _column("system_prompt_hash", _TEXT, "hash of the system instructions"),
    _column("system_prompt_bytes", _COUNT, "size of the system instructions"),
    *CARRY_FIELDS,
)

PRICE_INPUT_FIELDS: Final = (
    _column(
        "cache_unknown",
        pa.bool_(),
        "whether the library drops cache counts, so that null is not zero",
    ),
    _column(
        "usage_incomplete",
        pa.bool_(),
        "whether the counts leave out calls that the span made",
    ),
    _column("web_search_requests", _COUNT, "billed web searches"),
    _column("service_tier", _TEXT, "service tier answered with"),
    _column("processing", _TEXT, "batch or realtime"),
    _column("speed", _TEXT, "fast"),
    _column("deployment", _TEXT, "data-zone, provisioned, ..."),
    _column("region", _TEXT, "cloud region"),
)
"""
What a price depends on beside a call's own columns.

Stored, so that a call can be priced again as exactly as it was at first.
"""

ARRIVAL_FIELD: Final = _column(
    "received_unix_nano", pa.int64(), "arrival of the first span", null=False
)
"""Says which price book counts; not stored, for ledgers do not tell when spans came."""

COST_COLUMNS: Final = (
    "cost_usd",
    "input_cost_usd",
    "cache_read_cost_usd",
    "cache_write_cost_usd",
    "output_cost_usd",
    "other_cost_usd",
    "cost_status",
    "cost_reason",
    "price_provider",
    "price_model",
    "price_match",
    "price_version",
)
"""Columns of a call that pricing fills."""

EXCLUDED_SCHEMA: Final = pa.schema(
    [
        _TIMESTAMP,
        _TRACE,
        _SPAN,
        _column("name", _TEXT, "name of the span", null=False),
        _column("scope_name", _TEXT, "instrumentation scope"),
        _column("input_tokens", _COUNT, "input tokens the span repeats"),
        _column("output_tokens", _COUNT, "output tokens the span repeats"),
        _column(
            "reason",
            _TEXT,
            "aggregate, twin, duplicate_response or retransmitted",
            null=False,
        ),
        _column("billed_trace_id", _TEXT, "trace of the span that was billed"),
        _column("billed_span_id", _TEXT, "span that was billed; null if none"),
    ]
)

GROWTH_FIELDS: Final = (
    _column("quadratic", pa.bool_(), "context grows so that input is quadratic"),
    _column("growth_shape", _TEXT, "insufficient, flat, accreting, superlinear, ..."),
    _column("growth_exponent", _RATIO, "exponent of cumulative input tokens"),
    _column("growth_r2", _RATIO, "fit of a line to the organic context"),
    _column("slope_tokens_per_step", _RATIO, "organic growth of the context"),
    _column("jump_steps", pa.list_(pa.int32()), "calls with a jump, from 1"),
    _column("jump_tool", _TEXT, "tool whose result made the largest jump"),
    _column("jump_tokens", _COUNT, "tokens that the largest jump added"),
    _column("is_loop", pa.bool_(), "same tool calls with same results again"),
    _column("loop_period", pa.int32(), "calls per round of the loop"),
    _column("loop_start", pa.int32(), "call of the loop's first round, from 1"),
    _column("loop_rounds", pa.int32(), "most rounds of the loop in a row"),
    _column(
        "too_long",
        pa.bool_(),
        "far more calls than its workflow's chains in the 24 hours before its hour",
    ),
    _column("resent_tokens", _COUNT, "history sent again, in tokens"),
    _column("resent_share", _RATIO, "share of input tokens that is history"),
    _column("excess_tokens", _COUNT, "input beyond the first call's size"),
    _column("waste_tokens", _COUNT, "avoidable tokens"),
    _column("resent_usd", _SUM, "dollars for history sent again"),
    _column("waste_usd", _SUM, "dollars for avoidable tokens"),
    _column("carried_result_tokens", _COUNT, "part of resent_tokens: tool results"),
    _column("carried_output_tokens", _COUNT, "part of resent_tokens: own answers"),
    _column("carried_other_tokens", _COUNT, "part of resent_tokens: unexplained"),
    _column("carried_result_usd", _SUM, "part of resent_usd: tool results"),
    _column("carried_output_usd", _SUM, "part of resent_usd: own answers"),
    _column("carried_other_usd", _SUM, "part of resent_usd: unexplained"),
    _column("severity", _TEXT, "none, info, warning or critical"),
)
"""Verdict on a chain; on a run it is that of its costliest chain."""

_TOOL_HEAD: Final = (
    _TIMESTAMP,
    _TRACE,
    _SPAN,
    _RUN,
    _CHAIN,
    _column("step", pa.int32(), "step of the call that asked for it"),
    _column("tool_name", _TEXT, "name of the tool"),
    _column("tool_type", _TEXT, "tool or retrieval", null=False),
    _column("tool_call_id", _TEXT, "id of the tool call"),
    _column("duration_ms", _RATIO, "end minus start in milliseconds", null=False),
    _column("error_type", _TEXT, "error type of a failed tool call"),
    _column("arguments_hash", _TEXT, "hash of the arguments"),
    _column("result_hash", _TEXT, "hash of the result"),
    _column("result_bytes", _COUNT, "size of the result in bytes"),
    _column("result_tokens", _COUNT, "size of the result in tokens"),
    _column("result_tokens_source", _TEXT, "reported, difference or size"),
    _column("first_sent_tokens", _COUNT, "tokens of it in the first prompt with it"),
    _column("first_sent_usd", _SUM, "dollars for sending it first"),
    _column("carried_tokens", _COUNT, "tokens of the result sent again later"),
    _column("carried_usd", _SUM, "dollars for sending it again"),
    _column("carried_steps", pa.int32(), "later calls that carried it"),
    _column("documents", _COUNT, "documents that a retrieval found"),
    _column("document_bytes", _COUNT, "bytes of their texts together"),
    _column("largest_document_bytes", _COUNT, "bytes of the largest text"),
    _column("median_document_bytes", _COUNT, "bytes of the middle text"),
)

_RUN_HEAD: Final = (
    _TIMESTAMP,
    _TRACE,
    _RUN,
    _column("parent_run_id", _TEXT, "run that started this one"),
    _column("started_by_span_id", _TEXT, "tool span of that run around this one"),
    _column("name", _TEXT, "name of the agent or root span"),
    _column("service_name", _TEXT, "service.name, known before the run's own span"),
)

_RUN_TAIL: Final = (
    _column("calls", _COUNT, "LLM calls made by the run itself", null=False),
    _column("failed_calls", _COUNT, "calls that failed", null=False),
    _column("steps", _COUNT, "distinct steps", null=False),
    _column("input_tokens", _COUNT, "input tokens of own calls"),
    _column("cache_read_tokens", _COUNT, "of these read from a cache"),
    _column("output_tokens", _COUNT, "output tokens of own calls"),
    _column("cost_usd", _SUM, "cost of own calls; null if none has a price"),
    _column("subtree_cost_usd", _SUM, "cost with all sub-runs"),
    _column("coverage", _RATIO, "share of own tokens that have a price"),
    _column("duration_ms", _RATIO, "from first start to last end", null=False),
    _column("closed", pa.bool_(), "whether the run's own span has arrived", null=False),
    _column("error_type", _TEXT, "error type of the run's own span"),
    _column("verdict_chain_id", _TEXT, "costliest chain; the verdict is its"),
    _column("verdict_calls", _COUNT, "successful calls in that chain"),
    *GROWTH_FIELDS,
)

CHAIN_SCHEMA: Final = pa.schema(
    [
        _TIMESTAMP,
        _TRACE,
        _RUN,
        _CHAIN,
        _column("tenant", _TEXT, "tenant of the first call"),
        _column("project", _TEXT, "project of the first call"),
        _column("environment", _TEXT, "deployment environment of the first call"),
        _column("feature", _TEXT, "product feature of the first call"),
        _column("agent_name", _TEXT, "agent of the first call"),
        _column("agent_version", _TEXT, "version of that agent"),
        _column("calls", _COUNT, "successful calls in the chain", null=False),
        _column("first_input_tokens", _COUNT, "input of the first counted call"),
        *GROWTH_FIELDS,
    ]
)

FINDING_SCHEMA: Final = pa.schema(
    [
        _column("timestamp", _TIME, "event time of the finding", null=False),
        _column("rule", _TEXT, "name of the rule", null=False),
        _column("severity", _TEXT, "info, warning or critical", null=False),
        _column("scope", _TEXT, "what it is about, JSON with sorted keys", null=False),
        _column("window_start", _TIME, "start of the window looked at", null=False),
        _column("window_end", _TIME, "end of the window, exclusive", null=False),
        _column("value", _RATIO, "what was observed"),
        _column("threshold", _RATIO, "what it was compared with"),
        _column("run_id", _TEXT, "run it is about, if one"),
        _column("trace_id", _TEXT, "trace it is about, if one"),
        _column("details", _TEXT, "JSON with sorted keys", null=False),
    ]
)

RESTATEMENT_SCHEMA: Final = pa.schema(
    [
        _column("restatement_id", _TEXT, "id of the repricing", null=False),
        _column("known_at", _TIME, "when it was made", null=False),
        _TRACE,
        _SPAN,
        _column("cost_usd", _COST, "restated cost"),
        _column("cost_status", _TEXT, "restated status", null=False),
        _column("cost_reason", _TEXT, "restated reason"),
        _column("price_version", _TEXT, "book used", null=False),
        _column("timestamp", _TIME, "start of the call, UTC microseconds"),
        _column("recorded_cost_usd", _COST, "cost in calls that this one restates"),
        _column("input_cost_usd", _COST, "part for uncached input"),
        _column("cache_read_cost_usd", _COST, "part for cache reads"),
        _column("cache_write_cost_usd", _COST, "part for cache writes"),
        _column("output_cost_usd", _COST, "part for output"),
        _column("other_cost_usd", _COST, "part for fees and everything else"),
        _column("price_provider", _TEXT, "provider of the price row"),
        _column("price_model", _TEXT, "model of the price row"),
        _column("price_match", _TEXT, "exact, alias, prefix or fallback"),
    ]
)


def _dimension_fields(dimensions: tuple[str, ...]) -> "list[pa.Field[pa.DataType]]":
    known = {field.name for field in IDENTITY_FIELDS}
    return [
        _column(name, _TEXT, f"configured dimension {name}")
        for name in dimensions
        if name not in known
    ]


def call_schema(dimensions: tuple[str, ...] = ()) -> pa.Schema:
    """Return the schema of ``calls`` with one column per configured dimension."""
    return pa.schema(
        [
            *_CALL_HEAD,
            *IDENTITY_FIELDS,
            *_dimension_fields(dimensions),
            *_CALL_TAIL,
            *PRICE_INPUT_FIELDS,
        ]
    )


def tool_call_schema(dimensions: tuple[str, ...] = ()) -> pa.Schema:
    """Return the schema of ``tool_calls`` with one column per dimension."""
    return pa.schema([*_TOOL_HEAD, *IDENTITY_FIELDS, *_dimension_fields(dimensions)])


def run_schema(dimensions: tuple[str, ...] = ()) -> pa.Schema:
    """Return the schema of ``runs`` with one column per configured dimension."""
    return pa.schema(
        [*_RUN_HEAD, *IDENTITY_FIELDS, *_dimension_fields(dimensions), *_RUN_TAIL]
    )
