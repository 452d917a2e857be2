"""
The growth detector for one chain in plain Python, straight from its formulas.

Slow and obvious on purpose: lists and loops, quadratic carry, no numpy. Rows are
dictionaries with the column names of `calls` and `tool_calls`.
"""

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal
from statistics import median
from typing import Any

Row = dict[str, Any]


def judge_chain(calls: Sequence[Row], tools: Sequence[Row]) -> tuple[Row, list[Row]]:
    """Return the verdict on one chain and its tool rows with their carry."""
    talk = [row for row in calls if row["operation"] == "chat"]
    talk.sort(key=lambda row: (row["timestamp"], _none(row["step"]), row["span_id"]))
    kept, wasted = drop_repeats(talk)
    ordinal = {row["span_id"]: place for place, row in enumerate(kept)}
    counted = [row for row in kept if row["input_tokens"] is not None]
    asked = ask(counted, tools)
    lanes = [
        judge_lane([counted[at] for at in lane], lane, asked, ordinal)
        for lane in find_lanes([row["input_tokens"] for row in counted])
        if lane
    ]
    return summarise(kept, counted, wasted, lanes), [
        row for lane in lanes for row in lane["results"]
    ]


def drop_repeats(talk: list[Row]) -> tuple[list[Row], list[Row]]:
    """Split calls into those that count and those that failed or repeat."""
    kept: list[Row] = []
    wasted: list[Row] = []
    last_good = None
    for place, row in enumerate(talk):
        if row["error_type"] is not None:
            wasted.append(row)
            continue
        if last_good is not None and _repeats(talk, last_good, place):
            wasted.append(row)
        else:
            kept.append(row)
        last_good = place
    return kept, wasted


def _repeats(talk: list[Row], first: int, second: int) -> bool:
    one, two = talk[first], talk[second]
    if one["input_tokens"] is None or one["input_tokens"] != two["input_tokens"]:
        return False
    steps = [
        row["step"] if row["step_source"] in ("own", "frame") else None
        for row in (one, two)
    ]
    declared = None not in steps
    if declared and steps[0] == steps[1]:
        return True
    if one["input_hash"] is not None and one["input_hash"] == two["input_hash"]:
        return True
    between = talk[first + 1 : second]
    failed = between and one["input_tokens"] in (
        between[0]["input_tokens"],
        between[-1]["input_tokens"],
    )
    return bool(failed) and not declared


def ask(counted: list[Row], tools: Sequence[Row]) -> list[tuple[int | None, Row]]:
    """Pair each tool row with the counted call that asked for it."""
    pairs = []
    for tool in sorted(tools, key=lambda row: (row["timestamp"], row["span_id"])):
        before = [
            at
            for at, call in enumerate(counted)
            if call["timestamp"] <= tool["timestamp"]
        ]
        caller = before[-1] if before else None
        met = caller is not None and counted[caller]["step"] == tool["step"]
        if tool["step"] is not None and not met:
            same = [
                at for at, call in enumerate(counted) if call["step"] == tool["step"]
            ]
            caller = same[-1] if same else caller
        pairs.append((caller, tool))
    return pairs


def find_lanes(sizes: list[int]) -> list[list[int]]:
    """Return the calls of each lane; one lane unless two conversations interleave."""
    everyone = list(range(len(sizes)))
    if len(sizes) < 8:
        return [everyone]
    change = [b - a for a, b in itertools.pairwise(sizes)]
    large = [
        10 * abs(d) > 3 * max(a, b)
        for d, a, b in zip(change, sizes, sizes[1:], strict=False)
    ]
    if 3 * sum(large) < len(sizes) - 1:
        return [everyone]
    first = large.index(True)
    upper = [change[first] < 0] * (first + 1)
    for d, is_large in zip(change[first:], large[first:], strict=True):
        upper.append(d > 0 if is_large else upper[-1])
    for _ in range(2):
        upper = [_nearer(sizes, upper, at) for at in everyone]
    lanes = [[at for at in everyone if upper[at] is lane] for lane in (False, True)]
    inside = sum(
        abs(sizes[b] - sizes[a]) for lane in lanes for a, b in itertools.pairwise(lane)
    )
    switches = sum(a != b for a, b in itertools.pairwise(upper))
    tangled = (
        min(map(len, lanes)) >= 3
        and 2 * switches >= len(sizes) - 1
        and 4 * inside <= sum(map(abs, change))
    )
    return lanes if tangled else [everyone]


