"""
The verbs of the command ``spanledger``: each takes what was written, returns 0 or 1.

Heavy imports stay inside the verbs: each pays only for what it uses.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from collector.config import Settings
    from collector.query.times import Period


def fail(line: str) -> int:
    """Say in one line on standard error what went wrong; return 1."""
    print(f"spanledger: {line}", file=sys.stderr)
    return 1


def _settings(arguments: argparse.Namespace) -> "Settings":
    from collector.config import load_settings

    return load_settings(arguments.config)


def _quiet_settings(arguments: argparse.Namespace) -> "Settings":
    """Return the settings for a verb whose output is its result, not its log."""
    from collector.telemetry import configure_logging

    configure_logging("cli", level="warning")
    return _settings(arguments)


def _period(arguments: argparse.Namespace) -> "Period":
    from collector.query.times import Period

    return Period(arguments.since, arguments.until)


def _show(table: "pa.Table", form: str, notes: Sequence[str] = ()) -> None:
    from collector.query.formats import format_table

    sys.stdout.write(format_table(table, form, notes))


def _show_said(table: "pa.Table", form: str, notes: Sequence[str] = ()) -> None:
    """Show a table of ours: people do not want columns that say nothing."""
    from collector.query.formats import without_empty_columns

    _show(without_empty_columns(table) if form == "table" else table, form, notes)


def _show_json(document: Mapping[str, Any]) -> None:
    from collector.query.formats import to_json

    sys.stdout.write(to_json(document))


def serve(arguments: argparse.Namespace) -> int:
    """Run the service until SIGTERM."""
    from collector.serve import serve

    return serve(_settings(arguments))


def role(arguments: argparse.Namespace) -> int:
    """Run one role alone until SIGTERM."""
    from collector.roles import run_role

    return run_role(arguments.role, _settings(arguments))


def demo(arguments: argparse.Namespace) -> int:
    """Show on a small agent workload what the service does."""
    from collector.demo import run_demo

    return run_demo(_settings(arguments) if arguments.config else None)


def ingest(arguments: argparse.Namespace) -> int:
    """Take OTLP requests from files."""
    from collector.ingest import ingest_files

    settings = _quiet_settings(arguments)
    return ingest_files(settings, arguments.files, alert=arguments.alert)


def rebuild(arguments: argparse.Namespace) -> int:
    """Make the ledger again from the lake's spans."""
    from collector.account.rebuild import rebuild

    rebuilt = rebuild(_quiet_settings(arguments))
    print(f"{rebuilt.spans:,} spans read")
    if rebuilt.kept_hours:
        print(f"{rebuilt.kept_hours:,} hours kept as published: their spans are gone")
    return 0


def reprice(arguments: argparse.Namespace) -> int:
    """Price stored calls again; 1 if some could not be."""
    from collector.lake.books import find_book
    from collector.repricing.reprice import reprice

    settings = _quiet_settings(arguments)
    book = find_book(settings, arguments.book, overlay=arguments.overlay)
    done = reprice(settings, _period(arguments), book, dry_run=arguments.dry_run)
    if arguments.format == "json":
        _show_json(done.document())
    else:
        _show_said(done.differences, arguments.format, ["", *done.notes()])
    for one in done.set_aside:
        fail(f"{one.key}: not priced again: {one.reason}")
    return 1 if done.set_aside else 0


