"""Spans in canonical order: one row per span id, with its place in its tree."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa

from rollups.ledger.columns import (
    NONE,
    Ints,
    Mask,
    codes_of,
    equals,
    flags,
    integers,
    known,
    one_chunk,
    order_by,
    places_of,
)
from rollups.ledger.ids import number_ids
from rollups.ledger.tree import Tree, plant
from rollups.ledger.versions import choose_versions
from rollups.schema import IDENTITY_FIELDS

_TEXT_FIELDS: Final = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "name",
    "kind",
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
    "cache_read_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
    "web_search_requests",
    "resend_count",
    "step",
    "result_bytes",
    "result_tokens",
    "documents",
    "document_bytes",
    "largest_document_bytes",
    "median_document_bytes",
    "system_prompt_bytes",
)
_FLAG_FIELDS: Final = (
    "is_call",
    "has_usage",
    "is_total",
    "cache_unknown",
    "usage_incomplete",
)
REQUIRED_FIELDS: Final = pa.schema(
    [
        ("timestamp", pa.timestamp("us", tz="UTC")),
        *((name, pa.string()) for name in _TEXT_FIELDS),
        *((name, pa.int64()) for name in _COUNT_FIELDS),
        *((name, pa.bool_()) for name in _FLAG_FIELDS),
        ("streaming", pa.bool_()),
        ("time_to_first_token_ms", pa.float64()),
        ("sampling_weight", pa.float64()),
        ("reported_cost_usd", pa.decimal128(18, 12)),
    ]
)
"""Columns of a normalised span that the ledger reads, identities apart."""

_ROLES: Final = ("agent", "tool", "retrieval", "workflow", "step")
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


@dataclass(frozen=True, slots=True)
class Spans:
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
    _numbers: dict[str, Ints] = field(default_factory=dict, repr=False)
    _known: dict[str, Mask] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        """Return the number of spans."""
        return len(self.rows)

    def pick(self, name: str, places: Ints) -> pa.Array:
        """Return a column's values at *places*; `NONE` gives null."""
        return self.pick_all((name,), places)[name]

    def pick_all(self, names: tuple[str, ...], places: Ints) -> dict[str, pa.Array]:
        """Return the values of several columns at *places*; `NONE` gives null."""
        columns = {name: one_chunk(self.table, name) for name in names}
        if all(column.null_count == len(column) for column in columns.values()):
            return {
                name: pa.nulls(len(places), column.type)
                for name, column in columns.items()
            }
        missing = places < 0
        rows = pa.array(self.rows[places], mask=missing if missing.any() else None)
        return {
            name: column.take(rows)
            if column.null_count < len(column)
            else pa.nulls(len(places), column.type)
            for name, column in columns.items()
        }

    def numbers(self, name: str) -> Ints:
        """Return an integer column in canonical order, 0 for null."""
        found = self._numbers.get(name)
        if found is None:
            found = integers(one_chunk(self.table, name))[self.rows]
            self._numbers[name] = found
        return found

    def known(self, name: str) -> Mask:
        """Return in canonical order where a column has a value."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = known(one_chunk(self.table, name))[self.rows]
        return found

    def steps(self) -> Ints:
        """Return the steps that spans declare, `NONE` where none fits the column."""
        step = self.numbers("step")
        fits = self.known("step") & (step >= 0) & (step <= _LAST_STEP)
        return np.where(fits, step, NONE)

    def codes(self, name: str) -> Ints:
        """Return in canonical order codes that are equal where texts are."""
        return codes_of(one_chunk(self.table, name))[0][self.rows]

    def flags(self, name: str) -> Mask:
        """Return a boolean column in canonical order, false for null."""
        return flags(one_chunk(self.table, name))[self.rows]

    def words(self, name: str, words: tuple[str, ...]) -> Mask:
        """Return in canonical order where a text column is one of *words*."""
        return equals(one_chunk(self.table, name), words)[self.rows]

    def roles(self, *roles: str) -> Mask:
        """Return in canonical order which spans have one of *roles*."""
        found = self._numbers.get("span_role")
        if found is None:
            role = one_chunk(self.table, "span_role")
            found = places_of(role, _ROLES)[self.rows]
            self._numbers["span_role"] = found
        return np.isin(found, [_ROLES.index(role) for role in roles])


def read_spans(table: pa.Table, *, dimensions: tuple[str, ...] = ()) -> Spans:
    """
    Put the spans of whole traces in canonical order, one row per span id.

    Raises:
        ValueError: A required column is missing.
    """
    missing = set(required_fields(dimensions).names) - set(table.column_names)
    if missing:
        message = f"spans: no column {', '.join(sorted(missing))}"
        raise ValueError(message)
    keys = number_ids(table)
    versions = choose_versions(table, keys.span)
    start = integers(one_chunk(table, "timestamp"))[versions.rows]
    trace, span = keys.trace[versions.rows], keys.span[versions.rows]
    order = order_by(trace, start, tie=span)
    rows, span = versions.rows[order], span[order]
    named = keys.parent[rows]
    parent = _places_of(named, span)
    return Spans(
        table=table,
        rows=rows,
        trace=trace[order],
        tree=plant(parent),
        missing=np.where(parent == NONE, named, NONE),
        received_unix_nano=versions.received_unix_nano[order],
        replaced=versions.replaced[order],
    )


def _places_of(wanted: Ints, keys: Ints) -> Ints:
    """Return the place of each wanted key, `NONE` without one or if it is its own."""
    if len(keys) == 0:
        return wanted
    order = np.argsort(keys)
    ordered = keys[order]
    spot = np.minimum(np.searchsorted(ordered, wanted), len(keys) - 1)
    place = np.where(ordered[spot] == wanted, order[spot], NONE)
    return np.where(place == np.arange(len(keys)), NONE, place)
