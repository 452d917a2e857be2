"""What if: the same calls by other facts or another book, and the difference."""

from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.config import Settings
from collector.errors import ConfigError, QueryError
from collector.lake.books import Books
from collector.lake.target import open_target
from collector.query.formats import plain_rows, plain_value
from collector.query.times import Period
from collector.query.views import Lake, open_lake
from collector.repricing.facts import change_facts
from collector.repricing.stored import Mask
from collector.repricing.sums import SUM_TYPE, merge_sums, sum_groups
from collector.repricing.swaps import Swap, Where
from collector.repricing.texts import query_sums, repricing_text
from pricing import PriceBook, PriceBookError, price_calls

_CALLS_AT_ONCE: Final = 250_000
_KEYS: Final = ("feature", "step")
_UNKNOWN: Final = "unknown_model"
_SUMS: Final = pa.schema(
    [
        ("feature", pa.string()),
        ("step", pa.int32()),
        ("cost_usd", SUM_TYPE),
        ("whatif_usd", SUM_TYPE),
        ("calls", pa.int64()),
        ("changed_calls", pa.int64()),
        ("unpriced_calls", pa.int64()),
        ("partial_calls", pa.int64()),
        ("later_book_calls", pa.int64()),
    ]
)


class Question(NamedTuple):
    """What is to be otherwise, and of which calls."""

    swaps: tuple[Swap, ...] = ()
    where: Where = Where()
    feature: str | None = None
    book: PriceBook | None = None
    """Prices all calls; default is the book that each call was recorded by."""
    overlay: Path | None = None
    """Rules on top of the book; all calls are priced again."""


class Answer(NamedTuple):
    """What calls cost and what they would have."""

    question: Question
    period: Period
    differences: pa.Table
    """A row per feature and step."""
    totals: dict[str, Any]
    """Sums over all of them; as JSON has it."""

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return {
            "since": plain_value(self.period.since),
            "until": plain_value(self.period.until),
            "totals": self.totals,
            "rows": plain_rows(self.differences),
            "notes": self.notes(),
        }

    def notes(self) -> list[str]:
        """Return what people have to know beside the differences."""
        sums = self.totals
        cost = (
            f"cost ${sums['cost_usd'] or 0} -> ${sums['whatif_usd'] or 0},"
            f" difference ${sums['difference_usd']}"
        )
        lines = [
            f"{sums['calls']:,} calls, {sums['changed_calls']:,} of them otherwise",
            cost,
        ]
        if sums["unpriced_calls"]:
            lines.append(
                f"{sums['unpriced_calls']:,} calls lack one of the costs and are in"
                " neither sum"
            )
        if sums["partial_calls"]:
            lines.append(
                f"{sums['partial_calls']:,} calls have only part of a price or a bound"
            )
        if sums["later_book_calls"]:
            lines.append(
                f"{sums['later_book_calls']:,} calls by the newest book: their own does"
                " not know the model, or is not kept"
            )
        return [*lines, *_caveats(self.question)]


def _caveats(question: Question) -> list[str]:
    """Return what the figures take for granted."""
    lines = []
    if any(swap.model or "provider" in swap.facts for swap in question.swaps):
        lines.append(
            "token counts are those of the models that answered: another model's"
            " tokenizer counts the same text differently, and its answers differ"
        )
    caches = {swap.cache for swap in question.swaps}
    if "on" in caches:
        lines.append(
            "cache on is an estimate for calls that used none: each reads the prompt"
            " before it in its conversation, at most five minutes old, and writes what"
            " the next one reads"
        )
    if "off" in caches:
        lines.append("cache off bills cached tokens as fresh input")
    if any(swap.facts.get("processing") == "batch" for swap in question.swaps):
        lines.append("batch prices are for answers that nobody waits for")
    return lines


def text_columns(settings: Settings) -> tuple[str, ...]:
    """Return the columns of calls by which they may be chosen."""
    schema = Lake.of(settings).schema("calls")
    return tuple(field.name for field in schema if pa.types.is_string(field.type))


def ask_what_if(settings: Settings, question: Question, period: Period) -> Answer:
    """
    Work out what calls would have cost.

    A call that stays as it was keeps its recorded cost, unless the question names a
    book or overlay; every other is priced by the book it was recorded by. So a question
    that changes nothing has the difference zero, exactly.

    Args:
        settings: Say where the lake is.

        question: What is to be otherwise.

        period: Calls that start in it.

    Raises:
        QueryError: The lake is not there or cannot be read.
        ConfigError: The overlay cannot be used.
    """
    job = _Job(settings, question)
    uses_cache = any(swap.cache == "on" for swap in question.swaps)
    text = repricing_text("whatif_chains" if uses_cache else "whatif_calls")
    parts = []
    with open_lake(Lake.of(settings), period=period, needed=("calls",)) as connection:
        try:
            found = connection.sql(text, params={"feature": question.feature})
            for batch in found.to_arrow_reader(_CALLS_AT_ONCE):
                calls = pa.Table.from_batches([batch])
                calls = calls.filter(pa.array(question.where.fits(calls)))
                if calls.num_rows:
                    parts.append(job.compare(calls))
        except duckdb.Error as error:
            message = f"what if: {str(error).splitlines()[0]}"
            raise QueryError(message) from error
    compared = merge_sums(parts, _SUMS, _KEYS)
    return Answer(
        question,
        period,
        query_sums("whatif_differences", compared),
        plain_rows(query_sums("whatif_totals", compared))[0],
    )


