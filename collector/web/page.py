"""The page: what it shows, as plain data for the template."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import pyarrow as pa

from collector.alerts.database import AlertStoreError
from collector.alerts.listing import list_alerts
from collector.config import Settings
from collector.errors import QueryError
from collector.query.reports import (
    COSTS,
    RECORDED,
    Report,
    find_report,
    run_reports,
)
from collector.query.times import Period, parse_time
from collector.query.views import Lake
from collector.web import cells
from collector.web.cells import Cell
from collector.web.panels import ALERTS, PANELS, Panel

PERIODS: Final = ("24h", "7d", "30d")
"""Lengths of time that the page offers; the second is the default."""

_TIMEOUT_SECONDS: Final = 15.0
_MEMORY_LIMIT: Final = "256MiB"


class Shown(NamedTuple):
    """A panel with its rows, or with the reason why there are none."""

    panel: Panel
    rows: list[list[Cell]]
    problem: str | None = None


def build_page(
    settings: Settings,
    readiness: Mapping[str, Any],
    *,
    since: str,
    now: datetime,
    costs: str = RECORDED,
) -> dict[str, Any]:
    """
    Return what the template needs.

    Reports that cannot be worked out are named as trouble; alerts are shown anyway.

    Args:
        settings: All settings.

        readiness: As ``/readyz`` says it.

        since: One of `PERIODS`, or a moment as the command line takes it.

        now: Time of the request.

        costs: One of `COSTS`.

    Raises:
        QueryError: *since* is no time, or there are no such costs.
    """
    period = Period(parse_time(since, now=now), None)
    if costs not in COSTS:
        message = f"costs are {' or '.join(COSTS)}, not {costs!r}"
        raise QueryError(message)
    reports, problem = _run(Lake.of(settings), period, costs)
    shown = [
        Shown(panel, _show(panel, report.table))
        for panel, report in zip(PANELS, reports, strict=False)
    ]
    summary = reports[0].summary if reports else None
    alerts, firing = _alerts(settings, now)
    return {
        "now": cells.moment(now),
        "since": since,
        "periods": PERIODS,
        "costs": costs,
        "has_restatements": bool((summary or {}).get("restatements")),
        "tiles": _tiles(summary, firing, readiness, now),
        "troubles": [*_troubles(readiness), *problem],
        "panels": [alerts, *shown],
    }


def _run(lake: Lake, period: Period, costs: str) -> tuple[list[Report], list[str]]:
    try:
        reports = run_reports(
            lake,
            [find_report(panel.id) for panel in PANELS],
            period=period,
            costs=costs,
            limit=max(panel.rows for panel in PANELS),
            timeout_seconds=_TIMEOUT_SECONDS,
            memory_limit=_MEMORY_LIMIT,
        )
    except QueryError as error:
        return [], [error.line()]
    return reports, []


def _alerts(settings: Settings, now: datetime) -> tuple[Shown, int | None]:
    path = settings.state_dir / "alerts.sqlite"
    try:
        firing = list_alerts(path, now=now, states=["firing"])
    except AlertStoreError as error:
        return Shown(ALERTS, [], error.line()), None
    return Shown(ALERTS, _show(ALERTS, firing)), firing.num_rows


def _show(panel: Panel, table: pa.Table) -> list[list[Cell]]:
    rows = table.slice(0, panel.rows).to_pylist()
    largest = {
        column.name: max(
            (float(row[column.name]) for row in rows if row[column.name]), default=0.0
        )
        for column in panel.columns
        if column.bar
    }
    return [
        [
            cells.show(column, row[column.name], largest.get(column.name))
            for column in panel.columns
        ]
        for row in rows
    ]


class Tile(NamedTuple):
    """One figure at the top of the page."""

    label: str
    figure: str
    note: str


def _tiles(
    summary: Mapping[str, Any] | None,
    firing: int | None,
    readiness: Mapping[str, Any],
    now: datetime,
) -> list[Tile]:
    known = summary or {}
    cost = known.get("cost_usd")
    unpriced = known.get("unpriced_calls")
    return [
        Tile("cost", cells.dollars(cells.decimal(cost)), _weighted(known)),
        Tile("calls", cells.count(known.get("calls")), ""),
        Tile(
            "tokens with a price",
            cells.share(known.get("coverage")),
            f"{cells.count(unpriced)} calls without{_bounds(known)}"
            if unpriced
            else "",
        ),
        Tile("alerts firing", cells.count(firing), ""),
        _age_tile(known, readiness, now),
    ]


def _bounds(summary: Mapping[str, Any]) -> str:
    lower, upper = summary.get("rest_lower_usd"), summary.get("rest_upper_usd")
    if lower is None or upper is None:
        return ""
    ends = (cells.dollars(cells.decimal(end)) for end in (lower, upper))
    return f": {' to '.join(ends)}"


def _weighted(summary: Mapping[str, Any]) -> str:
    weighted = summary.get("weighted_cost_usd")
    if not weighted or weighted == summary.get("cost_usd"):
        return ""
    return f"{cells.dollars(cells.decimal(weighted))} with sampled-out traces"


def _age_tile(
    summary: Mapping[str, Any], readiness: Mapping[str, Any], now: datetime
) -> Tile:
    """Say how old the newest complete figures are, and the last call."""
    account = readiness.get("roles", {}).get("account", {})
    settled = account.get("settled_unix")
    figure = cells.duration(max(0.0, now.timestamp() - settled) if settled else None)
    last = summary.get("last_call")
    note = ""
    if last:
        ago = (now - datetime.fromisoformat(last)).total_seconds()
        note = f"last call {cells.duration(max(0.0, ago))} ago"
    return Tile("age of the data", figure, note)


def _troubles(readiness: Mapping[str, Any]) -> list[str]:
    return [
        f"{role}: {said.get('reason') or 'is not ready'}"
        for role, said in readiness.get("roles", {}).items()
        if not said["ready"]
    ]
