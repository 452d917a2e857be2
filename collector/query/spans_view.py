"""
The view ``spans`` for queries as articles write them.

``attributes`` is a STRUCT of documented keys. On a call they say what the ledger says:
inclusive input, inherited identity, its cost. On any other span, usage and cost are
null, so that sums count each call once; what was sent stands in ``attribute_map``.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from proto_handlers.schema import SPAN_SCHEMA

_IDENTITY: Final = {
    "app.feature": "feature",
    "app.tenant": "tenant",
    "tenant.id": "tenant",
    "app.project": "project",
    "deployment.environment.name": "environment",
    "user.id": "user_id",
    "enduser.id": "user_id",
    "session.id": "conversation_id",
    "gen_ai.conversation.id": "conversation_id",
    "gen_ai.agent.name": "agent_name",
    "gen_ai.agent.version": "agent_version",
    "gen_ai.agent.id": "agent_id",
    "gen_ai.prompt.name": "prompt_name",
    "gen_ai.prompt.version": "prompt_version",
}
"""Keys that a call may inherit: its ledger column, else the span or its resource."""

_CALL: Final = {
    "gen_ai.operation.name": "operation",
    "gen_ai.provider.name": "provider",
    "gen_ai.system": "provider",
    "gen_ai.request.model": "request_model",
    "gen_ai.response.model": "response_model",
    "gen_ai.response.id": "response_id",
    "gen_ai.response.finish_reason": "finish_reason",
    "error.type": "error_type",
}
"""Keys of a call: its ledger column, else the span."""

_USAGE: Final = {
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cache_read_tokens",
    "gen_ai.usage.cache_read_input_tokens": "cache_read_tokens",
    "gen_ai.usage.cache_write.input_tokens": "cache_write_tokens",
    "gen_ai.usage.cache_creation.input_tokens": "cache_write_tokens",
    "gen_ai.usage.cache_creation_input_tokens": "cache_write_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
    "gen_ai.usage.cost": "cost_usd",
}
"""Keys that only calls have, typed: the ledger's column."""

_SENT: Final = (
    "gen_ai.tool.name",
    "gen_ai.tool.type",
    "gen_ai.tool.call.id",
    "gen_ai.workflow.name",
    "http.route",
    "server.address",
    "service.name",
    "service.version",
)
"""Keys as sent, by the span or its resource."""

_STEP: Final = "gen_ai.agent.step"


def documented_keys(dimensions: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Return the fields of ``attributes``, sorted; *dimensions* by attribute keys."""
    configured = {key for keys in dimensions.values() for key in keys}
    return tuple(sorted({*_IDENTITY, *_CALL, *_USAGE, *_SENT, _STEP, *configured}))


def spans_statement(
    dimensions: Mapping[str, Iterable[str]], call_columns: Collection[str]
) -> str:
    """
    Return the query that the view is made of.

    It reads ``raw.spans``, ``calls`` and ``excluded``. A span that was sent twice
    stands once, in the version that ended last, as in the ledger.

    Args:
        dimensions: Configured dimensions and the attribute keys that feed them.

        call_columns: Columns that ``calls`` has.
    """
    expressions = {key: _sent(key) for key in _SENT}
    expressions |= {key: _own_or_ledger(key, column) for key, column in _CALL.items()}
    expressions |= {key: f"ledger.{column}" for key, column in _USAGE.items()}
    expressions |= {key: _inherited(key, column) for key, column in _IDENTITY.items()}
    expressions[_STEP] = (
        "CASE WHEN ledger.span_id IS NOT NULL THEN ledger.step"
        f" WHEN NOT stored.is_call THEN TRY_CAST({_own(_STEP)} AS INTEGER) END"
    )
    for name, keys in dimensions.items():
        for key in keys:
            expressions[key] = (
                _inherited(key, _quote(name)) if name in call_columns else _sent(key)
            )
    fields = ", ".join(
        f"{_quote(key)} := {expressions[key]}" for key in sorted(expressions)
    )
    columns = ", ".join(
        f"stored.{name}"
        for name in [*SPAN_SCHEMA.names, "date"]
        if name != "attributes"
    )
    return (
        f"SELECT {columns}, struct_pack({fields}) AS attributes,"  # noqa: S608
        " stored.attributes AS attribute_map"
        f" FROM ({_DISTINCT}) AS stored"
        " LEFT JOIN calls AS ledger"
        " ON ledger.trace_id = stored.trace_id AND ledger.span_id = stored.span_id"
    )


# Only spans that the ledger knows to be repeated are put in order: a filter on the
# others reaches the files.
_DISTINCT: Final = """
    SELECT * FROM raw.spans
    ANTI JOIN (SELECT trace_id, span_id FROM excluded WHERE reason = 'retransmitted')
    USING (trace_id, span_id)
    UNION ALL
    SELECT * FROM raw.spans
    SEMI JOIN (SELECT trace_id, span_id FROM excluded WHERE reason = 'retransmitted')
    USING (trace_id, span_id)
    QUALIFY row_number() OVER (
        PARTITION BY trace_id, span_id
        ORDER BY end_unix_nano DESC, received_unix_nano
    ) = 1
"""


def _own(key: str) -> str:
    return f"stored.attributes[{_literal(key)}]"


def _sent(key: str) -> str:
    return f"coalesce({_own(key)}, stored.resource_attributes[{_literal(key)}])"


def _own_or_ledger(key: str, column: str) -> str:
    return (
        f"CASE WHEN ledger.span_id IS NOT NULL THEN ledger.{column}"
        f" ELSE {_own(key)} END"
    )


def _inherited(key: str, column: str) -> str:
    return (
        f"CASE WHEN ledger.span_id IS NOT NULL THEN ledger.{column}"
        f" ELSE {_sent(key)} END"
    )


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
