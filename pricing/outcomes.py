"""How each call was priced: status and reason, the card's unless the call says more."""

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pricing.amounts import Amounts
from pricing.in_force import CardsInForce, CardTest
from pricing.money import Mask
from pricing.rate_cards import USAGE_CLASSES, RateCard
from pricing.rate_table import Positions
from pricing.usage import Counts, Usage
from pricing.words import word_column

COUNTLESS_OPERATIONS: Final = ("embeddings", "rerank")
"""Operations that put out no tokens."""

_APART: Final = ("exclusive", "inferred_exclusive")


class Verdicts:
    """
    The different pairs of status and reason.

    Attributes:
        pairs: In the order they came.

        of_card: For each card the position of its pair.
    """

    def __init__(self, cards: Iterable[RateCard]) -> None:
        self.pairs: list[tuple[str, str | None]] = []
        of_card = [self.place(card.status, card.reason) for card in cards]
        self.of_card = np.array(of_card, np.int64)

    def place(self, status: str, reason: str | None) -> int:
        """Return the position of a pair."""
        pair = (status, reason)
        if pair not in self.pairs:
            self.pairs.append(pair)
        return self.pairs.index(pair)

    def having(self, status: str) -> Mask:
        """Return which pairs have the status."""
        mask: Mask = np.array([pair[0] == status for pair in self.pairs], np.bool_)
        return mask

    def columns(self, rows: Positions) -> tuple[pa.Array, pa.Array]:
        """Return ``cost_status`` and ``cost_reason`` by position."""
        statuses, reasons = zip(*self.pairs, strict=True)
        return word_column(statuses, rows), word_column(reasons, rows)


class Outcomes:
    """
    Status and reason of n calls.

    Attributes:
        rows: For each call the position of its pair in the verdicts.
    """

    def __init__(self, verdicts: Verdicts, in_force: CardsInForce) -> None:
        self.rows = verdicts.of_card.take(in_force.rows, mode="clip")
        self._verdicts = verdicts

    def set(self, status: str, reason: str | None, where: Mask | None) -> None:
        """Say *status* and *reason* of the calls *where* it is true."""
        if where is not None and where.any():
            self.rows[where] = self._verdicts.place(status, reason)

    def where(self, status: str) -> Mask | None:
        """Return which calls have the status; None means none."""
        pairs = self._verdicts.having(status)
        return pairs.take(self.rows, mode="clip") if pairs.any() else None


def judge(
    calls: Mapping[str, pa.Array],
    *,
    counts: Counts,
    usage: Usage,
    amounts: Amounts,
    in_force: CardsInForce,
    verdicts: Verdicts,
) -> Outcomes:
    """
    Return how each call was priced, by its card, counts and error.

    Args:
        calls: Columns of the n calls; ``operation``, ``error_type``, ``cache_unknown``,
            ``usage_convention`` and ``usage_incomplete`` are looked at.

        counts: Their counts as given.

        usage: The same by class.

        amounts: What they cost.

        in_force: Their cards.

        verdicts: Pairs of status and reason; new ones are added.
    """
    facts = _Facts(calls, counts, usage, in_force)
    outcomes = Outcomes(verdicts, in_force)
    untold = counts.none_given()
    _judge_halves(outcomes, facts)
    _judge_caches(outcomes, facts)
    part = facts.is_true("usage_incomplete")
    if part is not None:
        part = part & facts.by_token
        outcomes.set("partial", "usage_incomplete lower_bound", part)
    if usage.mended is not None:
        mended = usage.mended & facts.by_token
        outcomes.set("partial", "usage_inconsistent lower_bound", mended)
    if amounts.lacking is not None:
        lacking = amounts.lacking & facts.by_token
        outcomes.set("partial", "rate_missing lower_bound", lacking)
    if amounts.rateless is not None:
        outcomes.set("unpriced", "rate_missing", amounts.rateless & facts.by_token)
    outcomes.set("unpriced", "out_of_range", amounts.out_of_range)
    outcomes.set("unpriced", "out_of_range", counts.too_large)
    outcomes.set("unpriced", "usage_invalid", counts.negative)
    if untold is not None:
        per_call = facts.of_card(_is_per_call)
        outcomes.set("unpriced", "no_usage", untold & ~per_call)
    _judge_failed(outcomes, calls.get("error_type"), counts)
    return outcomes