def _nearer(sizes: list[int], upper: list[bool], at: int) -> bool:
    distance = {}
    for lane in (False, True):
        before = [b for b in range(at) if upper[b] is lane]
        if not before:
            return upper[at]
        distance[lane] = abs(sizes[at] - sizes[before[-1]])
    if distance[True] == distance[False]:
        return upper[at]
    return distance[True] < distance[False]


def judge_lane(
    calls: list[Row],
    places: list[int],
    asked: list[tuple[int | None, Row]],
    ordinal: dict[str, int],
) -> Row:
    """Judge the calls of one lane; *places* are their places in the chain."""
    x = [min(row["input_tokens"], 2**31 - 1) for row in calls]
    n = len(x)
    answer = [0] + [
        max(0, _zero(row["output_tokens"]) - _zero(row["reasoning_tokens"]))
        for row in calls[:-1]
    ]
    results: list[list[Row]] = [[] for _ in range(n + 1)]
    for caller, tool in asked:
        if caller in places:
            results[places.index(caller) + 1].append(dict(tool))
    change = [0] + [b - a for a, b in itertools.pairwise(x)]
    size_results(results, x, change, answer)
    entering = [
        sum(_zero(tool["result_tokens"]) for tool in results[k]) for k in range(n)
    ]
    known = [a + e for a, e in zip(answer, entering, strict=True)]
    jump, organic = find_jumps(x, change, known)
    steady = steady_prompts(x, known, entering)
    measured = [
        sum(t["result_tokens"] for t in results[k] if t["source"] == "size")
        for k in range(n)
    ]
    resent, keep, entered, history = measure_resent(x, steady, known, measured)
    period, looping = find_loops(results[1:])
    usd = [
        price_resent(row, row["input_tokens"] - history[k], resent[k])
        for k, row in enumerate(calls)
    ]
    carry(results, answer, keep, entered, history, sum(resent), looping)
    sheds = find_shedding(steady, known, entering)
    growth = judge_growth(x, change, jump, organic, resent, sheds=sheds)
    jumps = [k for k in range(n) if jump[k]]
    return {
        **growth,
        "tokens": sum(x),
        "first_input_tokens": x[0],
        "jumps": [(change[k], ordinal[calls[k]["span_id"]] + 1) for k in jumps],
        "jump_tools": [_largest(results[k]) for k in jumps],
        "loop_period": period,
        "looping": [row for row, hit in zip(calls, looping, strict=True) if hit],
        "resent_tokens": sum(resent),
        "excess_tokens": sum(max(0, tokens - x[0]) for tokens in x),
        "resent_usd": None if None in usd else sum(usd),
        "jump_carry": sum(tool["outside_loop"] for k in jumps for tool in results[k]),
        "results": [tool for tools in results for tool in tools],
    }


