"""
Recorded agent runs (rows of tests/fixtures/growth) as OTLP spans.

One trace per run, as an instrumented agent sends it: an ``invoke_agent`` root, a child
agent per conversation if there are several, ``chat`` spans with the counts that were
recorded, and ``execute_tool`` spans with arguments and results as text. How many
tokens a result has is not said, only its text, of about as many bytes per token as
code, prose or JSON have; equal results are equal texts.
"""

import bisect
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from growth_rows import START_MICROS
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from otlp_requests import key_values

PROVIDER = "anthropic"
MODEL = "claude-sonnet-4-5"
LEAST_BYTES_PER_TOKEN = 3.0
MORE_BYTES_PER_TOKEN = 1.5
"""A run has 3.0 to 4.5 bytes a token, each of its results a tenth more or less."""

_MILLISECOND = 1_000_000
_STEP_NANO = 10_000_000_000

Step = dict[str, Any]


class Told(NamedTuple):
    """A run as spans, and under which keys its chains are found again."""

    trace_id: str
    spans: list[Span]
    chains: dict[str, str]
    """Name of each recorded chain by the run id that the ledger will give it."""


def told(number: int, run: dict[str, Any], *, steps: bool = True) -> Told:
    """
    Return a recorded run as the spans of one trace, in the order recorded.

    Args:
        number: Makes the ids; a different one for each run.

        run: A row of the recorded runs.

        steps: Whether chat spans say which step they are.
    """
    ids = ((number + 1 << 32) + place for place in range(1, 1 << 20))
    trace_id = (number + 1).to_bytes(16, "big")
    names = sorted({step["c"] or "main" for step in run["steps"]})
    starts = [_start(step) for step in run["steps"]]
    root = _span(
        trace_id,
        next(ids),
        None,
        f"invoke_agent {run.get('agent') or 'agent'}",
        (min(starts), max(starts) + _STEP_NANO),
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": run.get("agent") or "agent",
            "app.feature": run.get("workflow") or run["source"],
        },
    )
    agents = {names[0]: root}
    if len(names) > 1:
        agents = {name: _sub_agent(root, next(ids), name) for name in names}
    spans = []
    sizes: dict[str, int] = {}
    for step, start, end in zip(run["steps"], starts, _ends(run, starts), strict=True):
        parent = agents[step["c"] or "main"]
        spans.append(_chat(parent, next(ids), step, (start, end), steps=steps))
        for place, tool in enumerate(step["t"]):
            when = end + (1 + place) * _MILLISECOND // 8
            attributes = _tool_attributes(run["run_id"], tool, sizes)
            name = f"execute_tool {tool[0]}"
            spans.append(
                _span(
                    trace_id,
                    next(ids),
                    parent,
                    name,
                    (when, when + _MILLISECOND // 16),
                    attributes,
                )
            )
    spans += {id(one): one for one in (*agents.values(), root)}.values()
    chains = {agent.span_id.hex(): name for name, agent in agents.items()}
    return Told(trace_id.hex(), spans, chains)


def told_runs(runs: Iterable[dict[str, Any]], *, steps: bool = True) -> Iterator[Told]:
    """Yield each run as spans; see `told`."""
    for number, run in enumerate(runs):
        yield told(number, run, steps=steps)


def _start(step: Step) -> int:
    if "ts" in step:
        return round(step["ts"] * 1e6) * 1000
    return START_MICROS * 1000 + _STEP_NANO * (step["i"] or 0)


def _ends(run: dict[str, Any], starts: list[int]) -> list[int]:
    """Return when each call ends: after three fifths of the time to its next."""
    by_chain: dict[str | None, list[int]] = {}
    for step, start in zip(run["steps"], starts, strict=True):
        by_chain.setdefault(step["c"], []).append(start)
    for times in by_chain.values():
        times.sort()
    ends = []
    for step, start in zip(run["steps"], starts, strict=True):
        times = by_chain[step["c"]]
        place = bisect.bisect_right(times, start)
        following = times[place] if place < len(times) else start + _STEP_NANO
        ends.append(start + (following - start) * 3 // 5)
    return ends


def _sub_agent(root: Span, number: int, name: str) -> Span:
    return _span(
        root.trace_id,
        number,
        root,
        f"invoke_agent {name}",
        (root.start_time_unix_nano, root.end_time_unix_nano),
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name},
    )


def _chat(
    parent: Span, number: int, step: Step, when: tuple[int, int], *, steps: bool
) -> Span:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": MODEL,
        "gen_ai.usage.input_tokens": step["in"],
        "gen_ai.usage.output_tokens": step["out"],
        "gen_ai.usage.cache_read.input_tokens": step.get("cr"),
        "gen_ai.usage.cache_creation.input_tokens": step.get("cw"),
        "gen_ai.agent.step": step["i"] if steps else None,
    }
    span = _span(parent.trace_id, number, parent, f"chat {MODEL}", when, attributes)
    if step.get("status") == "error":
        span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR))
        span.attributes.extend(key_values({"error.type": "timeout"}))
    return span


def _tool_attributes(
    run_id: str, tool: list[Any], sizes: dict[str, int]
) -> dict[str, Any]:
    name, arguments, tokens, result = tool
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.arguments": f'{{"of": "{arguments}"}}',
        "gen_ai.tool.call.result": None,
    }
    if result is not None and tokens is not None:
        size = sizes.setdefault(result, _size_bytes(run_id, result, tokens))
        attributes["gen_ai.tool.call.result"] = (
            result * (size // max(len(result), 1) + 1)
        )[:size]
    return attributes


def _size_bytes(run_id: str, result: str, tokens: int) -> int:
    of_run = zlib.crc32(run_id.encode()) % 1000 / 1000
    of_result = zlib.crc32(f"{run_id} {result}".encode()) % 1000 / 1000
    per_token = LEAST_BYTES_PER_TOKEN + MORE_BYTES_PER_TOKEN * of_run
    return round(tokens * per_token * (0.9 + 0.2 * of_result))


def _span(
    trace_id: bytes,
    number: int,
    parent: Span | None,
    name: str,
    when: tuple[int, int],
    attributes: dict[str, Any],
) -> Span:
    said = {key: value for key, value in attributes.items() if value is not None}
    return Span(
        trace_id=trace_id,
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.span_id if parent else b"",
        name=name,
        start_time_unix_nano=when[0],
        end_time_unix_nano=when[1],
        attributes=key_values(said),
    )