class _Facts:
    """What is known of n calls beside their amounts."""

    def __init__(
        self,
        calls: Mapping[str, pa.Array],
        counts: Counts,
        usage: Usage,
        in_force: CardsInForce,
    ) -> None:
        self.counts = counts
        self.usage = usage
        self._calls = calls
        self._in_force = in_force

    @cached_property
    def by_token(self) -> Mask:
        """Where the price goes by what was used, and is known."""
        return self.of_card(_is_by_token)

    def of_card(self, test: CardTest) -> Mask:
        """Return for which calls *test* holds of the card."""
        return self._in_force.where(test)

    def is_true(self, field: str) -> Mask | None:
        """Return where a column of truth values is true; None means nowhere."""
        column = self._calls.get(field)
        if column is None or not pc.any(column).as_py():
            return None
        mask: Mask = pc.fill_null(column, False).to_numpy(zero_copy_only=False)
        return mask

    def is_in(self, field: str, words: Collection[str]) -> Mask:
        """Return where a text column has one of *words*."""
        column = self._calls.get(field)
        if column is None or not words:
            return np.zeros(self.counts.rows, np.bool_)
        found = pc.is_in(column, value_set=pa.array(sorted(words), pa.string()))
        mask: Mask = found.to_numpy(zero_copy_only=False)
        return mask


def _is_by_token(card: RateCard) -> bool:
    return card.status in ("priced", "partial") and not card.per_call


def _is_per_call(card: RateCard) -> bool:
    return card.per_call


def _charges_input(card: RateCard) -> bool:
    return _rate(card, "input") > 0


def _charges_output(card: RateCard) -> bool:
    return _rate(card, "output") > 0


def _tells_audio(card: RateCard) -> bool:
    return _has_own_rate(card, "input_audio")


def _tells_reads(card: RateCard) -> bool:
    return _has_own_rate(card, "cache_read")


def _tells_writes(card: RateCard) -> bool:
    return _has_own_rate(card, "cache_write_5m")


def _has_own_rate(card: RateCard, usage_class: str) -> bool:
    return _rate(card, usage_class) != _rate(card, "input")


def _rate(card: RateCard, usage_class: str) -> int:
    return card.rates[0][USAGE_CLASSES.index(usage_class)]


def _judge_halves(outcomes: Outcomes, facts: _Facts) -> None:
    """
    Mark calls of which only the input or only the output was counted.

    Those of which nothing was counted are judged later.
    """
    if facts.counts.has_nulls("output_tokens"):
        half = facts.by_token & ~facts.counts.is_given("output_tokens")
        half &= facts.of_card(_charges_output)
        half &= ~facts.is_in("operation", COUNTLESS_OPERATIONS)
        outcomes.set("partial", "output_unknown lower_bound", half)
    if facts.counts.has_nulls("input_tokens"):
        half = facts.by_token & ~facts.counts.is_given("input_tokens")
        half &= facts.of_card(_charges_input)
        outcomes.set("partial", "input_unknown lower_bound", half)


def _judge_caches(outcomes: Outcomes, facts: _Facts) -> None:
    """Mark calls whose cached part is unknown and would change the price."""
    blind = facts.is_true("cache_unknown")
    if blind is not None:
        _judge_blind(outcomes, facts, blind & facts.by_token)
    audio = facts.usage.classes.get("input_audio")
    cached = facts.usage.classes.get("cache_read")
    if audio is not None and cached is not None:
        mixed = facts.by_token & (audio > 0) & (cached > 0)
        mixed &= ~facts.counts.is_given("cache_read_audio_tokens")
        mixed &= facts.of_card(_tells_audio)
        outcomes.set("partial", "cache_unknown upper_bound", mixed)


def _judge_blind(outcomes: Outcomes, facts: _Facts, blind: Mask) -> None:
    """
    Say what bound the price is of calls whose library drops counts of the cache.

    Unknown reads are priced too high inside the input, unknown writes too low; where
    input was sent without the cached part, either is missing altogether.
    """
    read = blind & ~facts.counts.is_given("cache_read_tokens")
    write = blind & ~facts.counts.is_given("cache_write_tokens")
    apart = facts.is_in("usage_convention", _APART)
    missing = (read | write) & apart
    read &= ~apart & facts.of_card(_tells_reads)
    write &= ~apart & facts.of_card(_tells_writes)
    outcomes.set("partial", "cache_unknown upper_bound", read)
    outcomes.set("partial", "cache_unknown lower_bound", write & ~read | missing)
    outcomes.set("partial", "cache_unknown", write & read)


def _judge_failed(
    outcomes: Outcomes, error_type: pa.Array | None, counts: Counts
) -> None:
    """Mark failed calls that used nothing: no provider bills them."""
    if error_type is None or error_type.null_count == counts.rows:
        return
    failed: Mask = error_type.is_valid().to_numpy(zero_copy_only=False)
    for numbers in counts.values.values():
        failed = failed & (numbers == 0)
    if counts.negative is not None:
        failed = failed & ~counts.negative
    outcomes.set("not_billed", None, failed)
