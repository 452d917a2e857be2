"""Anthropic's SDKs and Claude Code, which trace themselves."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Kind, Usage
from proto_handlers.dialects.otel_genai import GENAI_KIND, OPERATIONS

ANTHROPIC_SDK: Final = Dialect(
    name="anthropic_sdk",
    source="anthropic (Python) 2.12, @anthropic-ai/sdk 0.137: input with the cached "
    "part, the only spans with writes by lifetime; what compaction used comes on top",
    scopes=("com.anthropic.sdk.*",),
    keys={
        "finish_reason": ("anthropic.message.stop_reason",),
        "extra_input_tokens": ("anthropic.usage.compaction.input_tokens",),
        "extra_output_tokens": ("anthropic.usage.compaction.output_tokens",),
    },
    kinds=(GENAI_KIND,),
    usage=(Usage(input="inclusive"),),
)

CLAUDE_CODE: Final = Dialect(
    name="claude_code",
    source="https://code.claude.com/docs/en/monitoring-usage, CLI 2.1.330: plain keys, "
    "input without the cached part",
    scopes=("com.anthropic.claude_code*",),
    own_keys={
        "request_model": ("gen_ai.request.model", "model"),
        "input_tokens": ("input_tokens",),
        "output_tokens": ("output_tokens",),
        "cache_read_tokens": ("cache_read_tokens",),
        "cache_write_tokens": ("cache_creation_tokens",),
        "cache_write_5m_tokens": ("cache_creation_5m_tokens",),
        "cache_write_1h_tokens": ("cache_creation_1h_tokens",),
        "reported_cost": ("cost_usd",),
        "speed": ("speed",),
        "attempt": ("attempt",),
        "ttft_ms": ("ttft_ms",),
        "finish_reason": ("gen_ai.response.finish_reasons", "stop_reason"),
        "response_id": ("gen_ai.response.id", "response_id", "request_id"),
        "tool_name": ("gen_ai.tool.name", "tool_name"),
        "tool_call_id": ("gen_ai.tool.call.id", "tool_use_id"),
        "http_status": ("status_code",),
    },
    kinds=(
        Kind(
            key="span.type",
            operations={
                "llm_request": "chat",
                "interaction": "invoke_agent",
                "tool": "execute_tool",
                "tool.*": "tool_phase",
                "hook": "hook",
            },
        ),
        Kind(key="event.name", operations={"api_request": "chat", "api_error": "chat"}),
        Kind(key="gen_ai.operation.name", operations=OPERATIONS),
    ),
    usage=(Usage(input="exclusive"),),
    log_events=("api_request", "claude_code.api_request"),
    failure_events=("api_error", "claude_code.api_error"),
    content=("user_prompt", "tool_input", "tool_output", "full_command", "new_context"),
)
