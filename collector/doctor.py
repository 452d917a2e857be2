"""
A look at everything that can be wrong, one line each.

Changes nothing, apart from a file in the data directory that is written and removed.
"""

import importlib.metadata
import os
import platform
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa

from collector.config import ENVIRONMENT_PREFIX, Settings, load_settings
from collector.errors import SpanledgerError
from collector.running import running_service
from collector.sections import split_listen
from collector.telemetry import read_statuses
from collector.web.readiness import ALL_ROLES, judge_readiness

Status = Literal["ok", "warn", "fail"]

OWN_NAMES: Final = ("collector", "pricing", "proto_handlers", "rollups")
DISTRIBUTION: Final = "spanledger"

_PACKAGES: Final = ("duckdb", "pyarrow", "grpcio", "protobuf", "ptars", "starlette")
_NETWORK_DISKS: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "lustre", "fuse.sshfs"}
)
_FREE_BYTES: Final = 1 << 30
_OLD_LIST_DAYS: Final = 60
_BACKLOG_BYTES: Final = 64 << 20
_DAY_SECONDS: Final = 86_400

CHECK_SCHEMA: Final = pa.schema(
    [
        ("check", pa.string()),
        ("status", pa.string()),
        ("finding", pa.string()),
        ("hint", pa.string()),
    ]
)
"""Findings as people see them."""


class Check(NamedTuple):
    """One finding."""

    check: str
    status: Status
    finding: str
    hint: str | None = None


def examine(config: Path | None) -> list[Check]:
    """
    Return what is found, in the order of looking.

    Args:
        config: Settings file, as for every verb.
    """
    checks = [*check_packages(), *check_environment()]
    try:
        settings = load_settings(config)
    except SpanledgerError as error:
        return [*checks, Check("settings", "fail", error.line())]
    checks += check_settings(settings)
    for look in _LOOKS:
        try:
            checks += look(settings)
        except (SpanledgerError, OSError, ValueError) as error:
            line = error.line() if isinstance(error, SpanledgerError) else str(error)
            checks.append(Check(look.__name__.removeprefix("check_"), "fail", line))
    return checks


def as_table(checks: list[Check]) -> pa.Table:
    """Return findings as a table."""
    rows = [check._asdict() for check in checks]
    return pa.Table.from_pylist(rows, schema=CHECK_SCHEMA)


def draw_checks(checks: list[Check]) -> str:
    """Return findings as text for people, one line each."""
    width = max(len(check.check) for check in checks)
    lines = [
        f"{check.status:<4}  {check.check:<{width}}  {check.finding}"
        + (f"; {check.hint}" if check.hint else "")
        for check in checks
    ]
    return "\n".join(lines) + "\n"


def check_packages(
    owners: Callable[[], Any] = importlib.metadata.packages_distributions,
) -> Iterator[Check]:
    """Look at versions, and at who else owns the names that we import."""
    versions = [f"Python {platform.python_version()}"]
    for name in (DISTRIBUTION, *_PACKAGES):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            yield Check("packages", "fail", f"{name} is not installed")
    yield Check("packages", "ok", ", ".join(versions))
    found = owners()
    for name in OWN_NAMES:
        others = sorted(set(found.get(name, ())) - {DISTRIBUTION})
        if others:
            yield Check(
                "import names",
                "fail",
                f"{name} also belongs to {', '.join(others)}",
                "install spanledger in an environment of its own",
            )
            return
    yield Check("import names", "ok", f"{', '.join(OWN_NAMES)} are ours")


def check_environment() -> Iterator[Check]:
    """List the variables that settings are read from."""
    names = sorted(
        name for name in os.environ if name.upper().startswith(ENVIRONMENT_PREFIX)
    )
    if names:
        yield Check("environment", "ok", ", ".join(names))


def check_settings(settings: Settings) -> Iterator[Check]:
    """List the settings that are not the defaults; secrets are hidden."""
    changed = [
        f"{section}.{key} = {value}" if key else f"{section} = {value}"
        for section, key, value in _changed(settings)
    ]
    yield Check("settings", "ok", "; ".join(changed) or "all defaults")
    known = {"total", *_call_columns(settings)}
    for budget in settings.budgets:
        if budget.dimension not in known:
            yield Check(
                "budgets",
                "fail",
                f"{budget.name}: calls has no column {budget.dimension}",
                "name a ledger column or a configured dimension",
            )


