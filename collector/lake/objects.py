"""The raw objects of ``lake/spans`` by hour, and hours whose raw objects are gone."""

import json
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from collector.lake.layout import LEDGER_TABLES, SPANS, Partition, part_key
from collector.lake.target import Target

_RETIRED: Final = "_meta/retired.json"


def spans_by_hour(target: Target) -> dict[int, list[str]]:
    """Return the keys of all spans objects, by their hour, hours and keys sorted."""
    return _by_hour(target.keys(SPANS))


def spans_of_hour(target: Target, hour: int) -> list[str]:
    """Return the keys of one hour's spans objects, sorted."""
    return _by_hour(target.keys(f"{SPANS}/{Partition(hour).folder}")).get(hour, [])


def _by_hour(keys: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for key in keys:
        partition = Partition.parse(str(PurePosixPath(key).parent))
        is_object = key.endswith(".parquet") and not key.endswith("/empty.parquet")
        if partition is not None and is_object:
            found.setdefault(partition.hour, []).append(key)
    return found


def published_hours(target: Target, table: str) -> set[int]:
    """Return the hours of which a derived table has a partition."""
    parts = [key for key in target.keys(table) if key.endswith("/part.parquet")]
    return set(_by_hour(parts))


def retired_hours(target: Target) -> set[int]:
    """
    Return the hours whose raw objects are known to be gone.

    What is published of them cannot be made again, so it is never taken back.
    """
    content = target.get(_RETIRED)
    return set(json.loads(content)["hours"]) if content else set()


def retire_hours(target: Target, hours: Iterable[int]) -> None:
    """Record durably that the raw objects of *hours* are gone or about to be."""
    known = retired_hours(target)
    if not known.issuperset(hours):
        every = sorted(known.union(hours))
        target.put(_RETIRED, json.dumps({"hours": every}).encode())


def find_retired(target: Target, raw: Mapping[int, object]) -> set[int]:
    """
    Return the hours that have published ledger rows and no object among *raw*.

    Somebody deleted their spans. They are recorded as `retired_hours`.
    """
    gone: set[int] = set()
    for name in LEDGER_TABLES:
        for hour in published_hours(target, name) - raw.keys() - gone:
            if target.footer(part_key(name, Partition(hour))).rows:
                gone.add(hour)
    retire_hours(target, gone)
    return gone | retired_hours(target)
