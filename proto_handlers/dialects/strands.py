"""Strands Agents."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Kind, Lie, Usage
from proto_handlers.dialects.otel_genai import OPERATIONS

STRANDS: Final = Dialect(
    name="strands",
    source="https://strandsagents.com/latest/documentation/docs/user-guide/"
    "observability-evaluation/traces, strands-agents 1.62.0: input with the cached "
    "part, the system is the framework, the first token in milliseconds",
    scopes=("strands*",),
    signature=("event_loop.cycle_id",),
    own_keys={"ttft_ms": ("gen_ai.server.time_to_first_token",)},
    kinds=(
        Kind(
            key="gen_ai.operation.name",
            operations=OPERATIONS | {"execute_event_loop_cycle": "agent_step"},
        ),
        Kind(key="event_loop.cycle_id", operations={"*": "agent_step"}),
    ),
    usage=(Usage(input="inclusive"),),
    lies=(
        Lie("gen_ai.system", "strands-agents"),
        Lie("gen_ai.provider.name", "strands-agents"),
    ),
)
