"""
Tokens and dates to money. No OTLP, no storage.

A price book holds list prices by provider, model and date, and overlays on them;
`price_calls` says what calls cost by it, in whole pico-USD.
"""

from pricing.book import PriceBook, bundled_book, load_book
from pricing.compute import COST_SCHEMA, INPUT_FIELDS, price_calls
from pricing.errors import PriceBookError
from pricing.hours import share_hour
from pricing.overlay_file import load_overlay

__all__ = [
    "COST_SCHEMA",
    "INPUT_FIELDS",
    "PriceBook",
    "PriceBookError",
    "bundled_book",
    "load_book",
    "load_overlay",
    "price_calls",
    "share_hour",
]
