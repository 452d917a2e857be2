"""
Score and time the growth detector: ``python -P tests/bench/growth.py [--data DIR]``.

Prints one JSON line per figure. DIR holds gzipped JSON lines of labelled runs
(``labelled_dev``) and of real runs without labels (``real_runs``), whose increments
are replayed under a sliding window, compaction and no history: there every verdict
is a false alarm. Without DIR the few runs of the fixtures are scored. Seconds are the
process's own, the first run is not counted.
"""

import argparse
import itertools
import json
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS / "support"))

from growth_rows import Tables, read_runs, tables_of  # noqa: E402

from rollups.growth import judge_chains  # noqa: E402

FIXTURES = TESTS / "fixtures" / "growth"
REPLAYED_CALLS = 12
WINDOWS = (3, 5, 8)
COMPACTIONS = 4
KEPT_BY_COMPACTION = 0.15
LEAST_RISE = 500

Run = dict[str, Any]
Verdict = dict[str, Any]
Judge = Callable[[list[Run]], dict[str, dict[str, Verdict]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=FIXTURES)
    data = parser.parse_args().data
    labelled = [run for run in read(data, "labelled_dev", "runs") if "label" in run]
    real = [run for run in read(data, "real_runs", "runs") if "label" not in run]
    score_labelled(labelled, judge(labelled))
    score_replays(real, judge)
    clock("runs as recorded", tables_of(labelled))
    clock("chains of 1000 calls", tables_of(long_runs()))


def read(folder: Path, *names: str) -> list[Run]:
    for name in names:
        if (path := folder / f"{name}.jsonl.gz").exists():
            return read_runs(path)
    return []


def judge(runs: list[Run]) -> dict[str, dict[str, Verdict]]:
    """Return verdicts by run and chain."""
    found: dict[str, dict[str, Verdict]] = defaultdict(dict)
    for row in judge_chains(*tables_of(runs)).chains.to_pylist():
        found[row["trace_id"]][row["chain_id"]] = row
    return found


def score_labelled(runs: list[Run], verdicts: dict[str, dict[str, Verdict]]) -> None:
    """Print the scores of runs, *verdicts* by run and chain."""
    score_synthetic([run for run in runs if run["source"] == "synthetic"], verdicts)
    score_recorded([run for run in runs if run["source"] != "synthetic"], verdicts)


def score_synthetic(runs: list[Run], verdicts: dict[str, dict[str, Verdict]]) -> None:
    growth, keyed, loops, jumps = Counter(), Counter(), Counter(), Counter()
    resent, complete, waste = [], [], []
    for run in runs:
        label, chains = run["label"], verdicts[run["run_id"]]
        if not label["ambiguous"]:
            quadratic = any(row["quadratic"] for row in chains.values())
            growth[quadratic, label["quadratic"]] += 1
            if not label.get("hidden_chain"):
                keyed[quadratic, label["quadratic"]] += 1
        loops[any(row["is_loop"] for row in chains.values()), label["loop"]] += 1
        found = {step for chain in chains for step in jump_steps(run, chain, chains)}
        count_steps(jumps, found, set(label["jump_steps"]))
        if label["resent_tokens"] and not label.get("hidden_chain"):
            error = error_of(chains, "resent_tokens", label["resent_tokens"])
            resent.append(error)
            if not label.get("partial"):
                complete.append(error)
        if label["waste_tokens"]:
            waste.append(error_of(chains, "waste_tokens", label["waste_tokens"]))
    report("growth, synthetic runs with a chain key", **scores(keyed))
    report("growth, all synthetic runs", **scores(growth))
    report("loops, synthetic runs", **scores(loops))
    report("jumps at the exact step, synthetic runs", **scores(jumps))
    report("re-sent tokens, synthetic runs", **errors(resent))
    report("re-sent tokens, synthetic runs without lost spans", **errors(complete))
    report("wasted tokens, synthetic runs", **errors(waste))


def score_recorded(runs: list[Run], verdicts: dict[str, dict[str, Verdict]]) -> None:
    growth, loops, jumps, visible = Counter(), Counter(), Counter(), Counter()
    for run in runs:
        for chain, label in run["label"]["chains"].items():
            row = verdicts[run["run_id"]][chain]
            if label["quadratic"] is not None:
                growth[row["quadratic"], label["quadratic"]] += 1
            loops[row["is_loop"], label["loop"]] += 1
            found, expected = set(row["jump_steps"]), set(label["jump_steps"] or [])
            count_steps(jumps, found, expected)
            count_steps(visible, found, expected & rising_steps(run, chain))
    if runs:
        report("growth, chains of real runs", **scores(growth))
        report("loops, chains of real runs", **scores(loops))
        report("jumps at the exact step, chains of real runs", **scores(jumps))
        report("jumps of real runs, labels where input rises", **scores(visible))


def rising_steps(run: Run, chain: str) -> set[int]:
    """
    Return the calls of a chain, from 1, that sent more than the call before.

    Some labels stand on the chain that asked for a result, not on the one that took
    it in: there the input stays as it was, and no detector of jumps can agree.
    """
    sizes = [step["in"] for step in run["steps"] if step["c"] == chain]
    return {
        place
        for place, (before, after) in enumerate(itertools.pairwise(sizes), start=2)
        if after >= before + LEAST_RISE
    }


def score_replays(runs: list[Run], judge: Judge) -> None:
    """Count verdicts on real increments in contexts that do not accumulate."""
    replays = [replay for run in runs for replay in replayed(run)]
    alarms, total = Counter(), Counter()
    for run_id, chains in judge(replays).items():
        kind = run_id.rpartition("/")[2]
        total[kind] += 1
        alarms[kind] += any(row["quadratic"] for row in chains.values())
    report(
        "false alarms on replayed real increments",
        replays=total.total(),
        false_alarms=round(alarms.total() / max(total.total(), 1), 4),
        **{kind: round(alarms[kind] / total[kind], 4) for kind in sorted(total)},
    )


def replayed(run: Run) -> Iterator[Run]:
    chains = defaultdict(list)
    for step in sorted(run["steps"], key=lambda step: step["i"]):
        chains[step["c"]].append(step)
    for chain, steps in chains.items():
        if len(steps) < REPLAYED_CALLS:
            continue
        sizes = [step["in"] for step in steps]
        rises = [max(0, b - a) for a, b in itertools.pairwise(sizes)]
        for kind, contexts in histories(rises):
            yield {
                "run_id": f"{run['run_id']}/{chain}/{kind}",
                "source": run["source"],
                "steps": [
                    step
                    | {"in": sizes[0] + context, "c": "main", "cr": None, "cw": None}
                    for step, context in zip(steps, contexts, strict=True)
                ],
            }


def histories(rises: list[int]) -> Iterator[tuple[str, list[int]]]:
    yield "no history", [0, *rises]
    for window in WINDOWS:
        if len(rises) + 1 >= 3 * window:
            yield (
                f"window of {window}",
                [sum(rises[max(0, at - window) : at]) for at in range(len(rises) + 1)],
            )
    limit, held, contexts = sum(rises) / COMPACTIONS, 0.0, [0]
    for rise in rises:
        if held and held + rise > limit:
            held *= KEPT_BY_COMPACTION
        held += rise
        contexts.append(int(held))
    yield "compaction", contexts


def jump_steps(run: Run, chain: str, chains: dict[str, Verdict]) -> Iterator[int]:
    """Yield the recorded numbers of the steps at which the chain jumped."""
    steps = [
        step
        for step in run["steps"]
        if (step["c"] or "main") == chain and not step.get("dup")
    ]
    steps.sort(key=lambda step: step["ts"])
    for place in chains[chain]["jump_steps"]:
        if place <= len(steps):
            step = steps[place - 1]
            yield int(step["span"][:4]) + 1 if step["i"] is None else step["i"]


def count_steps(counter: Counter, found: set[int], expected: set[int]) -> None:
    counter[True, True] += len(found & expected)
    counter[True, False] += len(found - expected)
    counter[False, True] += len(expected - found)


def scores(counter: Counter) -> dict[str, float]:
    hits, false, missed = (
        counter[True, True],
        counter[True, False],
        counter[False, True],
    )
    return {
        "precision": round(hits / max(hits + false, 1), 4),
        "recall": round(hits / max(hits + missed, 1), 4),
        "f1": round(2 * hits / max(2 * hits + false + missed, 1), 4),
        "right": hits,
        "false": false,
        "missed": missed,
    }


def error_of(chains: dict[str, Verdict], name: str, expected: int) -> float:
    return abs(sum(row[name] or 0 for row in chains.values()) - expected) / expected


def errors(found: list[float]) -> dict[str, float]:
    return {
        "runs": len(found),
        "median_error": round(statistics.median(found or [0]), 4),
        "mean_error": round(statistics.fmean(found or [0]), 4),
    }


def long_runs() -> list[Run]:
    """Return runs of a thousand calls whose context is cut now and then."""
    return [
        {
            "run_id": f"long/{run}",
            "steps": [
                {
                    "i": at,
                    "c": "main",
                    "in": 3000 + 700 * (at % 90) + (at * 7919 + run) % 300,
                    "out": 120,
                    "t": [["read", f"{run}{at}", 500 + at % 90, f"{run}{at}"]],
                }
                for at in range(1000)
            ],
        }
        for run in range(40)
    ]


def clock(name: str, tables: Tables, rounds: int = 9) -> None:
    seconds = []
    for _ in range(rounds + 1):
        begin = time.process_time()
        judge_chains(*tables)
        seconds.append(time.process_time() - begin)
    report(
        f"time, {name}",
        calls=tables.calls.num_rows,
        tool_calls=tables.tool_calls.num_rows,
        median_seconds=round(statistics.median(seconds[1:]), 4),
        least_seconds=round(min(seconds[1:]), 4),
        calls_per_second=int(tables.calls.num_rows / min(seconds[1:])),
        pyarrow=pa.__version__,
    )


def report(figure: str, **values: Any) -> None:
    print(json.dumps({"stage": "growth", "figure": figure, **values}))


if __name__ == "__main__":
    main()
