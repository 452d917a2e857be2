"""A book with a newer list in it: from an installed package or from a file."""

import hashlib
import json
from datetime import date
from pathlib import Path

from pricing.book import PriceBook, load_book
from pricing.catalog import parse_catalog
from pricing.errors import PriceBookError
from pricing.sources import genai_prices, litellm


def refreshed(book: PriceBook, file: Path | None, today: date) -> PriceBook:
    """
    Return *book* with a newer list in place of the one from the same source.

    Args:
        book: The book without the operator's overlay.

        file: A catalog text, LiteLLM's JSON, or a whole book (its artefact or a
            folder); none means the installed ``genai-prices``.

        today: The day on which it is read.

    Raises:
        PriceBookError: There is nothing to read, or it is none of these.
    """
    if file is None:
        return _with_catalog(book, _installed(today), path="genai-prices")
    if file.is_dir():
        return load_book(file)
    try:
        text = file.read_text("utf-8")
        document = json.loads(text)
    except (OSError, ValueError) as error:
        raise PriceBookError(f"cannot be read: {error}", path=str(file)) from error
    if not isinstance(document, dict):
        raise PriceBookError("neither a list of prices nor a book", path=str(file))
    if "book" in document:
        return load_book(file)
    if "providers" not in document:
        text = _extract(book, text, document, today, path=str(file))
    return _with_catalog(book, text, path=str(file))


def _installed(today: date) -> str:
    try:
        return genai_prices.read_installed(today.isoformat())
    except ImportError:
        message = "not installed; install it, or name a file"
        raise PriceBookError(message, path="genai-prices") from None


def _extract(
    book: PriceBook, text: str, document: dict[str, object], today: date, *, path: str
) -> str:
    rows = [row for row in document.values() if isinstance(row, dict)]
    if len(rows) < len(document) or not any("litellm_provider" in row for row in rows):
        raise PriceBookError("neither a list of prices nor a book", path=path)
    return litellm.read_extract(
        text,
        version=hashlib.sha256(text.encode()).hexdigest()[:12],
        retrieved=today.isoformat(),
        known=next(one for one in book.catalogs if one.source != litellm.SOURCE),
    )


def _with_catalog(book: PriceBook, text: str, *, path: str) -> PriceBook:
    source = parse_catalog(text, path=path).source
    names = [name for name in book.texts if name.endswith(".json")]
    for name, catalog in zip(names, book.catalogs, strict=True):
        if catalog.source == source:
            return PriceBook({**book.texts, name: text})
    return PriceBook({**book.texts, f"{source}.json": text})
