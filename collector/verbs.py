"""
The verbs of the command ``spanledger``: each takes what was written, returns 0 or 1.

Heavy imports stay inside the verbs: each pays only for what it uses.
"""

import argparse
import sys
from datetime import UTC, datetime

from collector.saying import (
    fail,
    period_of,
    quiet_settings,
    settings_of,
    show,
    show_json,
    show_said,
)


def serve(arguments: argparse.Namespace) -> int:
    """Run the service until SIGTERM."""
    from collector.serve import serve

    return serve(settings_of(arguments))


def role(arguments: argparse.Namespace) -> int:
    """Run one role alone until SIGTERM."""
    from collector.roles import run_role

    return run_role(arguments.role, settings_of(arguments))


def demo(arguments: argparse.Namespace) -> int:
    """Show on a small agent workload what the service does."""
    from collector.demo import run_demo

    return run_demo(settings_of(arguments) if arguments.config else None)


def ingest(arguments: argparse.Namespace) -> int:
    """Take OTLP requests from files."""
    from collector.ingest import ingest_files

    settings = quiet_settings(arguments)
    return ingest_files(settings, arguments.files, alert=arguments.alert)


def rebuild(arguments: argparse.Namespace) -> int:
    """Make the ledger again from the lake's spans."""
    from collector.account.rebuild import rebuild

    rebuilt = rebuild(quiet_settings(arguments))
    print(f"{rebuilt.spans:,} spans read")
    if rebuilt.kept_hours:
        print(f"{rebuilt.kept_hours:,} hours kept as published: their spans are gone")
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Look at everything that can be wrong; 1 if something is."""
    from collector.doctor import as_table, draw_checks, examine

    checks = examine(arguments.config)
    if arguments.format == "table":
        sys.stdout.write(draw_checks(checks))
    else:
        show(as_table(checks), arguments.format)
    return 1 if any(check.status == "fail" for check in checks) else 0


def sql(arguments: argparse.Namespace) -> int:
    """Run one query over the lake."""
    from collector.query.ask import ask_sql

    text = arguments.statement
    statement = sys.stdin.read() if text == "-" else text
    table = ask_sql(quiet_settings(arguments), statement, period_of(arguments))
    show(table, arguments.format)
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Show what things cost."""
    from collector.query.ask import ask_report
    from collector.query.formats import summary_notes

    report = ask_report(
        quiet_settings(arguments),
        arguments.name,
        period_of(arguments),
        arguments.limit,
        costs=arguments.costs,
        parameters=dict(arguments.parameters),
    )
    if arguments.format == "json":
        show_json(report.document())
    else:
        show_said(report.table, arguments.format, ["", *summary_notes(report.summary)])
    return 0


def trace(arguments: argparse.Namespace) -> int:
    """Show one trace as a waterfall with cost."""
    from collector.query.ask import ask_trace
    from collector.query.trace import draw_trace

    trace = ask_trace(quiet_settings(arguments), arguments.trace_id)
    match arguments.format:
        case "table":
            sys.stdout.write(draw_trace(trace))
        case "json":
            show_json(trace.document())
        case form:
            show(trace.table, form)
    return 0


def explain(arguments: argparse.Namespace) -> int:
    """Show how the cost of a span comes about."""
    from collector.query.explain import explain_span
    from collector.query.receipt_text import draw_receipt
    from collector.query.views import Lake

    lake = Lake.of(quiet_settings(arguments))
    receipt = explain_span(lake, arguments.trace_id, arguments.span_id)
    if arguments.format == "json":
        show_json(receipt.document())
    else:
        sys.stdout.write(draw_receipt(receipt))
    return 0


def rules_list(arguments: argparse.Namespace) -> int:
    """List the rules."""
    from collector.query.rule_runs import list_rules

    show(list_rules(quiet_settings(arguments)), arguments.format)
    return 0


def rules_test(arguments: argparse.Namespace) -> int:
    """Show what rules find; 1 if one cannot be run."""
    from collector.query.rule_runs import try_rules

    settings = quiet_settings(arguments)
    tried = try_rules(settings, arguments.names, period_of(arguments))
    show_said(tried.findings, arguments.format)
    for failure in tried.failures:
        fail(failure)
    return 1 if tried.failures else 0


def alerts_list(arguments: argparse.Namespace) -> int:
    """List alerts, what is not sent, and silences."""
    from collector.alerts import listing

    store = quiet_settings(arguments).state_dir / "alerts.sqlite"
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

        show_json({name: plain_rows(table) for name, table in tables.items()})
        return 0
    for name, table in tables.items():
        if name == "alerts" or (arguments.format == "table" and table.num_rows):
            show_said(table, arguments.format, [""])
    return 0


def alerts_test(arguments: argparse.Namespace) -> int:
    """Send a test to every webhook; 1 if one does not take it."""
    import pyarrow as pa

    from collector.alerts.listing import send_test

    tried = send_test(quiet_settings(arguments).alerts)
    if not tried:
        return fail("alerts: no webhook in the settings; set alerts.webhook_url")
    table = pa.Table.from_pylist([one._asdict() for one in tried])
    show(table, arguments.format)
    return 0 if all(one.delivered for one in tried) else 1


def alerts_retry(arguments: argparse.Namespace) -> int:
    """Send again what was given up."""
    from collector.alerts.listing import retry_dead

    store = quiet_settings(arguments).state_dir / "alerts.sqlite"
    now = datetime.now(UTC)
    count = retry_dead(store, now=now, webhook_ids=arguments.webhook_ids)
    print(f"{count} put back into the outbox")
    return 0 if count or not arguments.webhook_ids else 1


def alerts_silence(arguments: argparse.Namespace) -> int:
    """Mute alerts for a while, or end a silence."""
    from collector.alerts import listing
    from collector.query.times import parse_time

    store = quiet_settings(arguments).state_dir / "alerts.sqlite"
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
