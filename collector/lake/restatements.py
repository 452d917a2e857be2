"""
Restatements: what calls cost by a price book that was not in force when they came.

One file per hour and restatement, named by its id. A restatement counts when its
manifest is there, which is written last: files without one are what a repricing left
that did not come to its end.
"""

import json
from datetime import UTC, datetime
from typing import Final, NamedTuple

from collector.lake.layout import Partition
from collector.lake.target import Target

RESTATEMENTS: Final = "restatements"
_MANIFESTS: Final = "_meta/restatements"


class Restatement(NamedTuple):
    """One repricing that counts."""

    restatement_id: str
    known_at: datetime
    price_version: str
    since: datetime | None
    """Start of the time it is about; null is open."""
    until: datetime | None
    calls: int
    """Calls that were priced again."""
    restated_calls: int
    """Calls whose cost, parts, status or reason became another."""


def name_restatement(known_at: datetime, price_version: str) -> str:
    """Return the id: ids in order are restatements in order of time."""
    moment = known_at.astimezone(UTC)
    return f"{moment:%Y%m%dT%H%M%S}{moment.microsecond:06d}Z-{price_version}"


def restatement_key(partition: Partition, restatement_id: str) -> str:
    """Return the key of the rows of one hour."""
    return f"{RESTATEMENTS}/{partition.folder}/{restatement_id}.parquet"


def commit_restatement(target: Target, restatement: Restatement) -> None:
    """Let a restatement count, whose files are all there."""
    fields = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in restatement._asdict().items()
    }
    key = f"{_MANIFESTS}/{restatement.restatement_id}.json"
    target.put(key, json.dumps(fields, separators=(",", ":")).encode())


def list_restatements(target: Target) -> list[Restatement]:
    """Return the restatements that count, oldest first."""
    manifests = [target.get(key) for key in target.keys(_MANIFESTS)]
    return [_parse(content) for content in manifests if content is not None]


def restatement_ids(target: Target) -> list[str]:
    """Return the ids of the restatements that count, oldest first, by one listing."""
    keys = target.keys(_MANIFESTS)
    return [key.rpartition("/")[2].removesuffix(".json") for key in keys]


def _parse(content: bytes) -> Restatement:
    fields = json.loads(content)
    for name in ("known_at", "since", "until"):
        if fields[name] is not None:
            fields[name] = datetime.fromisoformat(fields[name])
    return Restatement(**fields)


def rows_keys(target: Target, partition: Partition, counted: set[str]) -> list[str]:
    """Return the keys of an hour's rows that count."""
    keys = target.keys(f"{RESTATEMENTS}/{partition.folder}")
    return [key for key in keys if _id_of(key) in counted]


def rows_of(target: Target, counted: set[str]) -> list[tuple[Partition, str]]:
    """Return the hours of the calls that *counted* are about, with the rows' keys."""
    found = []
    for key in target.keys(RESTATEMENTS):
        partition = Partition.parse(key.rpartition("/")[0])
        if partition is not None and _id_of(key) in counted:
            found.append((partition, key))
    return found


def sweep_restatements(target: Target) -> int:
    """
    Delete what repricings left that did not come to their end.

    The caller sees to it that none is at work.
    """
    counted = {one.restatement_id for one in list_restatements(target)}
    left = [
        key
        for key in target.keys(RESTATEMENTS)
        if not key.endswith("/empty.parquet") and _id_of(key) not in counted
    ]
    for key in left:
        target.delete(key)
    return len(left)


def _id_of(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".parquet")
