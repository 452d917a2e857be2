"""A DuckDB connection that sees a lake: one view per table and per rollup."""

import tempfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from collector.config import Settings
from collector.errors import QueryError
from collector.lake.compaction import replaced_keys
from collector.lake.layout import SPANS, table_schemas
from collector.lake.restatements import RESTATEMENTS, restatement_ids
from collector.lake.target import Target, open_target, shown_url
from collector.query.bounds import bounds_table
from collector.query.caching import price_cached
from collector.query.computed import price_reported
from collector.query.globs import day_globs, escape, is_wanted, literal
from collector.query.restated import restated_rows, widened
from collector.query.spans_view import spans_statement
from collector.query.texts import query_text
from collector.query.times import ALWAYS, Period
from proto_handlers.schema import IDENTITY
from rollups.engine import sql_text
from rollups.registry import ROLLUPS

RESTATED: Final = "calls_restated"
_RAW: Final = "raw"
_RAW_SPANS: Final = "raw.spans"
_RAW_CALLS: Final = "raw.calls"
_MEASURED: Final = "measured_calls"
_BOUNDED: Final = "bounded_calls"
_READS: Final = {
    "spans": (_RAW_SPANS, "calls", "excluded"),
    "calls": (_RAW_CALLS,),
    RESTATED: (_RAW_CALLS, "restatements"),
    _MEASURED: ("calls",),
    _BOUNDED: (_MEASURED,),
    "history_bounds": (_BOUNDED,),
    "redundant_work": ("calls", "chains", "runs", "tool_calls"),
    "cached_calls": ("calls",),
    "reported_calls": ("calls",),
}
"""What the views that are more than a table are made of."""

_HIVE: Final = pa.schema([("date", pa.date32()), ("hour", pa.string())])


@dataclass(frozen=True)
class Lake:
    """Where the lake is and what its tables look like."""

    url: str
    dimensions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: fs.FileSystem | None = None
    """How a bucket is read; default is what the URL says."""

    @classmethod
    def of(cls, settings: Settings) -> "Lake":
        """Return the lake of *settings*."""
        return cls(settings.lake_url, settings.dimensions)

    @property
    def directory(self) -> Path | None:
        """The lake as a directory; null for a bucket."""
        if self.files is not None:
            return None
        scheme, separator, rest = self.url.partition("://")
        if separator and scheme != "file":
            return None
        return Path(rest if separator else self.url)

    def published_at(self) -> datetime | None:
        """Return when the ledger was last written; null if never, or for a bucket."""
        if self.directory is None:
            return None
        parts = self.directory.glob("calls/date=*/hour=*/part.parquet")
        newest = max((part.stat().st_mtime for part in parts), default=None)
        return None if newest is None else datetime.fromtimestamp(newest, UTC)

    def target(self) -> Target:
        """Return the lake as objects under keys."""
        if self.files is None:
            return open_target(self.url)
        from collector.lake.object_store import ObjectStoreTarget  # noqa: PLC0415

        url = self.url if "://" in self.url else f"file://{self.url}"
        return ObjectStoreTarget(url, self.files)

    def restatement_ids(self) -> list[str]:
        """Return the restatements that count, oldest first."""
        return restatement_ids(self.target())

    def schema(self, name: str) -> pa.Schema:
        """Return the columns of a table or rollup as the service writes them now."""
        rollups = {rollup.name: rollup.schema for rollup in ROLLUPS}
        extra = tuple(name for name in self.dimensions if name not in IDENTITY)
        return {**table_schemas(extra), **rollups}[name]


def view_names() -> tuple[str, ...]:
    """
    Return the names that queries may use, sorted.

    ``raw.spans`` comes with ``spans``: the table as it is stored.
    """
    names = {*table_schemas(), *(rollup.name for rollup in ROLLUPS), RESTATED}
    return tuple(sorted(names))