def size_results(
    results: list[list[Row]], x: list[int], change: list[int], answer: list[int]
) -> None:
    """Fill ``result_tokens`` and its source: reported, size or difference."""
    n = len(change)
    rows = [tool for tools in results for tool in tools]
    for tool in rows:
        told = tool["result_tokens"] is not None
        measured = tool["result_bytes"] is not None
        tool["source"] = "reported" if told else "size" if measured else None
    both = [t for t in rows if t["source"] == "reported" and t["result_bytes"]]
    top = sum(tool["result_tokens"] for tool in both)
    bottom = sum(tool["result_bytes"] for tool in both)
    points = []
    for k in range(1, n):
        size = sum(_zero(tool["result_bytes"]) for tool in results[k])
        kept = 10 * -change[k] <= 3 * (x[k] - change[k])
        if size and kept and {tool["source"] for tool in results[k]} == {"size"}:
            points.append((size, change[k] - answer[k]))
    ratio = top / bottom if bottom else fit_ratio(points)
    ratio = min(max(ratio, 1 / 16), 1)
    for tool in rows:
        if tool["source"] == "size":
            tool["result_tokens"] = round(tool["result_bytes"] * ratio)
    for k in range(1, n):
        unknown = [tool for tool in results[k] if tool["source"] is None]
        told = sum(_zero(tool["result_tokens"]) for tool in results[k])
        left = max(0, change[k] - answer[k] - told)
        for place, tool in enumerate(unknown):
            more = place < left % len(unknown)
            tool["result_tokens"] = left // len(unknown) + more
            tool["source"] = "difference"


def fit_ratio(points: list[tuple[int, int]]) -> float:
    """Return tokens per byte: of all results together, or the slope of a line."""
    n = len(points)
    if not n:
        return 0.25
    unusual = [(b, g - 0.25 * b) for b, g in points]
    bytes_, more = sum(b for b, _ in unusual), sum(g for _, g in unusual)
    whole = more / bytes_
    rest = sum(g * g for _, g in unusual)
    noise = (_missed(unusual, whole) + rest / max(n, 2)) / max(n, 2)
    through = whole * _draw(bytes_ * bytes_ / max(n, 2), noise)
    if n < 3:
        return 0.25 + through
    centred = [(b - bytes_ / n, g - more / n) for b, g in unusual]
    spread = sum(b * b for b, _ in centred)
    slope = sum(b * g for b, g in centred) / spread if spread else 0.0
    rest = sum(g * g for _, g in centred)
    noise = (_missed(centred, slope) + rest / (n - 1)) / (n - 1)
    line = slope * _draw(spread, noise)
    better = _missed(unusual, through) > _missed(centred, line) * (1 + 4 / (n - 2))
    return 0.25 + (line if better or not -0.04 <= whole <= 0.12 else through)


def _missed(points: list[tuple[float, float]], slope: float) -> float:
    return sum((g - slope * b) ** 2 for b, g in points)


def _draw(spread: float, noise: float) -> float:
    known = spread * 0.08**2
    return known / (known + noise) if known + noise else 0.0


def find_jumps(
    x: list[int], change: list[int], known: list[int]
) -> tuple[list[bool], list[int]]:
    """Return where the context jumped, and the change that is not a jump's."""
    n = len(x)
    jump = [False] * n
    for k in range(1, n):
        past = [abs(d) for d in change[max(1, k - 31) : k]]
        later = [abs(d) for d in change[k + 1 : k + 32]]
        jump[k] = (
            change[k] >= 3000
            and 2 * change[k] >= x[k - 1]
            and (2 * known[k] >= change[k] or change[k] >= 2 * x[k - 1])
            and change[k] >= 6 * (median(past) if past else 0)
            and change[k] >= 8 * (median(past + later) if past + later else 0)
        )
    organic = [0] * n
    for k in range(1, n):
        undone = jump[k - 1] and 2 * change[k] <= -change[k - 1]
        if not jump[k]:
            organic[k] = change[k] + (change[k - 1] if undone else 0)
    return jump, organic