def whatif(arguments: argparse.Namespace) -> int:
    """Show what calls would have cost otherwise."""
    from collector.lake.books import find_book
    from collector.repricing.swaps import Swap, Where, parse_swap, parse_where
    from collector.repricing.whatif import Question, ask_what_if, text_columns

    settings = _quiet_settings(arguments)
    columns = text_columns(settings)
    swaps = [parse_swap(text, columns) for text in arguments.swap]
    if arguments.cache:
        swaps.append(Swap(Where(), {}, cache=arguments.cache))
    if arguments.batch:
        swaps.append(Swap(Where(), {"processing": "batch"}))
    book = arguments.book and find_book(settings, arguments.book, overlay=None)
    question = Question(
        tuple(swaps),
        parse_where(arguments.where, columns),
        arguments.feature,
        book,
        arguments.overlay,
    )
    answer = ask_what_if(settings, question, _period(arguments))
    if arguments.format == "json":
        _show_json(answer.document())
    else:
        _show_said(answer.differences, arguments.format, ["", *answer.notes()])
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Look at everything that can be wrong; 1 if something is."""
    from collector.doctor import as_table, draw_checks, examine

    checks = examine(arguments.config)
    if arguments.format == "table":
        sys.stdout.write(draw_checks(checks))
    else:
        _show(as_table(checks), arguments.format)
    return 1 if any(check.status == "fail" for check in checks) else 0


def sql(arguments: argparse.Namespace) -> int:
    """Run one query over the lake."""
    from collector.query.ask import ask_sql

    text = arguments.statement
    statement = sys.stdin.read() if text == "-" else text
    table = ask_sql(_quiet_settings(arguments), statement, _period(arguments))
    _show(table, arguments.format)
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Show what things cost."""
    from collector.query.ask import ask_report
    from collector.query.formats import summary_notes

    report = ask_report(
        _quiet_settings(arguments),
        arguments.name,
        _period(arguments),
        arguments.limit,
        costs=arguments.costs,
        parameters=dict(arguments.parameters),
    )
    if arguments.format == "json":
        _show_json(report.document())
    else:
        _show_said(report.table, arguments.format, ["", *summary_notes(report.summary)])
    return 0


def trace(arguments: argparse.Namespace) -> int:
    """Show one trace as a waterfall with cost."""
    from collector.query.ask import ask_trace
    from collector.query.trace import draw_trace

    trace = ask_trace(_quiet_settings(arguments), arguments.trace_id)
    match arguments.format:
        case "table":
            sys.stdout.write(draw_trace(trace))
        case "json":
            _show_json(trace.document())
        case form:
            _show(trace.table, form)
    return 0


def explain(arguments: argparse.Namespace) -> int:
    """Show how the cost of a span comes about."""
    from collector.query.explain import draw_receipt, explain_span
    from collector.query.views import Lake

    lake = Lake.of(_quiet_settings(arguments))
    receipt = explain_span(lake, arguments.trace_id, arguments.span_id)
    if arguments.format == "json":
        _show_json(receipt.document())
    else:
        sys.stdout.write(draw_receipt(receipt))
    return 0


def rules_list(arguments: argparse.Namespace) -> int:
    """List the rules."""
    from collector.query.rule_runs import list_rules

    _show(list_rules(_quiet_settings(arguments)), arguments.format)
    return 0


def rules_test(arguments: argparse.Namespace) -> int:
    """Show what rules find; 1 if one cannot be run."""
    from collector.query.rule_runs import try_rules

    settings = _quiet_settings(arguments)
    tried = try_rules(settings, arguments.names, _period(arguments))
    _show_said(tried.findings, arguments.format)
    for failure in tried.failures:
        fail(failure)
    return 1 if tried.failures else 0


def alerts_list(arguments: argparse.Namespace) -> int:
    """List alerts, what is not sent, and silences."""
    from collector.alerts import listing

    store = _quiet_settings(arguments).state_dir / "alerts.sqlite"
    now = datetime.now(UTC)
    states = ("firing", "pending", *(("resolved",) if arguments.all else ()))
    letters = ("waiting", "dead", *(("delivered",) if arguments.all else ()))
    tables = {
        "alerts": listing.list_alerts(store, now=now, states=states),
        "deliveries": listing.list_deliveries(store, states=letters),
        "silences": listing.list_silences(store, now=now),
    }
    if arguments.format == "json":
        from collector.query.formats import plain_rows

        _show_json({name: plain_rows(table) for name, table in tables.items()})
        return 0
    for name, table in tables.items():
        if name == "alerts" or (arguments.format == "table" and table.num_rows):
            _show_said(table, arguments.format, [""])
    return 0


def alerts_test(arguments: argparse.Namespace) -> int:
    """Send a test to every webhook; 1 if one does not take it."""
    import pyarrow as pa

    from collector.alerts.listing import send_test

    tried = send_test(_quiet_settings(arguments).alerts)
    if not tried:
        return fail("alerts: no webhook in the settings; set alerts.webhook_url")
    table = pa.Table.from_pylist([one._asdict() for one in tried])
    _show(table, arguments.format)
    return 0 if all(one.delivered for one in tried) else 1


