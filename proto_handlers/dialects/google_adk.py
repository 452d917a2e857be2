"""Google's Agent Development Kit."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Usage
from proto_handlers.dialects.otel_genai import GENAI_KIND

GOOGLE_ADK: Final = Dialect(
    name="google_adk",
    source="https://google.github.io/adk-docs/observability, google-adk 2.13.0",
    scopes=("gcp.vertex.agent",),
    signature=("gcp.vertex.agent.invocation_id",),
    keys={
        "run_key": ("gcp.vertex.agent.invocation_id",),
        "conversation_id": ("gcp.vertex.agent.session_id",),
        "arguments_content": ("gcp.vertex.agent.tool_call_args",),
        "result_content": ("gcp.vertex.agent.tool_response",),
        "input_content": ("gcp.vertex.agent.llm_request",),
    },
    kinds=(GENAI_KIND,),
    # Before 2.0 the call's span was named so and said nothing of its operation.
    names={"call_llm": "chat"},
    usage=(Usage(input="inclusive"),),
    content=(
        "gcp.vertex.agent.llm_request",
        "gcp.vertex.agent.llm_response",
        "gcp.vertex.agent.tool_call_args",
        "gcp.vertex.agent.tool_response",
        "gcp.vertex.agent.data",
    ),
)
