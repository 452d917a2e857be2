"""Whether every number is what the workload's own arithmetic says."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple

from collector.demo.endpoint import Webhook
from collector.demo.lake import Seen
from collector.demo.workload import (
    AGENTS,
    BUDGET_NAME,
    GROWING,
    GROWTH_TOKENS,
    RATES,
    Agent,
    resent_tokens,
)

GROWTH: Final = "run.context_growth"
BUDGET: Final = "budget.threshold_crossed"
_PICO: Final = Decimal(10) ** 12


class Check(NamedTuple):
    """One number: where it stands, what it must be and what it is."""

    place: str
    expected: object
    found: object

    @property
    def is_right(self) -> bool:
        """Whether it is what it must be."""
        return self.expected == self.found


def check_all(
    seen: Seen, webhooks: list[Webhook], traces: dict[str, str]
) -> list[Check]:
    """
    Compare what the service says with the workload.

    Args:
        seen: What the lake has.

        webhooks: What the endpoint received.

        traces: The trace id of each agent's run.
    """
    return [
        *_check_features(seen),
        *_check_steps(seen),
        *_check_traces(seen, traces),
        *_check_verdicts(seen),
        *_check_prompts(seen),
        *_check_webhooks(webhooks, traces),
    ]


def pico_usd(amount: Decimal | None) -> int | None:
    """Return an amount of the lake in pico-USD; null if it is unknown."""
    return None if amount is None else int(amount * _PICO)


def _check_features(seen: Seen) -> Iterator[Check]:
    found = {row["feature"]: row for row in seen.features}
    yield Check("features", {a.feature for a in AGENTS}, set(found))
    for agent in AGENTS:
        row = found.get(agent.feature, {})
        place = f"feature {agent.feature}"
        yield Check(f"{place}: calls", len(agent.steps), row.get("calls"))
        for column in ("input_tokens", "cache_read_tokens", "output_tokens"):
            total = sum(getattr(step, column) for step in agent.steps)
            yield Check(f"{place}: {column}", total, row.get(column))
        cost = pico_usd(row.get("cost_usd"))
        yield Check(f"{place}: cost in pico-USD", agent.total_cost, cost)


def _check_steps(seen: Seen) -> Iterator[Check]:
    found = {(row["agent_name"], row["step"]): row for row in seen.steps}
    expected = {(a.name, n): s for a in AGENTS for n, s in enumerate(a.steps)}
    yield Check("steps", set(expected), set(found))
    for agent in AGENTS:
        for number, step in enumerate(agent.steps):
            row = found.get((agent.name, number), {})
            place = f"{agent.name} step {number}"
            yield Check(
                f"{place}: input_tokens", step.input_tokens, row.get("input_tokens")
            )
            cost = pico_usd(row.get("cost_usd"))
            yield Check(f"{place}: cost in pico-USD", agent.cost(step), cost)


def _check_traces(seen: Seen, traces: dict[str, str]) -> Iterator[Check]:
    found = {row["trace_id"]: row for row in seen.traces}
    yield Check("traces", set(traces.values()), set(found))
    for agent in AGENTS:
        row = found.get(traces[agent.name], {})
        cost = pico_usd(row.get("cost_usd"))
        yield Check(f"trace of {agent.name}: calls", len(agent.steps), row.get("calls"))
        yield Check(f"trace of {agent.name}: cost in pico-USD", agent.total_cost, cost)


def _check_verdicts(seen: Seen) -> Iterator[Check]:
    found = {row["agent_name"]: row for row in seen.verdicts}
    for agent in AGENTS:
        row = found.get(agent.name, {})
        is_growing = agent is GROWING
        yield Check(f"{agent.name}: quadratic", is_growing, row.get("quadratic"))
        if is_growing:
            yield from _check_growth(agent, row)


def _check_growth(agent: Agent, row: dict[str, Any]) -> Iterator[Check]:
    # A context that grows by the same amount with every step has exponent 2 exactly.
    exponent = round(row.get("growth_exponent") or 0.0, 9)
    slope = round(row.get("slope_tokens_per_step") or 0.0, 6)
    resent = resent_tokens(agent)
    yield Check(f"{agent.name}: growth exponent", 2.0, exponent)
    yield Check(f"{agent.name}: slope", float(GROWTH_TOKENS), slope)
    yield Check(f"{agent.name}: resent tokens", resent, row.get("resent_tokens"))
    yield Check(
        f"{agent.name}: resent cost in pico-USD",
        resent * RATES[agent.model].input,
        pico_usd(row.get("resent_usd")),
    )


def _check_prompts(seen: Seen) -> Iterator[Check]:
    row = seen.prompts[0]
    yield Check("spans stored", sum(a.spans for a in AGENTS), row["spans"])
    yield Check("spans with a prompt in them", 0, row["with_prompt"])


def _check_webhooks(webhooks: list[Webhook], traces: dict[str, str]) -> Iterator[Check]:
    yield Check(
        "webhooks without a good signature", 0, sum(not w.is_signed for w in webhooks)
    )
    types = sorted(str(webhook.body.get("type")) for webhook in webhooks)
    yield Check("webhooks", sorted([BUDGET, GROWTH]), types)
    for webhook in webhooks:
        data = webhook.body["data"]
        yield Check(f"{data['rule']}: state", "firing", data["state"])
        if webhook.body["type"] == GROWTH:
            trace_id = data["scope"]["trace_id"]
            yield Check(f"{GROWTH}: trace", traces[GROWING.name], trace_id)
            steps = data["details"]["steps"]
            yield Check(f"{GROWTH}: steps", len(GROWING.steps), steps)
        elif webhook.body["type"] == BUDGET:
            yield Check(f"{BUDGET}: budget", BUDGET_NAME, data["scope"]["budget"])
            yield Check(f"{BUDGET}: threshold", 100.0, data["threshold"])
