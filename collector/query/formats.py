"""A table as text: aligned for people, JSON or CSV for programs; money exact."""

import base64
import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

FORMATS: Final = ("table", "json", "csv")

_MAX_WIDTH: Final = 48
_SHOWN_DECIMALS: Final = Decimal("0.000001")
_CUT: Final = "…"
_MAX_COUNT: Final = 1 << 63


def plain_rows(table: pa.Table) -> list[dict[str, Any]]:
    """
    Return rows with nothing but what JSON has.

    Decimals are text with all their digits, but for those without places, as DuckDB
    returns sums of whole numbers: they are numbers. Times (in UTC) and intervals are
    ISO 8601, maps objects; what is not finite is null. Of columns with one name, the
    last counts.
    """
    names = table.column_names
    return [
        dict(zip(names, row, strict=True)) for row in zip(*_cells(table), strict=True)
    ]


def _cells(table: pa.Table) -> list[list[Any]]:
    return [
        [plain_value(value, column.type) for value in column.to_pylist()]
        for column in table.itercolumns()
    ]


def plain_value(value: object, kind: pa.DataType | None = None) -> Any:  # noqa: ANN401
    """
    Return one value as JSON has it; see `plain_rows`.

    Args:
        value: What Arrow returns.

        kind: Its type; without it an empty map comes out as an empty list.
    """
    if isinstance(value, (list, dict)):
        return _plain_nested(value, kind)
    if value is None or isinstance(value, (str, int)):
        return value
    for scalar, plain in _PLAIN:
        if isinstance(value, scalar):
            return plain(value)
    return str(value)


def _is_count(value: Decimal) -> bool:
    # Larger ones are no int64, which is what readers of JSON take at most.
    return value.as_tuple().exponent == 0 and abs(value) < _MAX_COUNT


def _plain_decimal(value: Decimal) -> int | str:
    return int(value) if _is_count(value) else format(value, "f")


def _plain_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _plain_float(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _plain_nested(value: list[Any] | dict[str, Any], kind: pa.DataType | None) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        types = {} if kind is None else {field.name: field.type for field in kind}
        return {
            name: plain_value(item, types.get(name)) for name, item in value.items()
        }
    if kind is not None and pa.types.is_map(kind):
        return {str(key): plain_value(item, kind.item_type) for key, item in value}
    inner = getattr(kind, "value_type", None)
    return [plain_value(item, inner) for item in value]


def _iso(moment: datetime) -> str:
    if moment.tzinfo is None:
        return moment.isoformat()
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _iso_interval(interval: pa.MonthDayNano) -> str:
    months, days, nanoseconds = interval
    seconds = format((Decimal(nanoseconds) / 10**9).normalize(), "f")
    parts = [f"{months}M" * bool(months), f"{days}D" * bool(days)]
    if nanoseconds or not (months or days):
        parts.append(f"T{seconds}S")
    return "P" + "".join(parts)


_PLAIN: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (Decimal, _plain_decimal),
    (datetime, _iso),
    (date, date.isoformat),
    (bytes, _plain_bytes),
    (float, _plain_float),
    (pa.MonthDayNano, _iso_interval),
)
"""How scalars that JSON has not are said; the first type counts. Others are text."""


def format_table(table: pa.Table, form: str, notes: Sequence[str] = ()) -> str:
    """
    Return *table* as text that ends with a line break.

    Args:
        table: Any rows.

        form: One of `FORMATS`.

        notes: Lines for people; shown below the rows of ``table`` only.
    """
    match form:
        case "json":
            return to_json(plain_rows(table))
        case "csv":
            return _to_csv(table)
        case _:
            return "\n".join([*_to_lines(table), *notes]) + "\n"


def without_empty_columns(table: pa.Table) -> pa.Table:
    """Return *table* without the columns that say nothing in any row."""
    said = [
        name
        for name, column in zip(table.column_names, table.itercolumns(), strict=True)
        if column.null_count < table.num_rows or not table.num_rows
    ]
    return table.select(said)


