"""OpenLIT."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect, Kind, Lie, Usage
from proto_handlers.dialects.otel_genai import GENAI_KIND

_FAILURES_OF_ITS_OWN: Final = (
    "AttributeError|TypeError|KeyError|IndexError|NameError|UnboundLocalError"
)

OPENLIT: Final = Dialect(
    name="openlit",
    source="https://github.com/openlit/openlit 1.45.0: Anthropic's and Bedrock's input "
    "as on the wire, Google's output without thoughts, LangChain's cache writes zero "
    "whatever they are, a cost of zero for models it has no price of. Its wrappers' "
    "own exceptions end spans whose request succeeded. LangGraph's nodes and the "
    "OpenAI Agents SDK's turns call themselves agents; the graph is one",
    scopes=("openlit", "openlit.*"),
    keys={
        "user_id": ("gen_ai.request.user",),
        "environment": ("gen_ai.environment",),
    },
    # A hand-off is told as an agent's span, with the agent that hands off.
    kinds=(Kind(key="gen_ai.agent.source", operations={"*": "handoff"}), GENAI_KIND),
    names={"invoke_agent": "agent_step"},
    usage=(
        Usage(input="exclusive", scope=r"\.(anthropic|bedrock)$"),
        Usage(input="inclusive", scope=r"\.google", excludes_reasoning=True),
        Usage(
            input="inclusive",
            scope=r"\.lang(chain|graph)$",
            zero_is_lost=("cache_write",),
            loses=("cache_write",),
        ),
        Usage(input="inclusive"),
    ),
    lies=(
        Lie("gen_ai.usage.cost", r"0(\.0*)?"),
        Lie("gen_ai.provider.name", "langgraph|langchain|crewai|llamaindex"),
        Lie("error.type", _FAILURES_OF_ITS_OWN),
    ),
)

OPENLIT_LANGGRAPH: Final = Dialect(
    name="openlit_langgraph",
    source="openlit 1.45.0, scope openlit.instrumentation.langgraph",
    scopes=("openlit.instrumentation.langgraph",),
    own_keys={"agent_name": ("gen_ai.workflow.name",)},
    names={"invoke_workflow *": "invoke_agent", "invoke_agent *": "agent_step"},
    usage=(Usage(input="inclusive"),),
    # A node is no agent: what it is called says nothing of who calls.
    lies=(*OPENLIT.lies, Lie("gen_ai.agent.name", ".*"), Lie("gen_ai.agent.id", ".*")),
)
