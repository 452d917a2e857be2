"""
The command ``spanledger``: what may be written, and which verb it calls.

Imports nothing heavy, so that help and wrong usage answer at once.
Exit codes: 0 done, 1 failed, 2 wrong usage.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from collector import price_verbs, verbs
from collector.errors import SpanledgerError
from collector.saying import fail

FORMATS: Final = ("table", "json", "csv")
REPORTS: Final = (
    "features",
    "steps",
    "traces",
    "runs",
    "tools",
    "models",
    "users",
    "growth",
    "carried",
    "trend",
    "retrieval",
    "loops",
    "retries",
    "waste",
    "savings",
    "unpriced",
    "reported",
)
_ROLES: Final = {
    "receive": "take requests and keep them in the journal",
    "drain": "move what the journal holds into the lake",
    "account": "make the ledger, rollups and alerts from the lake",
}

Verb = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return the exit code."""
    parsed = build_parser().parse_args(arguments)
    parsed.config = getattr(parsed, "config", None)
    run: Verb = parsed.run
    try:
        return run(parsed)
    except SpanledgerError as error:
        return fail(error.line())
    except BrokenPipeError:
        # whoever read our output has seen enough
        with contextlib.suppress(OSError):
            sys.stdout = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115, PTH123
        return 1
    except KeyboardInterrupt:
        return fail("interrupted")
    except (OSError, ValueError) as error:
        return fail(" ".join(str(error).split()))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    everywhere = argparse.ArgumentParser(add_help=False)
    everywhere.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="settings in TOML; default is the file that SPANLEDGER_CONFIG names",
    )
    parser = argparse.ArgumentParser(
        prog="spanledger",
        description="LLM cost from OpenTelemetry spans: receive, price, roll up, warn.",
        parents=[everywhere],
    )
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def add(
        name: str,
        run: Verb,
        text: str,
        group: Any = subparsers,  # noqa: ANN401
    ) -> argparse.ArgumentParser:
        verb: argparse.ArgumentParser = group.add_parser(
            name, help=text, description=text, parents=[everywhere]
        )
        verb.set_defaults(run=run)
        return verb

    add("serve", verbs.serve, "run the service until SIGTERM")
    for role, text in _ROLES.items():
        add(role, verbs.role, f"run one role alone: {text}").set_defaults(role=role)
    add("demo", verbs.demo, "show on a small agent workload what the service does")
    _add_data_verbs(add)
    _add_query_verbs(add)
    _add_group_verbs(add, subparsers)
    add("version", verbs.version, "print the version")
    docs = add("docs", verbs.docs, "write the pages that are made from code")
    docs.add_argument("folder", type=Path, metavar="DIR")
    return parser


def _add_data_verbs(add: Any) -> None:  # noqa: ANN401
    ingest = add("ingest", verbs.ingest, "take OTLP requests from files")
    ingest.add_argument("files", nargs="+", type=Path, metavar="FILE")
    ingest.add_argument(
        "--alert", action="store_true", help="tell of findings about old times, too"
    )
    _add_what_if(add)
    add("rebuild", verbs.rebuild, "make the ledger again from the lake's spans")
    reprice = add(
        "reprice", price_verbs.reprice, "price stored calls again and keep what changes"
    )
    _add_period(reprice)
    _add_book(reprice)
    reprice.add_argument(
        "--dry-run", action="store_true", help="show the difference, write nothing"
    )
    _add_format(reprice)
    doctor = add("doctor", verbs.doctor, "look at everything that can be wrong")
    _add_format(doctor)


def _add_what_if(add: Any) -> None:  # noqa: ANN401
    verb = add(
        "whatif", price_verbs.whatif, "show what calls would have cost otherwise"
    )
    verb.add_argument(
        "--swap",
        action="append",
        default=[],
        metavar="WHERE:CHANGE",
        help="such as 'step=0:model=claude-haiku-4-5' or ':service_tier=flex'; may be"
        " repeated",
    )
    verb.add_argument("--cache", choices=("on", "off"), help="prompts with a cache")
    verb.add_argument("--batch", action="store_true", help="at batch prices")
    _add_book(verb)
    verb.add_argument("--feature", help="only calls of this feature")
    verb.add_argument(
        "--where",
        default="",
        metavar="KEY=VALUE,...",
        help="only such calls: model, step or a text column; values are globs",
    )
    _add_period(verb)
    _add_format(verb)