def to_json(value: object) -> str:
    """Return indented JSON that ends with a line break."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _to_csv(table: pa.Table) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in zip(*_cells(table), strict=True):
        writer.writerow(map(_csv_cell, row))
    return sink.getvalue()


def _csv_cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return value


def _to_lines(table: pa.Table) -> list[str]:
    if not table.num_columns:
        return []
    cells = [
        [_human(value, column.type) for value in column.to_pylist()]
        for column in table.itercolumns()
    ]
    is_number = [_is_number(kind) for kind in table.schema.types]
    widths = [
        max([len(name), *map(len, column)])
        for name, column in zip(table.column_names, cells, strict=True)
    ]
    lines = [
        _line(table.column_names, widths, is_number),
        "  ".join("-" * width for width in widths),
    ]
    lines += [_line(row, widths, is_number) for row in zip(*cells, strict=True)]
    if not table.num_rows:
        lines.append("(no rows)")
    return lines


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
    )


def _line(
    cells: Sequence[str], widths: Sequence[int], is_number: Sequence[bool]
) -> str:
    padded = [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, is_number, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _human(value: object, kind: pa.DataType) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float, Decimal)):
        return _human_number(value)
    if isinstance(value, datetime):
        return _iso(value.replace(microsecond=0))
    plain = plain_value(value, kind)
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    line = printable(text)
    return line if len(line) <= _MAX_WIDTH else line[: _MAX_WIDTH - 1] + _CUT


def _human_number(value: float | Decimal) -> str:
    if isinstance(value, Decimal):
        return f"{value:,f}" if not value.as_tuple().exponent else human_dollars(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def human_dollars(value: Decimal) -> str:
    """Return an amount for people: six decimals, more only where it is less."""
    shown = value.quantize(_SHOWN_DECIMALS)
    if not shown and value:
        return format(value.normalize(), "f")
    return f"{shown:,f}"


def printable(text: str) -> str:
    """Return *text* as one line that cannot move a terminal's cursor."""
    return "".join(char if char.isprintable() else " " for char in text)


def summary_notes(summary: Mapping[str, Any]) -> list[str]:
    """Return what people have to know beside a report's rows."""
    if not summary["calls"]:
        return ["no calls in this time"]
    known = summary["coverage"]
    share = "unknown" if known is None else f"{100 * known:.4g} % of tokens"
    counted = (
        f"{summary['calls']:,} calls from {summary['first_call']}"
        f" to {summary['last_call']}; priced: {share}"
    )
    if summary["unpriced_calls"]:
        counted += f", {summary['unpriced_calls']:,} calls have no price"
    lines = [counted, *_bounds(summary)]
    if summary.get("costs") == "restated":
        lines.append(f"costs as restated; restatements: {summary['restatements']}")
    elif summary.get("restatements"):
        lines.append("costs as recorded; --restated shows them as priced again")
    if summary["published_at"]:
        lines.append(f"ledger as of {summary['published_at']}")
    if summary["weighted_cost_usd"] != summary["cost_usd"]:
        lines.append(
            f"head sampling: counted ${summary['cost_usd']},"
            f" weighted ${summary['weighted_cost_usd']}"
        )
    if summary["subscription_usd"]:
        lines.append(f"of this under a subscription: ${summary['subscription_usd']}")
    return lines


def _bounds(summary: Mapping[str, Any]) -> list[str]:
    """Return what calls without a full price may have cost."""
    lines = []
    if summary.get("rest_lower_usd") is not None:
        lines.append(
            f"without a price: between ${summary['rest_lower_usd']} and"
            f" ${summary['rest_upper_usd']} by the cheapest and the dearest model of"
            " each provider"
        )
    if summary.get("unbounded_calls"):
        lines.append(
            f"{summary['unbounded_calls']:,} calls without a price are in no bound:"
            " their provider has no price list, or they tell no tokens"
        )
    if summary.get("partial_calls"):
        lines.append(
            f"{summary['partial_calls']:,} calls are priced in part; report unpriced"
            " says why"
        )
    return lines
