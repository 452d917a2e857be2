"""Microsoft's agent libraries: Agent Framework, Semantic Kernel, AutoGen."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Lie, Usage
from proto_handlers.dialects.otel_genai import GENAI_KIND

AGENT_FRAMEWORK: Final = Dialect(
    name="agent_framework",
    source="https://learn.microsoft.com/agent-framework/user-guide/observability, "
    "core 1.23.0: with the Responses API the conversation is the previous response",
    scopes=("agent_framework*",),
    kinds=(GENAI_KIND,),
    usage=(Usage(input="inclusive"),),
    lies=(
        Lie("gen_ai.conversation.id", "resp_.*"),
        Lie("gen_ai.provider.name", r"microsoft\.agent_framework"),
    ),
)

SEMANTIC_KERNEL: Final = Dialect(
    name="semantic_kernel",
    source="https://learn.microsoft.com/semantic-kernel/concepts/enterprise-readiness/"
    "observability, 1.45.0: no cache counts",
    scopes=("semantic_kernel*", "Microsoft.SemanticKernel*"),
    kinds=(GENAI_KIND,),
    usage=(Usage(input="inclusive", loses=("cache_read", "cache_write")),),
)

AUTOGEN: Final = Dialect(
    name="autogen",
    source="https://microsoft.github.io/autogen/stable/user-guide/"
    "agentchat-user-guide/tracing.html, autogen-core 0.7: agents and tools by the "
    "conventions; calls come from the client's instrumentation",
    scopes=("autogen*",),
    kinds=(GENAI_KIND,),
    lies=(Lie("gen_ai.system", "autogen"), Lie("gen_ai.provider.name", "autogen")),
)