def alerts_retry(arguments: argparse.Namespace) -> int:
    """Send again what was given up."""
    from collector.alerts.listing import retry_dead

    store = _quiet_settings(arguments).state_dir / "alerts.sqlite"
    now = datetime.now(UTC)
    count = retry_dead(store, now=now, webhook_ids=arguments.webhook_ids)
    print(f"{count} put back into the outbox")
    return 0 if count or not arguments.webhook_ids else 1


def alerts_silence(arguments: argparse.Namespace) -> int:
    """Mute alerts for a while, or end a silence."""
    from collector.alerts import listing
    from collector.query.times import parse_time

    store = _quiet_settings(arguments).state_dir / "alerts.sqlite"
    if arguments.end is not None:
        if not listing.unsilence(store, arguments.end):
            return fail(f"alerts: no silence {arguments.end}")
        print(f"silence {arguments.end} ended")
        return 0
    now = datetime.now(UTC)
    until = now + (now - parse_time(arguments.length, now=now))
    number = listing.silence(
        store,
        now=now,
        until=until,
        rule=arguments.rule,
        scope=dict(arguments.scope),
        comment=arguments.comment,
    )
    print(f"silence {number} until {until:%Y-%m-%dT%H:%M:%SZ}")
    return 0


def prices_show(arguments: argparse.Namespace) -> int:
    """Show what a model costs; 1 if there is no price."""
    from collector.lake.books import book_of
    from collector.query.price_gaps import nearest_names
    from collector.query.price_list import price_list
    from pricing.book import CallKey

    book = book_of(_quiet_settings(arguments))
    told = {name: getattr(arguments, name, None) for name in CallKey._fields}
    key = CallKey(**{**told, "request_model": arguments.model})
    table = price_list(book, key, arguments.at or datetime.now(UTC))
    notes = ["", f"price book {book.version}"]
    is_priced = table["usd"].null_count < table.num_rows
    if not is_priced:
        near = nearest_names(book, arguments.provider, arguments.model)
        notes += [f"names like it: {', '.join(near)}"] if near else []
    _show_said(table, arguments.format, notes)
    return 0 if is_priced else 1


def prices_check(arguments: argparse.Namespace) -> int:
    """List models of the lake that have no price; 1 if there are any."""
    from collector.lake.books import book_of
    from collector.query.ask import ask_report
    from collector.query.price_gaps import price_gaps

    settings = _quiet_settings(arguments)
    book = book_of(settings)
    report = ask_report(settings, "unpriced", _period(arguments), 1000)
    gaps = price_gaps(report.table, book, datetime.now(UTC))
    if not gaps.num_rows and arguments.format == "table":
        print(f"every model has a price, price book {book.version}")
        return 0
    _show_said(gaps, arguments.format, ["", f"price book {book.version}"])
    return 1 if gaps.num_rows else 0


def prices_update(arguments: argparse.Namespace) -> int:
    """Show what a newer list changes, and take it if told to."""
    from collector.query.price_updates import find_update, take_update

    settings = _quiet_settings(arguments)
    # What is no table goes to a program, which wants nothing else on standard output.
    said = sys.stdout if arguments.format == "table" else sys.stderr
    update = find_update(settings, arguments.file)
    if not update.changes:
        print(f"no price changes, price book {update.old.version}", file=said)
        return 0
    _show_said(update.table(), arguments.format, ["", update.summary()])
    if alarms := update.alarms():
        print(f"spanledger: look at {alarms} rates that jump", file=sys.stderr)
    if arguments.dry_run:
        return 0
    if not arguments.yes and not _agreed("take these prices?"):
        return fail("prices: nothing taken; --yes takes them")
    print(take_update(settings, update), file=said)
    return 0


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        return False
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def prices_reload(arguments: argparse.Namespace) -> int:
    """Put price files that changed in force, from now on."""
    from collector.query.price_updates import reload_book

    print(reload_book(_quiet_settings(arguments)))
    return 0


def version(_arguments: argparse.Namespace) -> int:
    """Print the version."""
    from importlib.metadata import version

    print(f"spanledger {version('spanledger')}")
    return 0


def docs(arguments: argparse.Namespace) -> int:
    """Write the pages that are made from code."""
    from collector.reference import write_pages

    for path in write_pages(arguments.folder):
        print(path)
    return 0
