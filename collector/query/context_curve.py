"""The context of each conversation of a trace, call by call, as text for people."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from collector.query.formats import human_dollars, printable

_LEAST_CALLS: Final = 3
_BAR_WIDTH: Final = 40
_TOOLS_SHOWN: Final = 2
_OPENING, _AGAIN, _NEW = "█", "▓", "░"

Row = Mapping[str, Any]


def draw_contexts(rows: Sequence[Row]) -> list[str]:
    """
    Return the context curves of a trace's conversations of three calls and more.

    A line per call: its prompt as a bar of the first prompt, history that was sent
    before, and what is new; what history cost; and the largest results that tools put
    into it.

    Args:
        rows: Spans in rows of `collector.query.trace.TRACE_SCHEMA`.
    """
    chains: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["start_ms"]):
        if row["chain_id"] is not None:
            chains.setdefault(row["chain_id"], []).append(row)
    lines: list[str] = []
    for chain_id, members in chains.items():
        calls = [row for row in members if row["new_tokens"] is not None]
        if len(calls) >= _LEAST_CALLS:
            lines += _draw(chain_id, calls, members)
    return lines


def _draw(chain_id: str, calls: Sequence[Row], members: Sequence[Row]) -> list[str]:
    widest = max(row["input_tokens"] for row in calls)
    title = ("call", "context", "input", "again", "new", "again_usd", "results before")
    cells = [
        (
            str(place + 1),
            _bar(row, widest),
            count(row["input_tokens"]),
            count(row["resent_tokens"]),
            count(row["new_tokens"]),
            dollars(row["resent_usd"]),
            results,
        )
        for place, (row, results) in enumerate(
            zip(calls, _results_before(members), strict=True)
        )
    ]
    again = sum(row["resent_tokens"] for row in calls)
    known = [row["resent_usd"] for row in calls if row["resent_usd"] is not None]
    cost = f", ${format(sum(known, Decimal(0)), 'f')}"
    if len(known) < len(calls):
        cost += f" without {len(calls) - len(known)} calls of unknown price"
    head = (
        f"context of {printable(chain_id)}: {len(calls)} calls,"
        f" {again:,} tokens of history sent again{cost}"
    )
    return [
        "",
        head,
        f"{_OPENING} first prompt  {_AGAIN} history sent again  {_NEW} new",
        "",
        *aligned([title, *cells], left={1, len(title) - 1}),
    ]


def _bar(row: Row, widest: int) -> str:
    """Return the prompt as a bar whose parts are rounded so that they end right."""
    opening = row["input_tokens"] - row["new_tokens"] - row["resent_tokens"]
    sizes = (opening, row["resent_tokens"], row["new_tokens"])
    bar, reached = "", 0
    for size, mark in zip(sizes, (_OPENING, _AGAIN, _NEW), strict=True):
        reached += size
        bar += mark * (round(reached * _BAR_WIDTH / max(widest, 1)) - len(bar))
    return bar


def _results_before(members: Sequence[Row]) -> list[str]:
    """Return for each call the largest results of the tools that ran before it."""
    told, waiting = [], []
    for row in members:
        if row["tool_name"] is not None:
            waiting.append(row)
        elif row["new_tokens"] is not None:
            told.append(_largest(waiting))
            waiting = []
    return told


def _largest(tools: Sequence[Row]) -> str:
    ordered = sorted(tools, key=lambda row: -(row["result_tokens"] or 0))
    said = [
        f"{printable(row['tool_name'])} {count(row['result_tokens']) or '?'}"
        + (
            f", carried ${human_dollars(row['carried_usd'])}"
            if row["carried_usd"]
            else ""
        )
        for row in ordered[:_TOOLS_SHOWN]
    ]
    more = len(ordered) - _TOOLS_SHOWN
    return "; ".join([*said, *([f"{more} more"] if more > 0 else [])])


def count(tokens: int | None) -> str:
    """Return a number of tokens, nothing for one that is not known."""
    return "" if tokens is None else f"{tokens:,}"


def dollars(amount: Decimal | None) -> str:
    """Return an amount, nothing for one that is not known."""
    return "" if amount is None else human_dollars(amount)


def aligned(lines: Iterable[tuple[str, ...]], *, left: set[int]) -> list[str]:
    """Return rows of cells as lines; the columns *left* are aligned there."""
    rows = list(lines)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