def open_lake(
    lake: Lake,
    *,
    period: Period = ALWAYS,
    needed: Iterable[str] | None = None,
    memory_limit: str | None = None,
    restated: bool = False,
) -> duckdb.DuckDBPyConnection:
    """
    Open a connection that sees *lake* and nothing else.

    Args:
        lake: Where it is; it is only read.

        period: Rows that start outside it are not seen, in any view.

        needed: Views that the query uses, so that others cost nothing; default all.
            Names that are no views are passed over.

        memory_limit: In DuckDB's words; beyond it, queries spill to temporary files.

        restated: Let the ledger's tables have the newest known costs, and what depends
            on them, instead of the recorded ones.

    Returns:
        A connection in UTC, without access to files beyond the lake, and with its
        configuration locked.

    Raises:
        QueryError: There is no lake, or it cannot be read.
    """
    directory = lake.directory
    if directory is not None and not directory.is_dir():
        error = QueryError(f"lake: {directory}: no such directory")
        error.hint = "start the service once (spanledger serve), or check data_dir"
        raise error
    connection = duckdb.connect()
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            "SET temp_directory = $folder",
            {"folder": f"{tempfile.gettempdir()}/duckdb"},
        )
        if memory_limit is not None:
            connection.execute("SET memory_limit = $size", {"size": memory_limit})
        connection.execute(f"CREATE SCHEMA {_RAW}")
        names = view_names() if needed is None else tuple(needed)
        if restated and lake.restatement_ids():
            names = (RESTATED, *names)
            again = _made_again(connection, lake, names, period, memory_limit)
        else:
            restated, again = False, frozenset()
        for name in _in_order(names):
            if name == "calls" and restated and name not in again:
                connection.execute(f"CREATE VIEW calls AS FROM {RESTATED}")
            else:
                _create_view(connection, lake, name, period, again)
        _confine(connection, directory)
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        connection.close()
        message = f"lake: {shown_url(lake.url)}: {str(error).splitlines()[0]}"
        raise QueryError(message) from error
    return connection


def _confine(connection: duckdb.DuckDBPyConnection, directory: Path | None) -> None:
    allowed = [] if directory is None else [str(directory.resolve()), escape(directory)]
    connection.execute("SET allowed_directories = $allowed", {"allowed": allowed})
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _in_order(names: Iterable[str]) -> list[str]:
    """Return the views to make, what they read before them."""
    known = {*view_names(), *_READS, _RAW_SPANS, _RAW_CALLS}
    ordered: dict[str, None] = {}
    for name in names:
        if name in known and name not in ordered:
            ordered |= dict.fromkeys(_in_order(_READS.get(name, ())))
            ordered[name] = None
    return list(ordered)


def _made_again(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    names: Iterable[str],
    period: Period,
    memory_limit: str | None,
) -> frozenset[str]:
    """
    Register restated rows of the tables that depend on costs, if *names* needs them.

    Returns:
        The tables that have such rows, each registered as ``restated_<name>``, and
        their traces as ``restated_traces``.
    """
    if not {"runs", "chains", "tool_calls"}.intersection(_in_order(names)):
        return frozenset()
    with open_lake(
        lake,
        period=widened(period),
        needed=(RESTATED, "runs", "tool_calls", "chains"),
        memory_limit=memory_limit,
    ) as whole:
        extra = tuple(name for name in lake.dimensions if name not in IDENTITY)
        tables = restated_rows(whole, extra)
    for name, rows in tables.items():
        connection.register(f"restated_{name}", rows)
    if tables:
        traces = tables["calls"].select(["trace_id"])
        connection.register("restated_traces", traces)
    return frozenset(tables)


def _create_view(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    name: str,
    period: Period,
    again: Collection[str],
) -> None:
    match name:
        case "spans":
            columns = connection.table("calls").columns
            statement = spans_statement(lake.dimensions, columns)
        case "calls_restated":
            statement = query_text(RESTATED)
        case "calls":
            statement = f"SELECT * FROM {_RAW_CALLS}"  # noqa: S608
        case "measured_calls":
            connection.execute(sql_text("sql", _MEASURED))
            return
        case "bounded_calls" | "history_bounds" | "redundant_work":
            if name == _BOUNDED:
                connection.register("price_bounds", bounds_table(connection, lake.url))
            connection.execute(query_text(name))
            return
        case "cached_calls":
            connection.execute(query_text("cacheable_calls"))
            connection.register(name, price_cached(connection, lake.target()))
            return
        case "reported_calls":
            connection.register(name, price_reported(connection, lake.target()))
            return
        case _:
            statement = _table_statement(connection, lake, name, period)
    if name in again:
        others = f"FROM ({statement}) ANTI JOIN restated_traces USING (trace_id)"
        own = f"SELECT *, timestamp::DATE AS date FROM restated_{name}"  # noqa: S608
        statement = f"{others} UNION ALL BY NAME {own}"
        tests = _within(lake.schema(name), period)
        statement += " WHERE " + " AND ".join(tests) if tests else ""
    connection.execute(f"CREATE VIEW {name} AS {statement}")


