"""
What the demo's agents do, and what that costs, worked out here and nowhere else.

The arithmetic is in integers of pico-USD, with list prices written down by hand: it
shares nothing with the service that it is compared with.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

PROVIDER: Final = "anthropic"
FEATURE_BUDGET: Final = "digest"
BUDGET_NAME: Final = "digest-daily"
BUDGET_USD: Final = "0.25"


class Rates(NamedTuple):
    """Pico-USD per token; a million of them is the price of a million tokens."""

    input: int
    cache_read: int
    output: int


RATES: Final = {
    "claude-sonnet-4-5": Rates(3_000_000, 300_000, 15_000_000),
    "claude-haiku-4-5": Rates(1_000_000, 100_000, 5_000_000),
}
"""List prices, https://claude.com/pricing, read 2026-11-22."""


class Step(NamedTuple):
    """One LLM call; cached tokens are part of ``input_tokens``."""

    input_tokens: int
    cache_read_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent that makes one call per step and uses its tool between two calls."""

    name: str
    feature: str
    model: str
    tool: str
    steps: tuple[Step, ...]

    @property
    def spans(self) -> int:
        """Number of spans of a run: the agent's, its calls and its tool calls."""
        return 2 * len(self.steps)

    def cost(self, step: Step) -> int:
        """Return what a call costs, in pico-USD."""
        rates = RATES[self.model]
        uncached = step.input_tokens - step.cache_read_tokens
        return (
            uncached * rates.input
            + step.cache_read_tokens * rates.cache_read
            + step.output_tokens * rates.output
        )

    @property
    def total_cost(self) -> int:
        """What a run costs, in pico-USD."""
        return sum(self.cost(step) for step in self.steps)


_FIRST_TOKENS: Final = 2_000
GROWTH_TOKENS: Final = 1_510
"""What every step of `GROWING` adds to its context."""

HEALTHY: Final = Agent(
    name="search-agent",
    feature="search",
    model="claude-haiku-4-5",
    tool="search_catalog",
    steps=tuple(
        Step(tokens, 2_000 if number else 0, 180)
        for number, tokens in enumerate(
            (3_000, 3_400, 3_100, 3_500, 3_200, 3_450, 3_150, 3_300)
        )
    ),
)
"""Trims its context: every call is about as large as the one before."""

GROWING: Final = Agent(
    name="triage-agent",
    feature="refund",
    model="claude-sonnet-4-5",
    tool="read_ticket",
    steps=tuple(
        Step(_FIRST_TOKENS + GROWTH_TOKENS * number, 0, 210) for number in range(12)
    ),
)
"""Appends every tool result to its context: input tokens grow with the square."""

SPENDING: Final = Agent(
    name="digest-agent",
    feature=FEATURE_BUDGET,
    model="claude-sonnet-4-5",
    tool="read_report",
    steps=tuple(Step(20_000, 0, 1_000) for _ in range(4)),
)
"""Costs 7.5 cents per call, so that its fourth call crosses the budget."""

AGENTS: Final = (HEALTHY, GROWING, SPENDING)


def resent_tokens(agent: Agent) -> int:
    """Return the history that *agent* sends again: all but a call's own increment."""
    first = agent.steps[0].input_tokens
    return sum(before.input_tokens - first for before in agent.steps[:-1])


def usd(pico_usd: int) -> str:
    """Return an amount as people read it, to a hundredth of a cent."""
    return f"${pico_usd / 1e12:,.4f}"