def _add_query_verbs(add: Any) -> None:  # noqa: ANN401
    sql = add("sql", verbs.sql, "run one query over the lake")
    sql.add_argument("statement", metavar="STATEMENT", help="- reads standard input")
    _add_period(sql)
    _add_format(sql)
    report = add("report", verbs.report, "show what things cost")
    report.add_argument("name", choices=REPORTS, metavar="|".join(REPORTS))
    report.add_argument("--limit", type=_positive, default=100, help="rows at most")
    costs = report.add_mutually_exclusive_group()
    costs.add_argument(
        "--as-recorded",
        dest="costs",
        action="store_const",
        const="recorded",
        default="recorded",
        help="costs by the price book in force when calls came; the default",
    )
    costs.add_argument(
        "--restated",
        dest="costs",
        action="store_const",
        const="restated",
        help="costs as the newest restatement has them",
    )
    report.add_argument(
        "--set",
        dest="parameters",
        action="append",
        type=_parameter,
        default=[],
        metavar="NAME=NUMBER",
        help="a parameter of the report, such as cut_results_to=2000; may be repeated",
    )
    _add_period(report)
    _add_format(report)
    trace = add("trace", verbs.trace, "show one trace as a waterfall with cost")
    trace.add_argument("trace_id", metavar="TRACE")
    _add_format(trace)
    explain = add("explain", verbs.explain, "show how the cost of a span comes about")
    explain.add_argument("trace_id", metavar="TRACE")
    explain.add_argument("span_id", metavar="SPAN")
    _add_format(explain, FORMATS[:2])


def _add_group_verbs(add: Any, subparsers: Any) -> None:  # noqa: ANN401
    rules = _add_group(subparsers, "rules", "list and try the alert rules")
    _add_format(add("list", verbs.rules_list, "list the rules", rules))
    test = add("test", verbs.rules_test, "show what rules find, and tell nobody", rules)
    test.add_argument("names", nargs="*", metavar="RULE")
    _add_period(test)
    _add_format(test)
    alerts = _add_group(subparsers, "alerts", "list, test, retry and silence alerts")
    listed = add("list", verbs.alerts_list, "list alerts and what is not sent", alerts)
    listed.add_argument("--all", action="store_true", help="resolved and sent, too")
    _add_format(listed)
    _add_format(add("test", verbs.alerts_test, "send a test to every webhook", alerts))
    retry = add("retry", verbs.alerts_retry, "send again what was given up", alerts)
    retry.add_argument("webhook_ids", nargs="*", metavar="WEBHOOK_ID")
    silence = add("silence", verbs.alerts_silence, "mute alerts for a while", alerts)
    silence.add_argument("--rule", help="only alerts of this rule")
    silence.add_argument(
        "--scope",
        action="append",
        type=_pair,
        default=[],
        metavar="KEY=VALUE",
        help="only alerts about this; may be repeated",
    )
    silence.add_argument("--for", dest="length", default="1h", metavar="TIME")
    silence.add_argument("--comment", default="", help="why, for others")
    silence.add_argument("--end", type=int, metavar="ID", help="end a silence instead")
    prices = _add_group(subparsers, "prices", "look into the price book and renew it")
    show = add("show", price_verbs.prices_show, "show what a model costs", prices)
    show.add_argument("model", metavar="MODEL")
    show.add_argument("--at", type=_moment, metavar="TIME", help="default is now")
    for name in (
        *("provider", "region", "deployment", "tenant", "feature"),
        *("processing", "speed"),
    ):
        show.add_argument(f"--{name}")
    show.add_argument("--service-tier")
    _add_format(show)
    check = add(
        "check", price_verbs.prices_check, "list models without a price", prices
    )
    _add_period(check)
    _add_format(check)
    update = add(
        "update", price_verbs.prices_update, "take a newer list of prices", prices
    )
    update.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="a list, LiteLLM's JSON or a book; default is the installed genai-prices",
    )
    update.add_argument("--yes", action="store_true", help="take it without asking")
    update.add_argument("--dry-run", action="store_true", help="only show it")
    _add_format(update)
    add("reload", price_verbs.prices_reload, "put changed price files in force", prices)


def _add_group(subparsers: Any, name: str, text: str) -> Any:  # noqa: ANN401
    group = subparsers.add_parser(name, help=text, description=text)
    return group.add_subparsers(title="verbs", metavar="VERB", required=True)


def _add_period(verb: argparse.ArgumentParser) -> None:
    text = "ISO 8601, UTC without a zone, or how long ago: 7d, 24h, 90m"
    verb.add_argument("--since", type=_moment, metavar="TIME", help=text)
    verb.add_argument("--until", type=_moment, metavar="TIME", help="exclusive")


def _add_book(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--book",
        metavar="FILE",
        help="a book's artefact or folder, or the version of one that the lake keeps;"
        " default is that of the settings",
    )
    verb.add_argument(
        "--overlay", type=Path, metavar="FILE", help="rules to put on top of the book"
    )


def _add_format(
    verb: argparse.ArgumentParser, formats: Sequence[str] = FORMATS
) -> None:
    verb.add_argument("--format", choices=formats, default=formats[0])


def _moment(text: str) -> datetime:
    from collector.query.times import parse_time  # noqa: PLC0415

    try:
        return parse_time(text)
    except SpanledgerError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        message = f"{text!r} is not a positive number"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _parameter(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if not name or not number.isdigit():
        message = f"{text!r} is not like cut_results_to=2000"
        raise argparse.ArgumentTypeError(message)
    return name, int(number)


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        message = f"{text!r} is not like feature=refund"
        raise argparse.ArgumentTypeError(message)
    return key, value
