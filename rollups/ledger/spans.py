"""Spans in canonical order: one row per span id, with its place in its tree."""

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rollups.ledger.columns import (
    NONE,
    Ints,
    Mask,
    codes_of,
    equals,
    flags,
    from_integers,
    integers,
    known,
    one_chunk,
    ranks_of,
    take,
)
from rollups.ledger.tree import Tree, plant
from rollups.schema import IDENTITY_FIELDS

_TEXT_FIELDS: Final = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "name",
    "status_code",
    "service_name",
    "environment",
    "tenant",
    "scope_name",
    "dialect",
    "operation",
    "provider",
    "request_model",
    "response_model",
    "span_role",
    "usage_convention",
    "service_tier",
    "processing",
    "speed",
    "deployment",
    "region",
    "response_id",
    "run_key",
    "workflow_name",
    "http_route",
    "finish_reason",
    "error_type",
    "tool_name",
    "tool_call_id",
    "arguments_hash",
    "result_hash",
    "input_hash",
    "system_prompt_hash",
)
_COUNT_FIELDS: Final = (
    "start_unix_nano",
    "end_unix_nano",
    "received_unix_nano",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
    "web_search_requests",
    "resend_count",
    "step",
    "result_bytes",
    "result_tokens",
    "system_prompt_bytes",
)
REQUIRED_FIELDS: Final = pa.schema(
    [
        ("timestamp", pa.timestamp("us", tz="UTC")),
        *((name, pa.string()) for name in _TEXT_FIELDS),
        *((name, pa.int64()) for name in _COUNT_FIELDS),
        *((name, pa.bool_()) for name in ("is_call", "has_usage", "is_total")),
        ("streaming", pa.bool_()),
        ("time_to_first_token_ms", pa.float64()),
        ("sampling_weight", pa.float64()),
        ("reported_cost_usd", pa.decimal128(18, 12)),
    ]
)
"""Columns of a normalised span that the ledger reads, identities apart."""

_LAST_STEP: Final = np.iinfo(np.int32).max
_IDENTITY_NAMES: Final = tuple(field.name for field in IDENTITY_FIELDS)


def identity_names(dimensions: tuple[str, ...]) -> tuple[str, ...]:
    """Return the identities, then the configured dimensions beyond them."""
    extra = tuple(name for name in dimensions if name not in _IDENTITY_NAMES)
    return (*_IDENTITY_NAMES, *extra)


def required_fields(dimensions: tuple[str, ...] = ()) -> pa.Schema:
    """Return every column the ledger reads, ``own_`` and ``resource_`` included."""
    names = identity_names(dimensions)
    identities = [
        pa.field(f"{place}_{name}", pa.string())
        for place in ("own", "resource")
        for name in names
    ]
    return pa.schema([*REQUIRED_FIELDS, *identities])


class Spans(NamedTuple):
    """
    Distinct spans, sorted by (trace_id, timestamp, span_id); a place is a row here.

    ``rows`` are their rows in ``table``. ``trace`` numbers traces in order of their id.
    ``received_unix_nano`` is the earliest arrival of any version of the span.
    ``missing`` numbers parents that are named but not there, `NONE` on other spans.
    ``replaced`` are rows of the best version that lost, `NONE` if there was one only.
    """

    table: pa.Table
    rows: Ints
    trace: Ints
    tree: Tree
    missing: Ints
    received_unix_nano: Ints
    replaced: Ints

    @property
    def size(self) -> int:
        """Return the number of spans."""
        return len(self.rows)

    def column(self, name: str) -> pa.Array:
        """Return a column in canonical order."""
        return take(one_chunk(self.table, name), self.rows)

    def pick(self, name: str, places: Ints) -> pa.Array:
        """Return a column's values at *places*; `NONE` gives null."""
        return take(one_chunk(self.table, name), self.rows_at(places))

    def rows_at(self, places: Ints) -> Ints:
        """Return the table's rows at *places*, `NONE` for `NONE`."""
        if self.size == 0:
            return np.full(len(places), NONE)
        return np.where(places < 0, NONE, self.rows[places])

    def numbers(self, name: str) -> Ints:
        """Return an integer column in canonical order, 0 for null."""
        return integers(one_chunk(self.table, name))[self.rows]

    def steps(self) -> Ints:
        """Return the steps that spans declare, `NONE` where none fits the column."""
        step = integers(one_chunk(self.table, "step"), null=NONE)[self.rows]
        return np.where((step >= 0) & (step <= _LAST_STEP), step, NONE)

    def flags(self, name: str) -> Mask:
        """Return a boolean column in canonical order, false for null."""
        return flags(one_chunk(self.table, name))[self.rows]

    def words(self, name: str, words: tuple[str, ...]) -> Mask:
        """Return in canonical order where a text column is one of *words*."""
        return equals(one_chunk(self.table, name), words)[self.rows]

    def known(self, name: str) -> Mask:
        """Return in canonical order where a column has a value."""
        return known(one_chunk(self.table, name))[self.rows]