def _changed(settings: Settings) -> Iterator[tuple[str, str, object]]:
    plain, default = settings.model_dump(mode="json"), Settings.model_fields
    for section, value in plain.items():
        standard = default[section].get_default(call_default_factory=True)
        if not hasattr(standard, "model_dump"):
            if getattr(settings, section) != standard:
                yield section, "", _without_secrets(value)
            continue
        before = standard.model_dump(mode="json")
        for key, item in value.items():
            if item != before[key]:
                yield section, key, _without_secrets(item)


def _without_secrets(value: object) -> object:
    """Return *value* with nothing of a URL but scheme and host: the rest may be one."""
    if isinstance(value, dict):
        return {key: _without_secrets(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_secrets(item) for item in value]
    if isinstance(value, str) and "://" in value:
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return value


def _call_columns(settings: Settings) -> list[str]:
    from rollups.schema import call_schema  # noqa: PLC0415

    return list(call_schema(tuple(settings.dimensions)).names)


def check_data_dir(settings: Settings) -> Iterator[Check]:
    """Look whether the data directory can be written and is on a local disk."""
    folder = settings.data_dir.absolute()
    present = next(path for path in (folder, *folder.parents) if path.exists())
    probe = present / f".doctor.{os.getpid()}.tmp"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        hint = "give the service's user a directory that it may write"
        yield Check("data_dir", "fail", f"{present}: {error.strerror}", hint)
        return
    kind = disk_kind(present, Path("/proc/self/mounts"))
    if kind in _NETWORK_DISKS:
        hint = "the journal needs a local disk: fsync there is not what it promises"
        yield Check("data_dir", "fail", f"{folder} is on {kind}", hint)
        return
    free = shutil.disk_usage(present).free
    status: Status = "ok" if free >= _FREE_BYTES else "warn"
    said = f"{folder} is writable, {kind}, {free / (1 << 30):.1f} GiB free"
    yield Check("data_dir", status, said, None if status == "ok" else "make room")


def disk_kind(path: Path, mounts: Path) -> str:
    """Return the kind of file system that *path* is on, as *mounts* has it."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return "unknown disk"
    best = ("", "unknown disk")
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        place = point.replace("\\040", " ")
        if path.resolve().is_relative_to(place) and len(place) >= len(best[0]):
            best = (place, kind)
    return best[1]


def check_ports(settings: Settings) -> Iterator[Check]:
    """Look whether the service runs, or could listen."""
    service = running_service(settings.state_dir)
    if service is not None:
        listens = f"grpc {service.grpc}, http {service.http}, web {service.web or '-'}"
        yield Check("service", "ok", f"runs as process {service.pid}, {listens}")
        return
    if alone := _running_roles(settings):
        said = ", ".join(f"{role} as process {pid}" for role, pid in alone.items())
        yield Check("service", "ok", f"roles run alone: {said}")
        return
    yield Check("service", "ok", "does not run on this data directory")
    for name in ("grpc", "http", "web"):
        listen = getattr(settings, name).listen
        try:
            _try_listen(listen)
        except OSError as error:
            hint = f"another program has it; set {name}.listen"
            yield Check("ports", "fail", f"{name} {listen}: {error.strerror}", hint)
        else:
            yield Check("ports", "ok", f"{name} {listen} is free")


def _try_listen(listen: str) -> None:
    host, port = split_listen(listen)
    family, kind, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with closing(socket.socket(family, kind)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)


def _running_roles(settings: Settings) -> dict[str, int]:
    """Return the process of each role that runs, with or without a service."""
    statuses = read_statuses(settings.state_dir)
    return {role: said["pid"] for role, said in statuses.items() if said["running"]}


def check_roles(settings: Settings) -> Iterator[Check]:
    """Look at what the roles last said of themselves."""
    roles: Iterable[str] = ALL_ROLES
    if running_service(settings.state_dir) is None:
        # Roles that are meant to run alone say nothing of the others.
        roles = _running_roles(settings)
    for role, said in judge_readiness(settings.state_dir, [*roles])["roles"].items():
        reason, later = said.get("reason"), said.get("unindexed_hours")
        if not said["ready"]:
            yield Check(role, "fail", str(reason))
        elif reason:
            yield Check(role, "warn", str(reason))
        elif later:
            found = f"{later:,} old hours are still to be looked into for late spans"
            yield Check(role, "ok", found)


def check_journal(settings: Settings) -> Iterator[Check]:
    """Look how much waits in the journal, and whether something was damaged."""
    from collector.journal import JournalReader  # noqa: PLC0415

    folder = settings.journal_dir
    if not (folder / "journal.json").exists():
        yield Check("journal", "ok", "none yet")
        return
    with closing(JournalReader.open(folder)) as reader:
        backlog = reader.backlog_bytes
    is_small = backlog < _BACKLOG_BYTES
    yield Check(
        "journal",
        "ok" if is_small else "warn",
        f"{backlog:,} bytes wait to be drained",
        None if is_small else "is the drain role running, can it write the lake?",
    )
    damaged = len(list((folder / "corrupt").glob("*")))
    if damaged:
        hint = f"look at {folder / 'corrupt'} and at the disk"
        yield Check("journal", "warn", f"{damaged} damaged regions set aside", hint)


def check_lake(settings: Settings) -> Iterator[Check]:
    """Look whether the lake can be read, and how far it is accounted."""
    from collector.lake.commits import new_commits, read_commit  # noqa: PLC0415
    from collector.lake.target import open_target  # noqa: PLC0415
    from collector.query.sql import run_sql  # noqa: PLC0415
    from collector.query.views import Lake  # noqa: PLC0415

    lake = Lake.of(settings)
    if lake.directory is not None and not lake.directory.is_dir():
        hint = "the first start makes it"
        yield Check("lake", "ok", f"{lake.directory} is not there yet", hint)
        return
    found = run_sql(lake, "SELECT count(*) AS n, max(timestamp) AS last FROM calls")
    row = found.to_pylist()[0]
    yield Check("lake", "ok", f"{row['n']:,} calls, the last at {row['last'] or '-'}")
    target = open_target(settings.lake_url)
    commits = list(new_commits(target, {}))
    if not commits:
        yield Check("commits", "ok", "none yet")
        return
    last = max(
        read_commit(target, journal, end).committed_unix_nano
        for journal, end in dict(commits).items()
    )
    age_seconds = max(0.0, time.time() - last / 1e9)
    waiting = len(list(new_commits(target, _watermark(settings))))
    yield Check(
        "commits",
        "ok" if not waiting else "warn",
        f"last commit {age_seconds:,.0f} s ago, {waiting} not accounted",
        None if not waiting else "is the account role running?",
    )


def _watermark(settings: Settings) -> dict[str, str]:
    import json  # noqa: PLC0415

    try:
        manifest = json.loads(
            (settings.state_dir / "account" / "manifest.json").read_text()
        )
        return dict(manifest["taken"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def check_prices(settings: Settings) -> Iterator[Check]:
    """Look at the price book: does it load, how old is its list."""
    from collector.lake.books import book_of  # noqa: PLC0415

    book = book_of(settings)
    days = (time.time() - book.newest_micros / 1e6) / _DAY_SECONDS
    is_new = days < _OLD_LIST_DAYS
    yield Check(
        "prices",
        "ok" if is_new else "warn",
        f"book {book.version}, list of {days:,.0f} days ago",
        None if is_new else "update spanledger, or set prices.book",
    )


def check_rules(settings: Settings) -> Iterator[Check]:
    """Look at the rules and at the webhooks they end in."""
    from collector.alerts.listing import list_deliveries  # noqa: PLC0415
    from collector.alerts.webhook import load_endpoints  # noqa: PLC0415
    from rollups.registry import find_rules  # noqa: PLC0415

    folder = settings.rules.dir
    if folder is not None and not folder.is_dir():
        yield Check("rules", "fail", f"rules.dir: {folder} is no directory")
    rules = find_rules(folder)
    unknown = set(settings.rules.disabled) - {rule.name for rule in rules}
    for name in sorted(unknown | (settings.rules.parameters.keys() - _names(rules))):
        yield Check("rules", "warn", f"settings name a rule {name} that is not there")
    yield Check("rules", "ok", ", ".join(rule.name for rule in rules))
    endpoints = load_endpoints(settings.alerts)
    said = ", ".join(endpoint.name for endpoint in endpoints) or "no webhook"
    yield Check("alerts", "ok", said)
    store = settings.state_dir / "alerts.sqlite"
    dead = list_deliveries(store, states=("dead",)).num_rows
    if dead:
        hint = "spanledger alerts list shows why, alerts retry sends them again"
        yield Check("alerts", "warn", f"{dead} alerts could not be delivered", hint)


def _names(rules: Any) -> set[str]:  # noqa: ANN401
    return {rule.name for rule in rules}


_LOOKS: Final = (
    check_data_dir,
    check_ports,
    check_roles,
    check_journal,
    check_lake,
    check_prices,
    check_rules,
)
