"""Lakes of calls that a price book has priced, facts and all."""

from pathlib import Path

import pyarrow as pa
from lake_builder import build_lake
from ledger_rows import calls

from collector.config import Settings, load_settings
from collector.lake.books import Books
from collector.lake.local import LocalTarget
from pricing import PriceBook, bundled_book, price_calls
from rollups.schema import COST_COLUMNS, call_schema

CALL = {
    "provider": "openai",
    "request_model": "gpt-4o",
    "response_model": "gpt-4o",
    "input_tokens": 1000,
    "output_tokens": 100,
    "feature": "refund",
}
"""$2.50 and $10 a million: $0.0035."""

HALF_PRICE = '[[price]]\nkind = "multiply"\nfactor = "1/2"\nsource = "contract"\n'
"""An overlay that takes half off every call."""


def priced(rows, book: PriceBook) -> pa.Table:
    """Return rows of ``calls``, each priced by *book*."""
    table = calls([{**CALL, **row} for row in rows])
    costs = price_calls(table, book)
    for name in COST_COLUMNS:
        place = table.schema.get_field_index(name)
        field = table.schema.field(place)
        table = table.set_column(place, field, costs.column(name).cast(field.type))
    return table.cast(call_schema())


def priced_lake(folder: Path, rows, book: PriceBook | None = None) -> Settings:
    """Write a lake of calls priced by *book*, in force ever since; return settings."""
    settings = load_settings().model_copy(update={"data_dir": folder})
    lake = Path(settings.lake_url)
    book = book or bundled_book()
    build_lake(lake, calls=priced(rows, book))
    Books(LocalTarget(lake)).adopt(book, since_unix_nano=0)
    return settings


def book_with(folder: Path, overlay: str, book: PriceBook | None = None) -> PriceBook:
    """Return *book* with the rules of an overlay on top."""
    path = folder / "overlay.toml"
    path.write_text(overlay)
    return (book or bundled_book()).with_overlay(path)
