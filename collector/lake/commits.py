"""Intents and commit records: what the drain is about to write, and has written."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from collector.errors import LakeError
from collector.lake.target import Target

_COMMITS: Final = "_meta/commits"
_INTENTS: Final = "_meta/intents"
_BATCH: Final = re.compile(r"/(?P<journal_id>[0-9a-f]+)-(?P<start>\d+-\d+)\.parquet$")


class Intent(NamedTuple):
    """A batch that is being published: its range in the journal and its keys."""

    start: str
    end: str
    keys: tuple[str, ...]


class StoredObject(NamedTuple):
    """One object of a committed batch."""

    key: str
    etag: str
    rows: int


class Commit(NamedTuple):
    """A batch that is published: everything of its journal up to *end* is."""

    journal_id: str
    start: str
    end: str
    objects: tuple[StoredObject, ...]
    committed_unix_nano: int


def write_intent(target: Target, journal_id: str, intent: Intent) -> None:
    """Record durably what is about to be published."""
    target.put(f"{_INTENTS}/{journal_id}.json", _dump(intent._asdict()))


def read_intent(target: Target, journal_id: str) -> Intent | None:
    """Return the last intent of a journal, if there was one."""
    content = target.get(f"{_INTENTS}/{journal_id}.json")
    if content is None:
        return None
    fields = json.loads(content)
    return Intent(fields["start"], fields["end"], tuple(fields["keys"]))


def write_commit(target: Target, commit: Commit) -> None:
    """Record durably that a batch is published."""
    fields = commit._asdict()
    fields["objects"] = [stored._asdict() for stored in commit.objects]
    target.put(_commit_key(commit.journal_id, commit.end), _dump(fields))


def read_commit(target: Target, journal_id: str, end: str) -> Commit:
    """Return a commit record; raises `LakeError` if it cannot be read."""
    content = target.get(_commit_key(journal_id, end))
    if content is None:
        message = f"commit record: {_commit_key(journal_id, end)}: missing"
        raise LakeError(message)
    fields = json.loads(content)
    fields["objects"] = tuple(StoredObject(**item) for item in fields["objects"])
    return Commit(**fields)


def new_commits(target: Target, taken: dict[str, str]) -> Iterable[tuple[str, str]]:
    """
    Return journal and position of commits after those *taken*, oldest first.

    Positions are text of fixed width, so that their order is that of the journal.
    """
    for key in target.keys(_COMMITS):
        journal_id, _, name = key.removeprefix(f"{_COMMITS}/").partition("/")
        end = name.removesuffix(".json")
        if end > taken.get(journal_id, ""):
            yield journal_id, end


def is_taken(key: str, taken: Mapping[str, str]) -> bool:
    """
    Return whether a spans object is of a batch that *taken* positions are behind.

    The name of an object says where its batch starts. An object that no journal wrote,
    such as a compacted one, is made of taken ones.
    """
    named = _BATCH.search(key)
    return named is None or named["start"] < taken.get(named["journal_id"], "")


def forget_commits(target: Target, taken: dict[str, str], *, keep: int) -> int:
    """Delete records of what was *taken*, but the last *keep* of each journal."""
    removed = 0
    for journal_id, last in taken.items():
        done = [
            key
            for key in target.keys(f"{_COMMITS}/{journal_id}")
            if key <= _commit_key(journal_id, last)
        ]
        for key in done[: max(0, len(done) - keep)]:
            target.delete(key)
            removed += 1
    return removed


def _commit_key(journal_id: str, end: str) -> str:
    return f"{_COMMITS}/{journal_id}/{end}.json"


def _dump(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()