def judge_growth(
    x: list[int],
    change: list[int],
    jump: list[bool],
    organic: list[int],
    resent: list[int],
    *,
    sheds: bool,
) -> Row:
    """Return exponent, line, verdict and shape of one lane."""
    n = len(x)
    y = [sum(organic[: k + 1]) for k in range(n)]
    above = [value - min(y) for value in y]
    moment = sum(k * value for k, value in enumerate(above))
    rest = (n - 0.5) * sum(above) - moment
    exponent = moment / rest if rest > 0 else 1.0
    slope, r2 = fit_line(y)
    late_slope, _ = fit_line(y[n // 2 :])
    travelled = sum(map(abs, organic))
    efficiency = (y[-1] - y[0]) / travelled if travelled else 0.0
    gain = slope * (n - 1)
    levelled = n >= 10 and late_slope < 0.5 * slope and r2 < 0.85
    quadratic = (
        n >= 6
        and exponent >= 1.35
        and efficiency >= 0.2
        and r2 >= 0.3
        and gain >= 0.3 * (x[0] + sum(y) / n)
        and gain >= 500
        and not levelled
        and not sheds
    )
    return {
        "quadratic": quadratic,
        "growth_exponent": exponent if n > 1 else None,
        "growth_r2": r2 if n > 1 else None,
        "slope_tokens_per_step": slope if n > 1 else None,
        "growth_shape": name_shape(
            x, change, jump, resent, exponent, quadratic=quadratic
        ),
    }


def find_shedding(steady: list[int], known: list[int], entering: list[int]) -> bool:
    """Tell whether the context does not keep what was appended."""
    n = len(steady)
    change = [0] + [b - a for a, b in itertools.pairwise(steady)]
    jump, organic = find_jumps(steady, change, known)
    y = [sum(organic[: k + 1]) for k in range(n)]
    slope, r2 = fit_line(y)
    gain = slope * (n - 1)
    known = [0 if j else tokens for tokens, j in zip(known, jump, strict=True)]
    entering = [0 if j else tokens for tokens, j in zip(entering, jump, strict=True)]
    travelled = sum(map(abs, organic))
    efficiency = (y[-1] - y[0]) / travelled if travelled else 0.0
    falls = sum(d < 0 for d in organic)
    kept = 0.75 if falls >= 2 and r2 < 0.92 else 0.4
    if efficiency < 0.9 and gain < kept * sum(known):
        return True
    if 5 * falls >= n - 1 and gain < 0.6 * sum(known):
        return True
    lost = [k - d for k, d in zip(known, organic, strict=True)]
    if gain >= 0.9 * sum(known) or n < 7:
        return False
    whole, tools = _left_over(lost, known), _left_over(lost, entering)
    return whole < 0.1 and whole <= tools


def _left_over(lost: list[int], entered: list[int]) -> float:
    least = 1.0
    for length in range(2, 13):
        places = range(length + 1, len(lost))
        total = sum(lost[k] ** 2 for k in places)
        if len(places) >= 4 and total:
            left = sum((lost[k] - entered[k - length]) ** 2 for k in places)
            least = min(least, left / total)
    return least


def fit_line(y: list[int]) -> tuple[float, float]:
    """Return slope and R^2 of the least-squares line over 0, 1, 2, ..."""
    n = len(y)
    if n < 2:
        return 0.0, 0.0
    mean_k, mean_y = (n - 1) / 2, sum(y) / n
    joint = sum((k - mean_k) * (value - mean_y) for k, value in enumerate(y))
    spread_k = sum((k - mean_k) ** 2 for k in range(n))
    spread_y = sum((value - mean_y) ** 2 for value in y)
    if not spread_y:
        return 0.0, 0.0
    return joint / spread_k, joint * joint / (spread_k * spread_y)


def name_shape(
    x: list[int],
    change: list[int],
    jump: list[bool],
    resent: list[int],
    exponent: float,
    *,
    quadratic: bool,
) -> str:
    """Return the first word that fits."""
    n = len(x)
    undone = [
        k > 0 and jump[k - 1] and not jump[k] and 2 * change[k] <= -change[k - 1]
        for k in range(n)
    ]
    falls = sum(
        change[k] <= -1000 and -change[k] >= 0.3 * x[k - 1] and not undone[k]
        for k in range(1, n)
    )
    stayed = any(jump[k] and not (k + 1 < n and undone[k + 1]) for k in range(n))
    if n < 6:
        return "insufficient"
    if quadratic:
        return "superlinear" if exponent >= 2.6 else "accreting"
    if falls >= 2 and 5 * falls <= n:
        return "sawtooth"
    if stayed:
        return "jump"
    bounded = max(x) >= 1.5 * x[0] and sum(resent) > 0.3 * sum(x)
    return "bounded" if bounded else "flat"


def steady_prompts(x: list[int], known: list[int], entering: list[int]) -> list[int]:
    """Return prompt sizes without what comes and goes."""
    n = len(x)
    change = [0] + [b - a for a, b in itertools.pairwise(x)]
    surprise = [0] + [d - k for d, k in zip(change[1:], known[1:], strict=True)]
    if n < 4 or not any(surprise):
        return x
    cut = [k == 0 or 2 * x[k] < x[k - 1] for k in range(n)]
    squares = [0 if c else e * e for c, e in zip(cut, surprise, strict=True)]
    count = n - sum(cut)
    begins = [
        cut[k] or squares[k] * (count - 1) > 16 * (sum(squares) - squares[k])
        for k in range(n)
    ]
    starts = [k for k in range(n) if begins[k]] + [n]
    stretches = [list(range(a, b)) for a, b in itertools.pairwise(starts)]
    level = [0] * n
    for places in stretches:
        for k in places[1:]:
            level[k] = level[k - 1] + surprise[k]
    inside = [k for k in range(n) if not begins[k]]
    stayed = [0 if begins[k] else surprise[k] for k in range(n)]
    back = sum(a * b for a, b in itertools.pairwise(stayed)) < 0
    memory = _memory(stretches, level) if back and len(inside) >= 3 else 0.0
    if not memory:
        return x
    usual = sum(entering[k] ** 2 for k in inside) / len(inside)
    keep = []
    for k in range(n):
        part = 0.25 + 0.75 * (entering[k] ** 2 / usual if usual else 1)
        wandering = (1 - memory) ** 2 / memory * part
        gain = (wandering + math.sqrt(wandering * (wandering + 4))) / 2
        keep.append(1 / (1 + gain))
    steady = list(x)
    for places in stretches:
        for k in places:
            weights = [math.prod(keep[min(j, k) + 1 : max(j, k) + 1]) for j in places]
            total = sum(w * level[j] for w, j in zip(weights, places, strict=True))
            off = math.floor(total / sum(weights) - level[k] + 0.5 + 1e-6)
            steady[k] = max(0, x[k] + off)
    return steady


def _memory(stretches: list[list[int]], level: list[int]) -> float:
    """Return what a smooth level keeps, the mean of five values by likelihood."""
    memories = (0.0, 0.25, 0.5, 0.75, 1.0)
    count = sum(len(places) - 1 for places in stretches)
    costs = []
    for memory in memories:
        squares = volume = 0.0
        for places in stretches:
            innovation, value = [0.0], 0.0
            for before, k in itertools.pairwise(places):
                value = memory * value + level[k] - level[before]
                innovation.append(value)
            weights = [memory**j for j in range(len(places))]
            opening = sum(w * w for w in weights)
            shared = sum(u * w for u, w in zip(innovation, weights, strict=True))
            squares += max(0.0, sum(u * u for u in innovation) - shared**2 / opening)
            volume += math.log(opening)
        costs.append(count * math.log(max(squares, 1e-6)) + volume)
    odds = [math.exp((min(costs) - cost) / 2) for cost in costs]
    return sum(m * o for m, o in zip(memories, odds, strict=True)) / sum(odds)


def measure_resent(
    x: list[int], steady: list[int], known: list[int], measured: list[int]
) -> tuple[list[int], list[float], list[float], list[int]]:
    """Return re-sent tokens, survival of old and of new items, and history."""
    n = len(x)
    history = [min(max(0, s - steady[0]), a) for s, a in zip(steady, x, strict=True)]
    change = [0] + [b - a for a, b in itertools.pairwise(steady)]
    level = [
        sum(d - k for d, k in zip(change[: at + 1], known[: at + 1], strict=True))
        for at in range(n)
    ]
    resent, keep, entered = [0] * n, [0.0] * n, [1.0] * n
    begin = 0
    for k in range(n):
        expected = min(known[k], history[k])
        older = history[k - 1] if k else 0
        fresh = min(max(change[k], expected, 0), history[k])
        whole = older > 0 and 10 * (history[k] - fresh) >= 7 * older
        if whole:
            height = max(level[max(begin, k - 8) : k])
            fallen = known[k] - change[k]
            too_much = fallen if 0 < 4 * fallen <= measured[k] else 0
            fresh = expected + max(0, level[k] - height) - too_much
            fresh = min(max(0, fresh), history[k])
        else:
            begin = k
        resent[k] = history[k] - fresh
        keep[k] = 1.0 if whole else resent[k] / older if older else 0.0
        if not whole and fresh < known[k]:
            entered[k] = fresh / known[k]
    return resent, keep, entered, history


def find_loops(issued: list[list[Row]]) -> tuple[int, list[bool]]:
    """Return the shortest period of a loop (0: none) and the wasted calls."""
    n = len(issued)
    signed = [
        sorted(
            (t["tool_name"] or "", t["arguments_hash"] or "", t["result_hash"] or "")
            for t in tools
        )
        for tools in issued
    ]
    usable = [
        bool(tools) and all(t["arguments_hash"] is not None for t in tools)
        for tools in issued
    ]
    known = [all(t["result_hash"] is not None for t in tools) for tools in issued]
    period, wasted = 0, [False] * n
    for lag in (1, 2, 3, 4):
        equal = [
            k >= lag and usable[k] and usable[k - lag] and signed[k] == signed[k - lag]
            for k in range(n)
        ]
        repeats = sure = start = 0
        for k in range(n):
            if not equal[k]:
                repeats = sure = 0
                start = k + 1
                continue
            repeats += 1
            sure = sure + 1 if known[k] and known[k - lag] else 0
            if sure >= (3, 4, 5, 7)[lag - 1] or repeats >= 5 * lag:
                period = period or lag
                end = k
                while end + 1 < n and equal[end + 1]:
                    end += 1
                for at in range(start + lag, end + 1):
                    wasted[at] = True
    return period, wasted


def price_resent(call: Row, begin: int, resent: int) -> int | None:
    """Return pico-USD of the tokens sent again, each class rounded down."""
    if not resent:
        return 0
    x = call["input_tokens"]
    cached = min(_zero(call["cache_read_tokens"]), x)
    written = min(_zero(call["cache_write_tokens"]), x - cached)
    end = begin + resent
    read = max(0, min(min(cached, end) - begin, resent))
    write = min(max(0, min(cached + written, end) - max(cached, begin)), resent - read)
    plain = resent - read - write
    if call["other_cost_usd"] and call["other_cost_usd"] == call["cost_usd"]:
        return None
    total = 0
    for part, cost, tokens in (
        (read, "cache_read_cost_usd", _zero(call["cache_read_tokens"])),
        (write, "cache_write_cost_usd", _zero(call["cache_write_tokens"])),
        (plain, "input_cost_usd", x - cached - written),
    ):
        if part and call[cost] is None:
            return None
        if part:
            total += pico(call[cost]) * part // max(tokens, part)
    return total


def carry(
    results: list[list[Row]],
    answer: list[int],
    keep: list[float],
    entered: list[float],
    history: list[int],
    total: int,
    looping: list[bool],
) -> None:
    """Charge what was sent again to results, answers and the rest."""
    n = len(keep)
    kept = [[1.0] * n for _ in range(n)]
    for k in range(n):
        for i in range(k + 1, n):
            kept[k][i] = kept[k][i - 1] * keep[i]
    lasting = [sum(kept[k][k + 1 :]) for k in range(n)]
    new = [
        (answer[k] + sum(t["result_tokens"] or 0 for t in results[k])) * entered[k]
        for k in range(n)
    ]
    alive = [sum(new[k] * kept[k][i] for k in range(i + 1)) for i in range(n)]
    other = [max(0.0, e - a) for e, a in zip(history, alive, strict=True)]
    rest = sum(map(min, other, other[1:]))
    output = sum(a * e * t for a, e, t in zip(answer, entered, lasting, strict=True))
    for k, tools in enumerate(results):
        for tool in tools:
            size = _zero(tool["result_tokens"])
            tool["weight"] = size * entered[k] * lasting[k] if k < n else 0.0
            survived = [i for i in range(k + 1, n) if kept[k][i] >= 0.5]
            tool["carried_steps"] = len(survived) if k < n else 0
    everything = rest + output + sum(t["weight"] for ts in results for t in ts)
    scale = total / everything if everything else 0.0
    for k, tools in enumerate(results):
        for tool in tools:
            tool["carried_tokens"] = tool["weight"] * scale
            free = sum(kept[k][i] for i in range(k + 1, n) if not looping[i])
            share = free / lasting[k] if k < n and lasting[k] else 1.0
            tool["outside_loop"] = tool["carried_tokens"] * share


def summarise(
    kept: list[Row], counted: list[Row], wasted: list[Row], lanes: list[Row]
) -> Row:
    """Put the lanes of a chain together."""
    lead = max(lanes, key=lambda lane: (lane["quadratic"], lane["tokens"]), default={})
    jumps = [jump for lane in lanes for jump in lane["jumps"]]
    tools = [tool for lane in lanes for tool in lane["jump_tools"]]
    unknown = any(lane["resent_usd"] is None for lane in lanes) or not lanes
    resent = sum(lane["resent_tokens"] for lane in lanes)
    whole = wasted + [row for lane in lanes for row in lane["looping"]]
    largest = max(range(len(jumps)), key=lambda j: (jumps[j][0], -j), default=None)
    return {
        "calls": len(kept),
        "quadratic": lead.get("quadratic", False),
        "growth_shape": lead.get("growth_shape", "insufficient"),
        "growth_exponent": lead.get("growth_exponent"),
        "growth_r2": lead.get("growth_r2"),
        "slope_tokens_per_step": lead.get("slope_tokens_per_step"),
        "jump_steps": sorted(at for _, at in jumps),
        "jump_tool": None if largest is None else tools[largest],
        "jump_tokens": None if largest is None else jumps[largest][0],
        "first_input_tokens": lead.get("first_input_tokens"),
        "is_loop": bool(lead.get("loop_period")),
        "loop_period": lead.get("loop_period") or None,
        "resent_tokens": resent if counted else None,
        "excess_tokens": (
            sum(lane["excess_tokens"] for lane in lanes) if counted else None
        ),
        "resent_usd": (
            None if unknown else usd(sum(lane["resent_usd"] for lane in lanes))
        ),
        "waste_tokens": sum(
            _zero(row["input_tokens"]) + _zero(row["output_tokens"]) for row in whole
        )
        + sum(lane["jump_carry"] for lane in lanes),
    }


def pico(amount: Decimal) -> int:
    """Return dollars as whole pico-USD."""
    return int(amount * 10**12)


def usd(amount: int) -> Decimal:
    """Return pico-USD as dollars."""
    return Decimal(amount) / 10**12


def _largest(tools: list[Row]) -> str | None:
    largest = max(tools, key=lambda tool: _zero(tool["result_tokens"]), default=None)
    return largest["tool_name"] if largest else None


def _zero(value: int | None) -> int:
    return value or 0


def _none(value: int | None) -> int:
    return -1 if value is None else value
