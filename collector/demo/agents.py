"""The demo's agents as any instrumented app: plain OpenTelemetry SDK, OTLP/HTTP."""

import json
import time
from typing import Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from collector.demo.errors import DemoError
from collector.demo.workload import AGENTS, PROVIDER, Agent, Step

PROMPT: Final = "customer 4711 writes: where is my refund?"
"""Stands in every call's messages and must not reach the lake."""

_CALL_NANO: Final = 1_400_000_000
_TOOL_NANO: Final = 300_000_000
_HOUR_NANO: Final = 3_600 * 10**9
_FLUSH_MILLISECONDS: Final = 20_000


def run_agents(http_address: str) -> dict[str, str]:
    """
    Run all agents and send their spans; return when the service has them.

    Args:
        http_address: ``host:port`` of the OTLP/HTTP receiver.

    Returns:
        The trace id of each agent's run.

    Raises:
        DemoError: The service did not acknowledge the spans.
    """
    exporter = OTLPSpanExporter(f"http://{http_address}/v1/traces")
    provider = TracerProvider(
        resource=Resource(
            {"service.name": "demo", "deployment.environment.name": "demo"}
        )
    )
    # One batch at the end: the spans of a run then arrive together.
    provider.add_span_processor(
        BatchSpanProcessor(exporter, schedule_delay_millis=3_600_000)
    )
    tracer = provider.get_tracer("demo")
    start = _start_unix_nano()
    traces = {agent.name: _run(tracer, agent, start) for agent in AGENTS}
    is_sent = provider.force_flush(_FLUSH_MILLISECONDS)
    provider.shutdown()
    if not is_sent:
        message = "the service did not acknowledge the spans"
        raise DemoError(message)
    return traces


def _start_unix_nano() -> int:
    # All runs lie in one UTC hour, so that no rollup or budget is split.
    longest = max(len(agent.steps) for agent in AGENTS) * (_CALL_NANO + _TOOL_NANO)
    now = time.time_ns()
    hour_start = now - now % _HOUR_NANO
    end = now if now - longest > hour_start else hour_start - 1
    return end - longest


def _run(tracer: trace.Tracer, agent: Agent, start: int) -> str:
    root = tracer.start_span(
        f"invoke_agent {agent.name}",
        start_time=start,
        attributes={
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": agent.name,
            "app.feature": agent.feature,
        },
    )
    within = trace.set_span_in_context(root)
    moment = start
    for number, step in enumerate(agent.steps):
        if number:
            attributes = _tool_attributes(agent, number)
            tool = tracer.start_span(
                f"execute_tool {agent.tool}", within, start_time=moment
            )
            tool.set_attributes(attributes)
            moment += _TOOL_NANO
            tool.end(moment)
        call = tracer.start_span(f"chat {agent.model}", within, start_time=moment)
        call.set_attributes(_call_attributes(agent, number, step))
        moment += _CALL_NANO
        call.end(moment)
    root.end(moment)
    return trace.format_trace_id(root.get_span_context().trace_id)


def _call_attributes(agent: Agent, number: int, step: Step) -> dict[str, str | int]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": agent.model,
        "gen_ai.response.model": agent.model,
        "gen_ai.response.id": f"msg_{agent.feature}_{number}",
        "gen_ai.usage.input_tokens": step.input_tokens,
        "gen_ai.usage.cache_read.input_tokens": step.cache_read_tokens,
        "gen_ai.usage.output_tokens": step.output_tokens,
        "gen_ai.input.messages": json.dumps(
            [{"role": "user", "parts": [{"type": "text", "content": PROMPT}]}]
        ),
    }


def _tool_attributes(agent: Agent, number: int) -> dict[str, str]:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": agent.tool,
        "gen_ai.tool.call.id": f"call_{agent.feature}_{number}",
        "gen_ai.tool.call.arguments": json.dumps({"number": number}),
        "gen_ai.tool.call.result": f"{PROMPT} (part {number})",
    }
