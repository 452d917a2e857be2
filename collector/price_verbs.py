"""
The verbs about prices, as `collector.verbs` has the others.

Heavy imports stay inside the verbs: each pays only for what it uses.
"""

import argparse
import sys
from datetime import UTC, datetime

from collector.saying import fail, period_of, quiet_settings, show_json, show_said


def reprice(arguments: argparse.Namespace) -> int:
    """Price stored calls again; 1 if some could not be."""
    from collector.lake.books import find_book
    from collector.repricing.reprice import reprice

    settings = quiet_settings(arguments)
    book = find_book(settings, arguments.book, overlay=arguments.overlay)
    done = reprice(settings, period_of(arguments), book, dry_run=arguments.dry_run)
    if arguments.format == "json":
        show_json(done.document())
    else:
        show_said(done.differences, arguments.format, ["", *done.notes()])
    for one in done.set_aside:
        fail(f"{one.key}: not priced again: {one.reason}")
    return 1 if done.set_aside else 0


def whatif(arguments: argparse.Namespace) -> int:
    """Show what calls would have cost otherwise."""
    from collector.lake.books import find_book
    from collector.repricing.swaps import Swap, Where, parse_swap, parse_where
    from collector.repricing.whatif import Question, ask_what_if, text_columns

    settings = quiet_settings(arguments)
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
    answer = ask_what_if(settings, question, period_of(arguments))
    if arguments.format == "json":
        show_json(answer.document())
    else:
        show_said(answer.differences, arguments.format, ["", *answer.notes()])
    return 0


def prices_show(arguments: argparse.Namespace) -> int:
    """Show what a model costs; 1 if there is no price."""
    from collector.lake.books import book_of
    from collector.query.price_gaps import nearest_names
    from collector.query.price_list import price_list
    from pricing.book import CallKey

    book = book_of(quiet_settings(arguments))
    told = {name: getattr(arguments, name, None) for name in CallKey._fields}
    key = CallKey(**{**told, "request_model": arguments.model})
    table = price_list(book, key, arguments.at or datetime.now(UTC))
    notes = ["", f"price book {book.version}"]
    is_priced = table["usd"].null_count < table.num_rows
    if not is_priced:
        near = nearest_names(book, arguments.provider, arguments.model)
        notes += [f"names like it: {', '.join(near)}"] if near else []
    show_said(table, arguments.format, notes)
    return 0 if is_priced else 1


def prices_check(arguments: argparse.Namespace) -> int:
    """List models of the lake that have no price; 1 if something is to be done."""
    from collector.lake.books import book_of
    from collector.query.ask import ask_report
    from collector.query.price_gaps import price_gaps, waits_only
    from collector.query.reports import RESTATED

    settings = quiet_settings(arguments)
    book = book_of(settings)
    report = ask_report(
        settings, "unpriced", period_of(arguments), 1000, costs=RESTATED
    )
    gaps = price_gaps(report.table, book, datetime.now(UTC))
    if not gaps.num_rows and arguments.format == "table":
        print(f"every model has a price, price book {book.version}")
        return 0
    show_said(gaps, arguments.format, ["", f"price book {book.version}"])
    return 0 if waits_only(gaps) else 1


def prices_update(arguments: argparse.Namespace) -> int:
    """Show what a newer list changes, and take it if told to."""
    from collector.query.price_updates import find_update, take_update

    settings = quiet_settings(arguments)
    # What is no table goes to a program, which wants nothing else on standard output.
    said = sys.stdout if arguments.format == "table" else sys.stderr
    update = find_update(settings, arguments.file)
    if not update.changes:
        print(f"no price changes, price book {update.old.version}", file=said)
        return 0
    show_said(update.table(), arguments.format, ["", update.summary()])
    for warning in update.warnings():
        print(f"spanledger: {warning}", file=sys.stderr)
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

    print(reload_book(quiet_settings(arguments)))
    return 0
