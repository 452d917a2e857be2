"""The reports: one `.sql` file each, over a lake and a time."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pyarrow as pa

from collector.errors import QueryError
from collector.query.again import asking_again
from collector.query.formats import plain_rows, plain_value
from collector.query.sql import fetch
from collector.query.texts import query_text
from collector.query.time_limit import TIMEOUT_SECONDS
from collector.query.times import ALWAYS, Period
from collector.query.views import Lake, open_lake

DEFAULT_LIMIT: Final = 100
RECORDED: Final = "recorded"
RESTATED: Final = "restated"
COSTS: Final = (RECORDED, RESTATED)
"""Which costs a report is about: as recorded, or as known by the newest restatement."""
_MAX_PARAMETER: Final = 1_000_000_000


class ReportKind(NamedTuple):
    """What a report is about, what its file reads, and its parameters' defaults."""

    name: str
    title: str
    reads: tuple[str, ...]
    parameters: Mapping[str, int] = MappingProxyType({})


REPORTS: Final = (
    ReportKind("features", "what each feature costs", ("bounded_calls",)),
    ReportKind("steps", "what each step of an agent costs", ("bounded_calls",)),
    ReportKind("traces", "which traces cost most", ("bounded_calls",)),
    ReportKind("runs", "which agent runs cost most", ("runs", "bounded_calls")),
    ReportKind(
        "tools",
        "which tools make the context large, and what their results cost",
        ("tool_calls", "history_bounds"),
        MappingProxyType({"cut_results_to": 2000}),
    ),
    ReportKind("models", "what each model costs", ("bounded_calls",)),
    ReportKind("users", "what each end user costs", ("bounded_calls",)),
    ReportKind(
        "growth", "which runs send their history again", ("runs", "bounded_calls")
    ),
    ReportKind(
        "carried",
        "whose history is sent again, and what it is made of",
        ("chains", "runs", "history_bounds"),
    ),
    ReportKind(
        "trend",
        "how large contexts are, day by day and release by release",
        ("chains",),
    ),
    ReportKind(
        "retrieval",
        "what retrieval brings into prompts",
        ("tool_calls", "runs", "history_bounds"),
    ),
    ReportKind(
        "loops",
        "which conversations go round in circles",
        ("chains", "runs", "calls", "tool_calls"),
    ),
    ReportKind(
        "retries",
        "which requests are sent again",
        ("calls",),
        MappingProxyType({"gap_seconds": 60}),
    ),
    ReportKind(
        "waste",
        "what need not have been spent, and why",
        ("redundant_work", "bounded_calls"),
    ),
    ReportKind(
        "savings",
        "what other habits of an agent would save",
        ("calls", "tool_calls", "cached_calls"),
        MappingProxyType(
            {"cut_results_to": 2000, "summarise_every": 8, "summary_tokens": 500}
        ),
    ),
    ReportKind("unpriced", "which calls have no price", ("bounded_calls",)),
    ReportKind(
        "reported", "where reported and computed costs differ", ("reported_calls",)
    ),
)
"""The reports in the order they are offered."""


class Report(NamedTuple):
    """A report's rows, and what stands beside them."""

    kind: ReportKind
    period: Period
    summary: Mapping[str, Any]
    """
    The calls in the period (number, coverage, cost, bounds of the rest: what calls
    without a price cost by their provider's cheapest and dearest model; calls without
    a list or tokens are in neither and counted), ``published_at``, when the ledger
    was last written, ``costs``, `RECORDED` or `RESTATED`, and how many restatements
    there are; as JSON has it.
    """
    table: pa.Table

    def document(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return {
            "report": self.kind.name,
            "title": self.kind.title,
            "since": plain_value(self.period.since),
            "until": plain_value(self.period.until),
            "parameters": dict(self.kind.parameters),
            "summary": dict(self.summary),
            "rows": plain_rows(self.table),
        }


def find_report(name: str) -> ReportKind:
    """Return the report called *name*; raises `QueryError` if there is none."""
    for kind in REPORTS:
        if kind.name == name:
            return kind
    error = QueryError(f"report: no report {name!r}")
    error.hint = f"there are {', '.join(kind.name for kind in REPORTS)}"
    raise error


def with_parameters(kind: ReportKind, given: Mapping[str, int]) -> ReportKind:
    """
    Return *kind* with *given* parameters instead of its defaults.

    Raises:
        QueryError: It has no such parameter, or a value is not positive.
    """
    for name, value in given.items():
        if name not in kind.parameters:
            error = QueryError(f"report {kind.name}: no parameter {name!r}")
            names = ", ".join(kind.parameters) or "none"
            error.hint = f"its parameters are: {names}"
            raise error
        if not 0 < value <= _MAX_PARAMETER:
            message = f"report {kind.name}: {name} must be 1 to {_MAX_PARAMETER}"
            raise QueryError(message)
    return kind._replace(parameters={**kind.parameters, **given})


def run_report(
    lake: Lake,
    kind: ReportKind,
    *,
    period: Period = ALWAYS,
    costs: str = RECORDED,
    limit: int = DEFAULT_LIMIT,
    timeout_seconds: float = TIMEOUT_SECONDS,
    memory_limit: str | None = None,
) -> Report:
    """
    Work out a report.

    Args:
        lake: Where the rows are.

        kind: One of `REPORTS`, maybe `with_parameters`.

        period: Calls and runs that start in it.

        costs: One of `COSTS`.

        limit: Rows at most.

        timeout_seconds: When it is given up.

        memory_limit: In DuckDB's words.

    Raises:
        QueryError: The lake is not there or cannot be read, or it takes too long.
    """
    (report,) = run_reports(
        lake,
        [kind],
        period=period,
        costs=costs,
        limit=limit,
        timeout_seconds=timeout_seconds,
        memory_limit=memory_limit,
    )
    return report


@asking_again
def run_reports(
    lake: Lake,
    kinds: Sequence[ReportKind],
    *,
    period: Period = ALWAYS,
    costs: str = RECORDED,
    limit: int = DEFAULT_LIMIT,
    timeout_seconds: float = TIMEOUT_SECONDS,
    memory_limit: str | None = None,
) -> list[Report]:
    """
    Work out several reports over one look at the lake; see `run_report`.

    Returns:
        The reports in the order of *kinds*, all with the same summary.

    Raises:
        QueryError: The lake is not there or cannot be read, or one takes too long.
    """
    if costs not in COSTS:
        message = f"report: costs are {' or '.join(COSTS)}, not {costs!r}"
        raise QueryError(message)
    needed = {"bounded_calls"}.union(*(kind.reads for kind in kinds))
    with open_lake(
        lake,
        period=period,
        needed=sorted(needed),
        memory_limit=memory_limit,
        restated=costs == RESTATED,
    ) as connection:
        found = fetch(
            connection, query_text("summary"), timeout_seconds=timeout_seconds
        )
        published_at = plain_value(lake.published_at())
        summary = {
            **plain_rows(found)[0],
            "published_at": published_at,
            "costs": costs,
            "restatements": len(lake.restatement_ids()),
        }
        return [
            Report(
                kind,
                period,
                summary,
                fetch(
                    connection,
                    query_text(kind.name),
                    parameters={"limit": limit, **kind.parameters},
                    timeout_seconds=timeout_seconds,
                ),
            )
            for kind in kinds
        ]
