"""OTLP requests from files, through the same journal, drain and account as the wire."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from collector.config import Settings
from collector.errors import MalformedRequestError, SpanledgerError
from collector.ingest.files import (
    LOGS,
    find_files,
    read_requests,
    signal_of,
    split_request,
)
from collector.ingest.senders import FrontDoor, OwnHands, Sender
from collector.receive.validity import check_logs, check_traces
from collector.running import running_service
from proto_handlers.errors import DecodeError

_BAR_WIDTH = 30


class Refused(NamedTuple):
    """A file, or spans in it, that could not be taken."""

    place: str
    reason: str


def ingest_files(
    settings: Settings, paths: Sequence[Path], *, alert: bool = False
) -> int:
    """
    Take requests from files; return when all are in the lake, ledger and rollups.

    Goes through the front door of the service that runs on the data directory, else
    does the work of the three roles itself.

    Args:
        settings: Where the journal, lake and state are.

        paths: ``.pb``, ``.json`` or ``.jsonl`` files, or folders that hold them; of
            log records those are used that tell calls.

        alert: Tell of findings about old times, too.

    Returns:
        0, or 1 if a file was refused; the others are still taken.

    Raises:
        SpanledgerError: *alert* is asked of a running service, or it cannot be reached.
    """
    files = list(find_files(paths))
    service = running_service(settings.state_dir)
    if service is not None and alert:
        error = SpanledgerError(f"ingest: --alert: process {service.pid} runs here")
        error.hint = "a service tells of the last hour only: stop it first"
        raise error
    sender: Sender = (
        FrontDoor(settings, service.http, web=service.web)
        if service is not None
        else OwnHands(settings, alert=alert)
    )
    refused: list[Refused] = []
    spans = 0
    with sender:
        for path in _with_progress(files):
            taken, problems = _ingest_file(sender, path)
            spans += taken
            refused += problems
        sender.settle()
    for place, reason in refused:
        print(f"refused: {place}: {reason}", file=sys.stderr)
    print(f"{len(files)} files, {spans} spans taken, {len(refused)} refused")
    return 1 if refused else 0


def _with_progress(files: Sequence[Path]) -> Iterator[Path]:
    is_shown = sys.stderr.isatty()
    for number, path in enumerate(files, start=1):
        if is_shown:
            done = _BAR_WIDTH * number // len(files)
            bar = "#" * done + "." * (_BAR_WIDTH - done)
            print(f"\r[{bar}] {number}/{len(files)}", end="", file=sys.stderr)
        yield path
    if is_shown and files:
        print(file=sys.stderr)


def _ingest_file(sender: Sender, path: Path) -> tuple[int, list[Refused]]:
    taken = 0
    problems: list[Refused] = []
    try:
        for request in read_requests(path):
            for part in split_request(request):
                payload, signal = part.SerializeToString(), signal_of(part)
                check = check_logs if signal is LOGS else check_traces
                verdict = check(payload)
                if verdict.rejected:
                    reason = f"{verdict.rejected} spans: {verdict.reason}"
                    problems.append(Refused(str(path), reason))
                if verdict.items > verdict.rejected:
                    sender.send(payload, signal.name)
                if signal is not LOGS:
                    taken += verdict.items - verdict.rejected
    except (DecodeError, MalformedRequestError, OSError) as error:
        problems.append(Refused(str(path), str(error)))
    return taken, problems
