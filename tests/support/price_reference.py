"""Pricing one call at a time in plain Python integers, to hold the fast one against."""

import datetime as dt
from fractions import Fraction

from pricing.book import CallKey, PriceBook
from pricing.rate_cards import USAGE_CLASSES

PARTS = {
    "input_cost_usd": ("input", "input_audio", "input_image"),
    "cache_read_cost_usd": ("cache_read", "cache_read_audio"),
    "cache_write_cost_usd": ("cache_write_5m", "cache_write_1h"),
    "output_cost_usd": ("output", "reasoning", "output_audio", "output_image"),
    "other_cost_usd": ("web_search", "request"),
}
COUNTS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "cache_read_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
    "web_search_requests",
)
LARGEST_PICO = 10**18 - 1
LARGEST_COUNT = 10**15


def reference(call: dict, book: PriceBook) -> dict:
    """Return status, reason and pico-USD by column of one call."""
    card = card_in_force(call, book)
    told = {name: call[name] for name in COUNTS if call.get(name) is not None}
    status, reason, parts = _priced(call, card, told)
    used = any(told.values())
    if call.get("error_type") is not None and not used:
        status, reason, parts = "not_billed", None, {}
    reported = call.get("reported_cost_usd")
    prefers = card.reported == "any" or (reported and card.reported == "positive")
    if reported is not None and (prefers or (reported and status == "unpriced")):
        status, reason = "reported", None
        parts = {"other_cost_usd": int(reported * 10**12)}
    if status == "unpriced":
        return {"status": status, "reason": reason, "cost_usd": None}
    filled = {name: parts.get(name, 0) for name in PARTS}
    cost = sum(filled.values())
    return {"status": status, "reason": reason, "cost_usd": cost, **filled}


def card_in_force(call: dict, book: PriceBook):
    key = CallKey(**{name: call.get(name) for name in CallKey._fields})
    moment = call["timestamp"]
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    micros = (moment - epoch) // dt.timedelta(microseconds=1)
    for entry in book.plan(key):
        in_time = entry.start <= micros < entry.end
        if in_time and all(_on(plan, moment, micros) for plan in entry.schedules):
            return entry.card
    raise AssertionError("a plan must always have a card")


def _on(schedule, moment: dt.datetime, micros: int) -> bool:
    day, clock = divmod(micros, 86_400_000_000)
    if moment.weekday() not in schedule.weekdays or day in schedule.except_days:
        return False
    return not schedule.hours or any(
        start <= clock < end if start <= end else clock >= start or clock < end
        for start, end in schedule.hours
    )


def _priced(call: dict, card, told: dict):
    refusal = _refusal(card, told)
    if refusal:
        return "unpriced", refusal, {}
    used, mended = _split(told)
    parts, lacking, has_rate = _amounts(card, used)
    if sum(parts.values()) > LARGEST_PICO:
        return "unpriced", "out_of_range", {}
    if card.per_call or card.status not in ("priced", "partial"):
        return card.status, card.reason, parts
    if lacking and not has_rate:
        return "unpriced", "rate_missing", {}
    gap = _gap(call, card, used, told)
    if lacking or mended:
        gap = f"{'rate_missing' if lacking else 'usage_inconsistent'} lower_bound"
    return ("partial", gap, parts) if gap else (card.status, card.reason, parts)


def _refusal(card, told: dict) -> str | None:
    if not told and not card.per_call:
        return "no_usage"
    if any(number < 0 for number in told.values()):
        return "usage_invalid"
    if any(number > LARGEST_COUNT for number in told.values()):
        return "out_of_range"
    return card.reason if card.status == "unpriced" else None


def _split(told: dict) -> tuple[dict, bool]:
    get = told.get
    used = {
        "cache_read_audio": get("cache_read_audio_tokens", 0),
        "cache_write_1h": get("cache_write_1h_tokens", 0),
        "input_image": get("input_image_tokens", 0),
        "reasoning": get("reasoning_tokens", 0),
        "output_audio": get("output_audio_tokens", 0),
        "output_image": get("output_image_tokens", 0),
        "web_search": get("web_search_requests", 0),
    }
    used["cache_write_5m"] = max(
        get("cache_write_tokens", 0) - used["cache_write_1h"],
        get("cache_write_5m_tokens", 0),
        0,
    )
    wholes = {
        "cache_read": ("cache_read_tokens", ("cache_read_audio",)),
        "input_audio": ("input_audio_tokens", ("cache_read_audio",)),
        "input": (
            "input_tokens",
            (
                "cache_read",
                "cache_read_audio",
                "cache_write_5m",
                "cache_write_1h",
                "input_audio",
                "input_image",
            ),
        ),
        "output": ("output_tokens", ("reasoning", "output_audio", "output_image")),
    }
    mended = False
    for name, (column, parts) in wholes.items():
        left = get(column, 0) - sum(used[part] for part in parts)
        mended |= column in told and left < 0
        used[name] = max(left, 0)
    return used, mended


def _amounts(card, used: dict):
    inside = ("input", "cache_read", "cache_read_audio", "cache_write_5m")
    inside += ("cache_write_1h", "input_audio", "input_image")
    total_input = sum(used[name] for name in inside)
    tier = sum(total_input > above for above in card.above)
    rates = dict(zip(USAGE_CLASSES, card.rates[tier], strict=True))
    lacking = any(number and rates[name] < 0 for name, number in used.items())
    has_rate = any(number and rates[name] >= 0 for name, number in used.items())
    parts, running, before = {}, 0, 0
    for column, names in PARTS.items():
        numbers = {**used, "request": 1}
        running += sum(numbers[name] * max(rates[name], 0) for name in names)
        exact = card.divisor == 1
        rounded = running if exact else round(Fraction(running, card.divisor))
        parts[column], before = rounded - before, rounded
    return parts, lacking, has_rate


def _gap(call: dict, card, used: dict, told: dict) -> str | None:
    rates = dict(zip(USAGE_CLASSES, card.rates[0], strict=True))
    if call.get("usage_incomplete"):
        return "usage_incomplete lower_bound"
    if used["input_audio"] and used["cache_read"]:
        unknown = "cache_read_audio_tokens" not in told
        if unknown and rates["input_audio"] != rates["input"]:
            return "cache_unknown upper_bound"
    if call.get("cache_unknown"):
        read, write = (f"cache_{word}_tokens" not in told for word in ("read", "write"))
        if call.get("usage_convention") == "exclusive":
            bound = " lower_bound" if read or write else None
        else:
            read = read and rates["cache_read"] != rates["input"]
            write = write and rates["cache_write_5m"] != rates["input"]
            bound = {
                (False, False): None,
                (True, False): " upper_bound",
                (False, True): " lower_bound",
                (True, True): "",
            }[read, write]
        if bound is not None:
            return f"cache_unknown{bound}"
    if "input_tokens" not in told and rates["input"] > 0:
        return "input_unknown lower_bound"
    is_countless = call.get("operation") in ("embeddings", "rerank")
    if "output_tokens" not in told and rates["output"] > 0 and not is_countless:
        return "output_unknown lower_bound"
    return None
