"""The tables of the page: which columns of which report, and how they look."""

from dataclasses import dataclass
from typing import Final

from collector.web import cells
from collector.web.cells import Column


@dataclass(frozen=True, slots=True)
class Panel:
    """One table of the page: where its rows come from and how they look."""

    id: str
    title: str
    note: str
    columns: tuple[Column, ...]
    rows: int
    empty: str


def _text(name: str, heading: str) -> Column:
    return Column(name, heading, cells.text)


def _count(name: str, heading: str) -> Column:
    return Column(name, heading, cells.count, is_number=True)


_COST: Final = Column("cost_usd", "cost", cells.dollars, is_number=True, bar=True)
_TRACE: Final = Column("trace_id", "trace", cells.short_id)
_STARTED: Final = Column("timestamp", "started (UTC)", cells.moment)

ALERTS: Final = Panel(
    "alerts",
    "Alerts",
    "firing now, the newest first",
    (
        Column("severity", "severity", cells.text, is_word=True),
        _text("rule", "rule"),
        Column("scope", "about", cells.scope),
        Column("value", "value", cells.figure, is_number=True),
        Column("threshold", "threshold", cells.figure, is_number=True),
        Column("fired_at", "since (UTC)", cells.moment),
    ),
    25,
    "No alert fires.",
)

PANELS: Final = (
    Panel(
        "features",
        "Cost by feature",
        "what each part of the product costs",
        (
            _text("feature", "feature"),
            _COST,
            _count("runs", "runs"),
            Column("cost_per_run_usd", "per run", cells.dollars, is_number=True),
            _count("calls", "calls"),
            _count("failed_calls", "failed"),
            _count("input_tokens", "input tokens"),
            _count("output_tokens", "output tokens"),
            Column("coverage", "priced", cells.share, is_number=True),
        ),
        20,
        "No calls in this time.",
    ),
    Panel(
        "runs",
        "Costliest runs",
        "with the runs they started; a growing context pays for its history again",
        (
            _STARTED,
            _text("agent_name", "agent"),
            _text("feature", "feature"),
            Column("subtree_cost_usd", "cost", cells.dollars, is_number=True, bar=True),
            _count("steps", "steps"),
            _count("input_tokens", "input tokens"),
            _text("growth_shape", "context"),
            Column("severity", "verdict", cells.text, is_word=True),
            _TRACE,
        ),
        15,
        "No agent runs in this time.",
    ),
    Panel(
        "steps",
        "Cost by agent step",
        "context that grows shows as a staircase",
        (
            _text("agent_name", "agent"),
            _text("feature", "feature"),
            Column("step", "step", cells.count, is_number=True),
            Column(
                "avg_input_tokens",
                "mean input tokens",
                cells.average,
                is_number=True,
                bar=True,
            ),
            _count("calls", "calls"),
            _COST._replace(bar=False),
        ),
        40,
        "No agent steps in this time.",
    ),
    Panel(
        "tools",
        "Tools",
        "a result is paid for in the first prompt with it and in every later one",
        (
            _text("tool_name", "tool"),
            _COST,
            Column("first_sent_usd", "sent first", cells.dollars, is_number=True),
            Column("carried_usd", "carried", cells.dollars, is_number=True),
            Column("saved_usd", "saved if cut to 2,000", cells.dollars, is_number=True),
            _count("calls", "calls"),
            _count("failed_calls", "failed"),
            _count("result_tokens_p95", "p95 tokens"),
            Column("coverage", "priced", cells.share, is_number=True),
        ),
        15,
        "No tool calls in this time.",
    ),
    Panel(
        "carried",
        "History sent again",
        "every call pays for what the conversation said before",
        (
            _text("agent_name", "agent"),
            _text("agent_version", "version"),
            _text("feature", "feature"),
            Column("resent_usd", "history", cells.dollars, is_number=True, bar=True),
            Column("carried_result_usd", "results", cells.dollars, is_number=True),
            Column("carried_output_usd", "own answers", cells.dollars, is_number=True),
            Column("carried_other_usd", "the rest", cells.dollars, is_number=True),
            Column("waste_usd", "avoidable", cells.dollars, is_number=True),
            Column("resent_share", "of input", cells.share, is_number=True),
            _count("runs", "runs"),
        ),
        15,
        "No agent runs in this time.",
    ),
    Panel(
        "models",
        "Models",
        "cost and how they answer",
        (
            _text("provider", "provider"),
            _text("model", "model"),
            _COST,
            _count("calls", "calls"),
            _count("failed_calls", "failed"),
            Column("latency_p50_ms", "p50 ms", cells.average, is_number=True),
            Column("latency_p95_ms", "p95 ms", cells.average, is_number=True),
            Column(
                "cache_savings_usd", "saved by caches", cells.dollars, is_number=True
            ),
        ),
        20,
        "No calls in this time.",
    ),
    Panel(
        "unpriced",
        "Calls without a full price",
        "totals leave out what is unknown, they do not take it for zero",
        (
            _text("provider", "provider"),
            _text("model", "model"),
            Column("cost_status", "status", cells.text, is_word=True),
            _text("cost_reason", "why"),
            _count("calls", "calls"),
            _count("input_tokens", "input tokens"),
            _count("output_tokens", "output tokens"),
        ),
        20,
        "Every call has a price.",
    ),
)
"""The panels in the order of the page, named after the reports they show."""