class _Job:
    """Prices calls by the books of one lake."""

    def __init__(self, settings: Settings, question: Question) -> None:
        self._question = question
        self._books = Books(open_target(settings.lake_url))
        if self._books.current is None:
            message = "prices: the lake keeps no book"
            raise QueryError(message)
        self._newest = self._books.current
        self._kept: dict[str, PriceBook] = {}
        self._prices_all = question.book is not None or question.overlay is not None

    def compare(self, calls: pa.Table) -> pa.Table:
        """Return sums of what calls cost and would have, by feature and step."""
        newest = self._book(self._newest)
        facts, changed = change_facts(calls, self._question.swaps, newest)
        again = changed | self._prices_all
        rows = np.flatnonzero(again)
        costs, later = self._price(
            facts.take(pa.array(rows)), calls.column("price_version").take(rows)
        )
        place = np.cumsum(again) - 1
        placed = costs.take(pa.array(place, mask=~again))
        before = calls.column("cost_usd")
        after = pc.if_else(pa.array(again), placed.column("cost_usd"), before)
        status = placed.column("cost_status")
        both = pc.and_(pc.is_valid(before), pc.is_valid(after))
        counted = np.zeros(calls.num_rows, np.int64)
        counted[rows] = later
        compared = {
            "feature": calls.column("feature"),
            "step": calls.column("step"),
            "cost_usd": pc.if_else(both, before, None),
            "whatif_usd": pc.if_else(both, after, None),
            "calls": np.ones(calls.num_rows, np.int64),
            "changed_calls": again.astype(np.int64),
            "unpriced_calls": pc.cast(pc.invert(both), pa.int64()),
            "partial_calls": pc.cast(
                pc.fill_null(pc.equal(status, "partial"), False), pa.int64()
            ),
            "later_book_calls": counted,
        }
        return sum_groups(pa.table(compared), _SUMS, _KEYS)

    def _price(
        self, facts: pa.Table, versions: pa.ChunkedArray
    ) -> tuple[pa.Table, Mask]:
        """Return costs by the books of *versions*, and where the newest had to do."""
        costs = [price_calls(facts.slice(0, 0), self._book(self._newest))]
        rows = [np.zeros(0, np.int64)]
        later = np.zeros(facts.num_rows, np.bool_)
        for version in pc.unique(versions).to_pylist():
            mine = np.flatnonzero(pc.equal(versions, version).to_numpy())
            book = self._book_or_none(version)
            priced = facts.take(pa.array(mine))
            if book is None:
                later[mine] = True
                book = self._book(self._newest)
            found = price_calls(priced, book)
            unknown = pc.equal(found.column("cost_reason"), _UNKNOWN)
            retried = pc.fill_null(unknown, False).to_numpy()
            if retried.any() and book.version != self._book(self._newest).version:
                chosen = pa.array(retried)
                newer = price_calls(priced.filter(chosen), self._book(self._newest))
                helped = pc.is_valid(newer.column("cost_usd")).to_numpy()
                found = pa.concat_tables([found.filter(pc.invert(chosen)), newer])
                later[mine[retried][helped]] = True
                mine = np.r_[mine[~retried], mine[retried]]
            costs.append(found)
            rows.append(mine)
        order = np.argsort(np.concatenate(rows), kind="stable")
        return pa.concat_tables(costs).take(pa.array(order)), later

    def _book_or_none(self, version: str) -> PriceBook | None:
        try:
            return self._book(version)
        except KeyError:
            return None

    def _book(self, version: str) -> PriceBook:
        """Return the book of a version, or the question's, with its overlay."""
        asked = self._question
        if version not in self._kept:
            book = asked.book or self._books.book(version)
            if asked.overlay is not None:
                book = _with_overlay(book, asked.overlay)
            self._kept[version] = book
        return self._kept[version]


def _with_overlay(book: PriceBook, path: Path) -> PriceBook:
    try:
        return book.with_overlay(path)
    except (PriceBookError, OSError) as error:
        message = f"prices: {error}"
        raise ConfigError(message) from None
