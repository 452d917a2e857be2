"""
Where prices come from: one module per source, each turns it into a catalog text.

A catalog text is what `pricing.catalog.parse_catalog` reads: a JSON object with one
line per model. ``python -m pricing.sources.<name>`` writes the file in
``pricing/data``; nothing here is used when calls are priced.
"""

import json
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

PICO: Final = 1_000_000_000_000
"""Pico-USD in a USD."""

CATALOG_FORMAT: Final = 1


def pico_usd(usd: Decimal, *, per: int) -> int:
    """
    Return *usd* for *per* units as whole pico-USD for one, half to even.

    Rates that are no whole pico-USD are thirds and traces of binary floats.
    """
    return int((usd * PICO / per).to_integral_value(rounding=ROUND_HALF_EVEN))


def catalog_text(
    *,
    source: str,
    version: str,
    retrieved: str,
    providers: Iterable[Mapping[str, Any]],
) -> str:
    """
    Return a catalog as JSON, one line per model.

    Args:
        source: Name of the source.

        version: Version of what was read.

        retrieved: Day it was read, ``YYYY-MM-DD``.

        providers: Each with ``id``, ``fallback`` and ``models``.
    """
    head = {
        "format": CATALOG_FORMAT,
        "source": source,
        "version": version,
        "retrieved": retrieved,
    }
    body = ",\n".join(_provider_text(provider) for provider in providers)
    return f'{_json(head)[:-1]},"providers":[\n{body}\n]}}\n'


def _provider_text(provider: Mapping[str, Any]) -> str:
    head = {key: value for key, value in provider.items() if key != "models"}
    models = ",\n".join(_json(model) for model in provider["models"])
    return f'{_json(head)[:-1]},"models":[\n{models}\n]}}'


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
