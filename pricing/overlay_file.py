"""
Overlay files: TOML with one ``[[price]]`` per rule, in order of precedence.

Selectors, any of them absent: ``tenant``, ``feature``, ``provider``, ``model``,
``region``, ``deployment``, ``service_tier``, ``processing``, ``speed``, ``dialect``
(which instrumentation): a glob or a list of globs; ``!glob`` fits what is told and does
not match. ``provider`` fits our word for the seller or the name as sent, ``model`` a
name as sent or as listed.

Time: ``from`` and ``until``, dates (UTC) or times with an offset, half-open; ``hours``,
such as ``["01:00-04:00"]`` UTC; ``weekdays``, such as ``["mon", "tue"]``;
``except_days``, the name of a list of days under ``[calendars]``.

``kind`` says what happens:

- ``replace``: own rates. ``usd_per_mtok`` by unit, ``usd_per_1000`` of ``web_search``
  and ``request``; ``[[price.tiers]]`` with ``above`` or ``at_least`` tokens of input.
- ``multiply``: ``factor`` for everything, or ``factors`` by class, where ``tokens`` is
  all but fees; ``"93/100"`` or a number. With ``fills_gap`` it only applies where the
  list below has no price for the tier asked for.
- ``free``, ``unpriced``; ``subscription``, at the list price and counted apart.
- ``fixed_per_request``: ``usd`` a call, whatever it used; ``estimated`` if it is what
  such a call usually costs.
- ``gpu_hour``: ``usd_per_hour`` by ``tokens_per_hour``, an estimate. Without
  ``tokens_per_hour``, what ``machines`` (default 1) cost an hour is shared over the
  tokens of the calls that the rule prices in it, once `spanledger reprice` sees the
  hour when it is over; until then they are unpriced, ``gpu_hour_open``. Such a rule
  begins, ends and recurs on the full hour.
- ``reported``: a cost that the sender reported goes before the price below, unless it
  is zero; with ``zero`` also then. ``ignore`` takes such a rule of ours back.

``source``, ``checked``, ``approved_by`` and ``note`` are for the reader. Amounts may be
texts, whole numbers or decimals; they never become binary floats.
"""

import datetime as dt
import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from pricing.catalog import MAX_RATE, clock_micros, unix_micros
from pricing.errors import PriceBookError
from pricing.money import MAX_PICO
from pricing.overlay import (
    SELECTORS,
    Change,
    Layer,
    PriceRule,
    by_the_hour,
    fixed,
    multiplied,
    relabelled,
    replaced,
    reporting,
    withheld,
)
from pricing.plans import ALWAYS, Schedule
from pricing.rate_cards import UNITS, USAGE_CLASSES, MachineHour, Rate

_FEES: Final = ("web_search", "request")
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME_KEYS: Final = frozenset({"from", "until", "hours", "weekdays", "except_days"})
_NOTES: Final = frozenset({"source", "checked", "approved_by", "note"})
_RATE_KEYS: Final = frozenset({"usd_per_mtok", "usd_per_1000"})

_MAX_DENOMINATOR: Final = 10_000
"""Finer factors would leave too few of 63 bits for the cost itself."""

_MAX_FACTOR: Final = 1_000
_HOUR: Final = 3_600_000_000
_HOUR_KEYS: Final = frozenset({"usd_per_hour", "tokens_per_hour", "machines"})

Calendars = Mapping[str, frozenset[int]]
Row = Mapping[str, Any]


