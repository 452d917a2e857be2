"""
Agent runs as OTLP requests, with what they cost worked out beside them.

No span carries a cost, and the feature stands on the root only. Costs are integers of
pico-USD; the rates are list prices written down here, not read from the price book.
"""

import itertools
import json
from dataclasses import dataclass, field

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otlp_requests import key_values, request

MODEL = "claude-sonnet-4-5"
INPUT_PICO_USD = 3_000_000
OUTPUT_PICO_USD = 15_000_000
"""Per token: $3 and $15 a million, as https://claude.com/pricing says in 2026-11."""

FIRST_TOKENS = 2_000
GROWTH_TOKENS = 1_500
OUTPUT_TOKENS = 100
CALL_NANO = 1_000_000_000

_numbers = itertools.count(1)


@dataclass
class Run:
    """One run of an agent: a root and one chat span per step."""

    start_unix_nano: int
    feature: str = "refund"
    agent: str = "triage-agent"
    steps: int = 8
    first_tokens: int = FIRST_TOKENS
    growth_tokens: int = GROWTH_TOKENS
    version: str | None = None
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def trace_id(self) -> str:
        return f"{self.number:032x}"

    @property
    def input_tokens(self) -> list[int]:
        return [self.first_tokens + self.growth_tokens * n for n in range(self.steps)]

    @property
    def step_costs(self) -> list[int]:
        output = OUTPUT_TOKENS * OUTPUT_PICO_USD
        return [tokens * INPUT_PICO_USD + output for tokens in self.input_tokens]

    @property
    def cost(self) -> int:
        return sum(self.step_costs)

    @property
    def span_ids(self) -> list[str]:
        return [span.span_id.hex() for span in (self.root(), *self.chats())]

    def span_id(self, place: int) -> bytes:
        return ((self.number << 20) + place + 1).to_bytes(8, "big")

    def root(self) -> Span:
        return Span(
            trace_id=bytes.fromhex(self.trace_id),
            span_id=self.span_id(0),
            name=f"invoke_agent {self.agent}",
            start_time_unix_nano=self.start_unix_nano,
            end_time_unix_nano=self.start_unix_nano + self.steps * CALL_NANO,
            attributes=key_values(
                {
                    "gen_ai.operation.name": "invoke_agent",
                    "gen_ai.agent.name": self.agent,
                    "app.feature": self.feature,
                }
                | ({"gen_ai.agent.version": self.version} if self.version else {})
            ),
        )

    def chats(self) -> list[Span]:
        return [self._chat(step) for step in range(self.steps)]

    def _chat(self, step: int) -> Span:
        start = self.start_unix_nano + step * CALL_NANO
        return Span(
            trace_id=bytes.fromhex(self.trace_id),
            span_id=self.span_id(step + 1),
            parent_span_id=self.span_id(0),
            name=f"chat {MODEL}",
            start_time_unix_nano=start,
            end_time_unix_nano=start + CALL_NANO,
            attributes=key_values(chat_attributes(self.input_tokens[step])),
        )

    def spans(self) -> list[Span]:
        return [self.root(), *self.chats()]


def chat_attributes(input_tokens: int) -> dict[str, str | int]:
    """Return what an instrumentation says of one call."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": MODEL,
        "gen_ai.response.model": MODEL,
        "gen_ai.usage.input_tokens": input_tokens,
        "gen_ai.usage.output_tokens": OUTPUT_TOKENS,
    }


def protobuf_body(spans) -> bytes:
    """Return spans as one request of an app."""
    return _request(spans).SerializeToString()


def json_body(spans) -> bytes:
    """Return spans as one OTLP/JSON request: ids in hex, as the protocol says."""
    document = MessageToDict(_request(spans))
    for resource in document["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for sent, span in zip(scope["spans"], spans, strict=True):
                sent["traceId"] = span.trace_id.hex()
                sent["spanId"] = span.span_id.hex()
                if span.parent_span_id:
                    sent["parentSpanId"] = span.parent_span_id.hex()
    return json.dumps(document).encode()


def _request(spans):
    return request(*spans, scope="app", resource={"service.name": "shop"})
