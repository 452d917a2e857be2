"""
Kill every part of the service, again and again, and count what was lost or doubled.

    python -P tests/bench/kill.py [--rounds 20] [--seed 1]

A round kills receive, drain, account and the whole tree once each, in random order,
while two senders go on. After each round all that was acknowledged must be stored and
billed exactly once. Prints one JSON line; exits 1 at the first round that is not right.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

SUPPORT = Path(__file__).parents[1] / "support"
sys.path.insert(0, str(SUPPORT))

from kill_rounds import VICTIMS, check_everything_once, kill_round  # noqa: E402
from service import service, write_config  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    started = time.monotonic()
    loads = []
    with tempfile.TemporaryDirectory() as folder:
        config = write_config(
            Path(folder), store="flush_seconds = 0.2", account="tick_seconds = 0.2"
        )
        with service(config) as running:
            for number in range(arguments.rounds):
                seed = arguments.seed + number
                loads.append(kill_round(running, random.Random(seed), seed=seed))
                try:
                    check_everything_once(running.lake, loads)
                except AssertionError as error:
                    print(f"round {number} (seed {seed}): {error}", file=sys.stderr)
                    return 1
    figures = {
        "bench": "kill",
        "rounds": arguments.rounds,
        "kills": arguments.rounds * len(VICTIMS),
        "spans": sum(len(load.acknowledged) for load in loads),
        "lost": 0,
        "doubled": 0,
        "seconds": round(time.monotonic() - started),
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