def load_overlay(path: Path) -> Layer:
    """
    Read an overlay file.

    Raises:
        PriceBookError: The file cannot be read, or a rule in it cannot be used; the
            message has the file and the line of the rule.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PriceBookError(f"cannot be read: {error}", path=str(path)) from error
    return parse_overlay(text, path=str(path))


def parse_overlay(text: str, *, path: str) -> Layer:
    """
    Return the rules of an overlay file's text in order.

    Args:
        text: The file's content.

        path: Where it came from, for messages.

    Raises:
        PriceBookError: As `load_overlay`.
    """
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        message = re.sub(r" \(at .*\)$", "", str(error)).lower()
        place = int(line[1]) if line else None
        raise PriceBookError(f"not TOML: {message}", path=path, line=place) from error
    unknown = document.keys() - {"price", "calendars"}
    if unknown:
        raise PriceBookError(f"unknown key {min(unknown)!r}", path=path)
    calendars = _calendars(document.get("calendars", {}), path=path)
    rows = document.get("price", [])
    if not isinstance(rows, list):
        raise PriceBookError("'price' is written [[price]]", path=path)
    lines = _header_lines(text)
    return tuple(
        _rule(row, calendars, path=path, line=lines[number] if lines else None)
        for number, row in enumerate(rows)
    )


def _header_lines(text: str) -> list[int]:
    header = re.compile(r"\s*\[\[\s*price\s*\]\]")
    lines = text.splitlines()
    return [number for number, line in enumerate(lines, 1) if header.match(line)]


def _calendars(raw: Row, *, path: str) -> Calendars:
    try:
        return {
            name: frozenset(unix_micros(day) // 86_400_000_000 for day in days)
            for name, days in raw.items()
        }
    except (AttributeError, TypeError) as error:
        raise PriceBookError("a calendar is a list of days", path=path) from error


def _rule(row: Row, calendars: Calendars, *, path: str, line: int | None) -> PriceRule:
    try:
        start, end = _interval(row)
        schedules = _schedules(row, calendars)
        shares_hours = row.get("kind") == "gpu_hour" and "tokens_per_hour" not in row
        if shares_hours:
            _check_full_hours(start, end, schedules)
        return PriceRule(
            selectors={name: _globs(row, name) for name in SELECTORS if name in row},
            change=_change(row),
            start=start,
            end=end,
            schedules=schedules,
            shares_hours=shares_hours,
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        said = f"missing {error}" if isinstance(error, KeyError) else str(error)
        raise PriceBookError(said, path=path, line=line) from error


def _change(row: Row) -> Change:
    kind = str(row["kind"])
    if kind not in _KINDS:
        raise ValueError(f"unknown kind {kind!r}, one of {', '.join(_KINDS)}")
    make, keys = _KINDS[kind]
    unknown = row.keys() - keys - _TIME_KEYS - _NOTES - {"kind", *SELECTORS}
    if unknown:
        raise ValueError(f"unknown key {min(unknown)!r} for {kind}")
    return make(row)


def _interval(row: Row) -> tuple[int, int]:
    start, end = _moment(row, "from", ALWAYS[0]), _moment(row, "until", ALWAYS[1])
    if start >= end:
        raise ValueError("'until' is not after 'from'")
    return start, end


def _globs(row: Row, name: str) -> tuple[str, ...]:
    globs = row[name] if isinstance(row[name], list) else [row[name]]
    if not globs or not all(isinstance(glob, str) and glob for glob in globs):
        raise ValueError(f"{name!r} is a text or a list of texts")
    return tuple(glob.lower() for glob in globs)


def _moment(row: Row, name: str, default: int) -> int:
    moment = row.get(name, default)
    if isinstance(moment, dt.datetime) and moment.tzinfo is None:
        raise ValueError(f"{name!r} needs an offset, such as Z")
    if isinstance(moment, dt.date):
        return unix_micros(moment)
    if moment is not default:
        raise ValueError(f"{name!r} is a date or a time with an offset")
    return default


def _schedules(row: Row, calendars: Calendars) -> tuple[Schedule, ...]:
    if not row.keys() & {"hours", "weekdays", "except_days"}:
        return ()
    calendar = row.get("except_days")
    if calendar is not None and calendar not in calendars:
        raise ValueError(f"unknown calendar {calendar!r}")
    hours = [span.split("-") for span in row.get("hours", ())]
    return (
        Schedule(
            hours=tuple(
                (clock_micros(start), clock_micros(end)) for start, end in hours
            ),
            weekdays=frozenset(map(_WEEKDAYS.index, row.get("weekdays", _WEEKDAYS))),
            except_days=calendars.get(calendar, frozenset())
            if calendar
            else frozenset(),
        ),
    )


def _amount(value: object, *, name: str) -> Decimal:
    amount = Decimal("nan")
    if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        with suppress(InvalidOperation):
            amount = Decimal(value)
    if not amount.is_finite() or not 0 <= amount < MAX_PICO:
        raise ValueError(f"{name!r} is not an amount: {value!r}")
    return amount


def _pico(amount: Decimal | Fraction, *, per: int = 1) -> int:
    pico = round(Fraction(amount) * 10**12 / per)
    if pico >= MAX_RATE and per > 1:
        raise ValueError(f"{amount} is too high")
    return pico


def _prices(row: Row) -> dict[str, int]:
    prices: dict[str, int] = {}
    for key, per in (("usd_per_mtok", 10**6), ("usd_per_1000", 10**3)):
        for unit, value in row.get(key, {}).items():
            if unit not in UNITS or (unit in _FEES) != (per == 10**3):
                raise ValueError(f"unknown unit {unit!r} in {key}")
            prices[unit] = _pico(_amount(value, name=unit), per=per)
    return prices


def _replace(row: Row) -> Change:
    base = _prices(row)
    if not base:
        raise ValueError("missing 'usd_per_mtok' or 'usd_per_1000'")
    tiers = sorted(
        ((_threshold(tier), _prices(tier)) for tier in row.get("tiers", ())),
        key=lambda tier: tier[0],
    )
    if any(prices.keys() - base.keys() for _, prices in tiers):
        raise ValueError("a tier has a unit without a rate below it")
    rates = {
        unit: Rate(
            rate, tuple((above, tier[unit]) for above, tier in tiers if unit in tier)
        )
        for unit, rate in base.items()
    }
    return replaced(rates, knows=row.keys() & set(SELECTORS))


def _threshold(tier: Row) -> int:
    unknown = tier.keys() - _RATE_KEYS - {"above", "at_least"}
    if unknown:
        raise ValueError(f"unknown key {min(unknown)!r} in a tier")
    if ("above" in tier) == ("at_least" in tier):
        raise ValueError("a tier needs either 'above' or 'at_least'")
    name = "above" if "above" in tier else "at_least"
    tokens = tier[name]
    if type(tokens) is not int or tokens < 1:
        raise ValueError(f"{name!r} is a number of tokens")
    return tokens if name == "above" else tokens - 1


def _multiply(row: Row) -> Change:
    if ("factor" in row) == ("factors" in row):
        raise ValueError("multiply needs either 'factor' or 'factors'")
    if "factor" in row:
        given = dict.fromkeys(USAGE_CLASSES, row["factor"])
    else:
        given = dict(row["factors"])
        tokens = given.pop("tokens", None)
        if tokens is not None:
            given = dict.fromkeys(_token_classes(), tokens) | given
    unknown = given.keys() - set(USAGE_CLASSES)
    if unknown:
        raise ValueError(f"unknown class {min(unknown)!r}")
    factors = {name: _factor(value) for name, value in given.items()}
    return multiplied(factors, fills_gap=row.get("fills_gap", False) is True)


def _token_classes() -> list[str]:
    return [name for name in USAGE_CLASSES if name not in _FEES]


def _factor(value: object) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise TypeError(f"not a factor: {value!r}")
    try:
        factor = Fraction(value)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"not a factor: {value!r}") from None
    if not 0 <= factor <= _MAX_FACTOR or factor.denominator > _MAX_DENOMINATOR:
        limits = f"from 0 to {_MAX_FACTOR} in parts of {_MAX_DENOMINATOR}"
        raise ValueError(f"not a factor {limits}: {value!r}")
    return factor


def _per_request(row: Row) -> Change:
    pico = _pico(_amount(row["usd"], name="usd"))
    if pico > MAX_PICO:
        raise ValueError(f"{row['usd']} is too high")
    estimated = row.get("estimated", False)
    if not isinstance(estimated, bool):
        raise TypeError("'estimated' is true or false")
    return fixed(pico, status="estimated" if estimated else "priced")


def _gpu_hour(row: Row) -> Change:
    usd = _amount(row["usd_per_hour"], name="usd_per_hour")
    if "tokens_per_hour" not in row:
        return _shared_hour(row, usd)
    if "machines" in row:
        raise ValueError("'machines' goes without 'tokens_per_hour'")
    tokens = _amount(row["tokens_per_hour"], name="tokens_per_hour")
    if not tokens:
        raise ValueError("'tokens_per_hour' is zero")
    rate = Rate(_pico(Fraction(usd) / Fraction(tokens)))
    return replaced({"input": rate, "output": rate}, status="estimated")


def _shared_hour(row: Row, usd: Decimal) -> Change:
    machines = row.get("machines", 1)
    if isinstance(machines, bool) or not isinstance(machines, int) or machines < 1:
        raise ValueError(f"'machines' is a number from 1 on, not {machines!r}")
    pico = _pico(Fraction(usd) * machines)
    if pico > MAX_PICO:
        raise ValueError(f"{machines} machines at {usd} are too high")
    return by_the_hour(MachineHour(repr(sorted(row.items())), pico))


def _check_full_hours(start: int, end: int, schedules: tuple[Schedule, ...]) -> None:
    edges = [edge for edge in (start, end) if edge not in ALWAYS]
    edges += [edge for it in schedules for hours in it.hours for edge in hours]
    if any(edge % _HOUR for edge in edges):
        raise ValueError("'gpu_hour' without 'tokens_per_hour' needs full hours")


def _reported(row: Row) -> Change:
    zero, ignore = row.get("zero", False), row.get("ignore", False)
    if not isinstance(zero, bool) or not isinstance(ignore, bool) or (zero and ignore):
        raise ValueError("'zero' and 'ignore' are true or false, not both true")
    return reporting("never" if ignore else "any" if zero else "positive")


_KINDS: Final[Mapping[str, tuple[Callable[[Row], Change], frozenset[str]]]] = {
    "replace": (_replace, _RATE_KEYS | {"tiers"}),
    "multiply": (_multiply, frozenset({"factor", "factors", "fills_gap"})),
    "free": (lambda _: fixed(0, status="free"), frozenset()),
    "unpriced": (lambda _: withheld("overlay"), frozenset()),
    "subscription": (lambda _: relabelled("subscription"), frozenset()),
    "fixed_per_request": (_per_request, frozenset({"usd", "estimated"})),
    "reported": (_reported, frozenset({"zero", "ignore"})),
    "gpu_hour": (_gpu_hour, _HOUR_KEYS),
}