def _table_statement(
    connection: duckdb.DuckDBPyConnection, lake: Lake, name: str, period: Period
) -> str:
    table = name.rpartition(".")[2]
    schema = lake.schema(table)
    is_rollup = table in {rollup.name for rollup in ROLLUPS}
    place = f"rollups/{table}" if is_rollup else table
    if lake.directory is None:
        source = f"{table}_files"
        connection.register(source, _bucket_dataset(lake, place, schema))
    else:
        # There may be no file, or only those of an older version, without columns that
        # are known now.
        source = f"{_RAW}.{table}_typed"
        typed = schema.append(_HIVE.field("date")).empty_table()
        connection.register("typed", typed)
        connection.execute(f"CREATE TABLE {source} AS FROM typed")
        connection.unregister("typed")
        below = "*" if is_rollup else "hour=*/*"
        files = (
            _span_files(lake, lake.directory, period)
            if table == SPANS
            else day_globs(lake.directory / place, period, below)
        )
        if files:
            listed = ", ".join(map(literal, files))
            types = "{'date': DATE}" if is_rollup else "{'date': DATE, 'hour': VARCHAR}"
            source = (
                f"(FROM read_parquet([{listed}], union_by_name = true,"
                f" hive_partitioning = true, hive_types = {types})"
                f" UNION ALL BY NAME FROM {source})"
            )
    columns = f"SELECT COLUMNS(lambda c: c <> 'hour') FROM {source}"  # noqa: S608
    tests = _within(schema, period)
    if table == RESTATEMENTS:
        tests.append(_is_one_of("restatement_id", lake.restatement_ids()))
    return columns + (" WHERE " + " AND ".join(tests) if tests else "")


def _span_files(lake: Lake, directory: Path, period: Period) -> list[str]:
    """
    Return patterns of the spans objects, each of one file.

    They are listed here and not by DuckDB, since an object that a compacted one
    replaces may be seen beside it for a moment.
    """
    keys = [key for key in lake.target().keys(SPANS) if key.endswith(".parquet")]
    replaced = replaced_keys(lake.target())
    return [
        escape(directory / key)
        for key in keys
        if key not in replaced and is_wanted(key.split("/")[1], period)
    ]


def _bucket_dataset(lake: Lake, place: str, schema: pa.Schema) -> ds.Dataset:
    files, root = lake.files, lake.url
    if files is None:
        files, root = fs.FileSystem.from_uri(lake.url)
    folder = f"{root.rstrip('/')}/{place}"
    listed: fs.FileSelector | list[str]
    listed = fs.FileSelector(folder, recursive=True, allow_not_found=True)
    if place == SPANS:
        keys = lake.target().keys(SPANS)
        replaced = replaced_keys(lake.target())
        above = folder.removesuffix(SPANS)
        listed = [f"{above}{key}" for key in keys if key not in replaced]
    whole = pa.schema([*schema, *_HIVE])
    dataset: ds.Dataset = ds.FileSystemDatasetFactory(
        files,
        listed,
        ds.ParquetFileFormat(),
        ds.FileSystemFactoryOptions(
            partition_base_dir=folder, partitioning=ds.HivePartitioning(_HIVE)
        ),
    ).finish(whole)
    return dataset


def _is_one_of(column: str, words: list[str]) -> str:
    listed = ", ".join(map(literal, words))
    return f"{column} IN ({listed})" if words else "false"


def _within(schema: pa.Schema, period: Period) -> list[str]:
    column = next((n for n in ("window_start", "timestamp") if n in schema.names), None)
    tests: list[str] = []
    if column is None:
        return tests
    if period.since is not None:
        tests.append(f"{column} >= TIMESTAMPTZ {literal(period.since.isoformat())}")
    if period.until is not None:
        tests.append(f"{column} < TIMESTAMPTZ {literal(period.until.isoformat())}")
    return tests