def read_spans(table: pa.Table, *, dimensions: tuple[str, ...] = ()) -> Spans:
    """
    Put the spans of whole traces in canonical order, one row per span id.

    Of two versions of one span the one with the later end wins, then the one with
    the larger content. Equal versions count once.

    Raises:
        ValueError: A required column is missing.
    """
    missing = set(required_fields(dimensions).names) - set(table.column_names)
    if missing:
        message = f"spans: no column {', '.join(sorted(missing))}"
        raise ValueError(message)
    keys = _span_keys(table)
    versions = _choose_versions(table, keys)
    rows, trace = _in_order(table, keys.trace, versions.rows)
    parent = _parents(keys, rows)
    received = integers(one_chunk(table, "received_unix_nano"))
    return Spans(
        table=table,
        rows=rows,
        trace=trace,
        tree=plant(parent),
        missing=np.where(parent == NONE, keys.parent[rows], NONE),
        received_unix_nano=versions.earliest(received)[rows],
        replaced=versions.replaced[rows],
    )


class _Keys(NamedTuple):
    """Numbers that are equal where (trace, span id) are; `NONE` for no parent."""

    trace: Ints
    span: Ints
    parent: Ints


def _span_keys(table: pa.Table) -> _Keys:
    trace, traces = ranks_of(one_chunk(table, "trace_id"))
    span_id = one_chunk(table, "span_id")
    both = pa.concat_arrays([span_id, one_chunk(table, "parent_span_id")])
    codes, texts = codes_of(both)
    if len(texts) * max(len(traces), 1) > np.iinfo(np.int64).max:
        message = "spans: too many traces at once"
        raise ValueError(message)
    span, parent = codes[: len(trace)], codes[len(trace) :]
    # The first code of a trace's block is the trace's number: keys stay distinct.
    base = trace * len(texts)
    return _Keys(trace, base + span, np.where(parent == NONE, NONE, base + parent))


class _Versions(NamedTuple):
    rows: Ints
    """Row of the winning version of each span."""
    first: Ints
    """For each row, a row that stands for its span id."""
    replaced: Ints
    """For each row, the best version it replaces."""

    def earliest(self, received: Ints) -> Ints:
        """Return for each row the least of *received* over its span's versions."""
        if len(self.rows) == len(received):
            return received
        least = received.copy()
        np.minimum.at(least, self.first, received)
        return least[self.first]


def _choose_versions(table: pa.Table, keys: _Keys) -> _Versions:
    size = table.num_rows
    places = np.arange(size)
    span = pa.array(keys.span)
    first = integers(pc.index_in(span, value_set=span))
    replaced = np.full(size, NONE)
    repeated = np.flatnonzero(first != places)
    if len(repeated) == 0:
        return _Versions(places, first, replaced)
    several = np.zeros(size, np.bool_)
    several[first[repeated]] = True
    several = several[first]
    ordered, changed = _by_content(table, np.flatnonzero(several), first)
    fresh = np.r_[True, first[ordered[1:]] != first[ordered[:-1]]]
    last = np.r_[fresh[1:], True]
    steps = np.arange(len(ordered))
    start = np.maximum.accumulate(np.where(fresh, steps, 0))
    change = np.maximum.accumulate(np.where(changed, steps, 0))
    loser = np.where(change > start, ordered[change - 1], NONE)
    replaced[ordered[last]] = loser[last]
    rows = np.sort(np.r_[places[~several], ordered[last]])
    return _Versions(rows, first, replaced)


def _by_content(table: pa.Table, rows: Ints, first: Ints) -> tuple[Ints, Mask]:
    """
    Sort *rows* by span, then end, then content, so that the winner comes last.

    Also returns where a row differs from the row before it, spans aside.
    """
    end = integers(one_chunk(table, "end_unix_nano"))
    ordered = rows[np.lexsort((end[rows], first[rows]))]
    follows = np.flatnonzero(first[ordered[1:]] == first[ordered[:-1]]) + 1
    names = sorted(set(table.column_names) - {"received_unix_nano"})
    columns = (take(one_chunk(table, name), ordered) for name in names)
    ranks = [_ranks(column) for column in columns if _differs(column, follows).any()]
    order = np.lexsort((*reversed(ranks), end[ordered], first[ordered]))
    changed = np.zeros(len(ordered), np.bool_)
    for rank in ranks:
        changed[1:] |= rank[order[1:]] != rank[order[:-1]]
    return ordered[order], changed


def _differs(column: pa.Array, follows: Ints) -> Mask:
    if column.null_count == len(column):
        return np.zeros(len(follows), np.bool_)
    valid = known(column)
    one, other = take(column, follows), take(column, follows - 1)
    equal = pc.fill_null(pc.equal(one, other), False).to_numpy(zero_copy_only=False)
    return ~equal & (valid[follows] | valid[follows - 1])


def _ranks(column: pa.Array) -> Ints:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return ranks_of(column)[0]


def _in_order(table: pa.Table, trace: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Return *rows* by (trace, timestamp, span id), and their traces."""
    start = integers(one_chunk(table, "timestamp"))
    rows = rows[np.lexsort((start[rows], trace[rows]))]
    tied = (trace[rows[1:]] == trace[rows[:-1]]) & (start[rows[1:]] == start[rows[:-1]])
    if tied.any():
        places = np.flatnonzero(np.r_[tied, False] | np.r_[False, tied])
        some = rows[places]
        names = ranks_of(take(one_chunk(table, "span_id"), some))[0]
        rows[places] = some[np.lexsort((names, start[some], trace[some]))]
    return rows, trace[rows]


def _parents(keys: _Keys, rows: Ints) -> Ints:
    span = pa.array(keys.span[rows])
    parent = keys.parent[rows]
    found = pc.index_in(
        from_integers(parent, pa.int64(), null=parent < 0), value_set=span
    )
    places = integers(found, null=NONE)
    places[places == np.arange(len(places))] = NONE
    return places
