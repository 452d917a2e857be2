"""An agent as an app runs it: OpenTelemetry SDK spans through any exporter."""

import time

from agent_runs import CALL_NANO, MODEL, Run, chat_attributes
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def run_agent(exporter, feature: str) -> Run:
    """
    Run an agent of eight steps whose context grows, and export its spans.

    Returns:
        What was run; only its trace and span ids are the SDK's own.
    """
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("app")
    run = Run(time.time_ns() - 10 * CALL_NANO, feature=feature)
    with tracer.start_as_current_span(
        f"invoke_agent {run.agent}", start_time=run.start_unix_nano, end_on_exit=False
    ) as root:
        root.set_attribute("gen_ai.operation.name", "invoke_agent")
        root.set_attribute("gen_ai.agent.name", run.agent)
        root.set_attribute("app.feature", feature)
        start = run.start_unix_nano
        for tokens in run.input_tokens:
            chat = tracer.start_span(
                f"chat {MODEL}",
                start_time=start,
                kind=trace.SpanKind.CLIENT,
                attributes=chat_attributes(tokens),
            )
            start += CALL_NANO
            chat.end(start)
    root.end(start)
    assert provider.force_flush(30_000)
    provider.shutdown()
    return run
