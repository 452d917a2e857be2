"""
LiteLLM's price list, for models that ``genai-prices`` lacks.

https://github.com/BerriAI/litellm, ``model_prices_and_context_window_backup.json`` in
the wheel, MIT licence. Only token prices of sellers in `SELLER_OF` are taken, only of
models that no catalog before it knows, and no zeros: there a zero is how a missing
price is written. ``python -m pricing.sources.litellm FILE VERSION [DAY]`` rewrites
``pricing/data/litellm.json``; the library itself is not needed.
"""

import datetime as dt
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from pricing.catalog import Catalog, parse_catalog
from pricing.names import CATALOG_SELLER, seller_of, spellings
from pricing.sources import catalog_text, pico_usd

SOURCE: Final = "litellm"

SELLER_OF: Final = {
    **{name: seller_of(name) for name in ("openai", "anthropic", "azure", "gemini")},
    **{name: seller_of(name) for name in ("bedrock", "bedrock_converse", "mistral")},
    **{name: seller_of(name) for name in ("azure_ai", "xai", "together_ai", "groq")},
    **{name: seller_of(name) for name in ("cohere", "cohere_chat", "deepseek", "zai")},
    **{
        name: seller_of(name) for name in ("moonshot", "minimax", "voyage", "codestral")
    },
    "fireworks_ai": "fireworks",
    "fireworks_ai-embedding-models": "fireworks",
    "text-completion-openai": "openai",
    "cerebras": "cerebras",
    "databricks": "databricks",
    "deepinfra": "deepinfra",
    "dashscope": "dashscope",
    "nebius": "nebius",
    "watsonx": "watsonx",
    "sambanova": "sambanova",
    "oci": "oci",
}
"""Our word for the seller by ``litellm_provider``; all of Vertex is ``vertex``."""

UNIT_OF_COST: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
    "cache_read_input_audio_token_cost": "cache_read_audio",
    "input_cost_per_image_token": "input_image",
    "output_cost_per_image_token": "output_image",
    "input_cost_per_request": "request",
}
"""Our unit for each key; costs per second, page, character are left out."""

_VARIANTS: Final = {
    "_batches": {"processing": "batch"},
    "_flex": {"service_tier": "flex"},
    "_priority": {"service_tier": "priority"},
}

_TIER: Final = re.compile(r"_above_(\d+)k_tokens$")

_INCLUSIVE: Final = frozenset({"x-ai"})
"""Sellers whose long-context price begins at the threshold, not above it."""

_MAIN_COSTS: Final = ("input_cost_per_token", "output_cost_per_token")

_ABSURD_PICO: Final = 1_000 * 10**6
"""No model costs that much a token; rows that do are wrong by a factor of 1,000."""

_BY_REGION: Final = frozenset({"aws", "azure"})
"""Sellers whose names with a slash are one region's price, which nobody sends."""


def read_extract(text: str, *, version: str, retrieved: str, known: Catalog) -> str:
    """
    Return the list as a catalog text.

    Args:
        text: Content of LiteLLM's JSON file.

        version: Version of the wheel it came from.

        retrieved: Day it was read, ``YYYY-MM-DD``.

        known: The catalog asked before; what it has is left out.
    """
    rows = json.loads(text, parse_float=Decimal)
    models: dict[str, dict[str, dict[str, Any]]] = {}
    for key, row in rows.items():
        seller = _seller(str(row.get("litellm_provider")))
        name = _name(key).lower()
        model = _model(name, row, inclusive=seller in _INCLUSIVE)
        if not seller or not model or (seller in _BY_REGION and "/" in name):
            continue
        if not _is_known(seller, name, known):
            models.setdefault(seller, {}).setdefault(name, model)
    return catalog_text(
        source=SOURCE,
        version=version,
        retrieved=retrieved,
        providers=[
            {"id": seller, "fallback": [], "models": list(rows.values())}
            for seller, rows in sorted(models.items())
        ],
    )


def _seller(provider: str) -> str | None:
    return "vertex" if provider.startswith("vertex_ai") else SELLER_OF.get(provider)


def _name(key: str) -> str:
    head, slash, tail = key.partition("/")
    return tail if slash and (_seller(head) or seller_of(head)) else key


def _is_known(seller: str, name: str, known: Catalog) -> bool:
    listed_as = CATALOG_SELLER.get(seller, seller)
    return any(known.find(listed_as, spelling) for spelling in spellings(seller, name))


def _model(
    name: str, row: Mapping[str, Any], *, inclusive: bool
) -> dict[str, Any] | None:
    units = _units(row, "", inclusive=inclusive)
    costs = [_pico(row[key]) for key in _MAIN_COSTS if _is_price(row.get(key))]
    if not costs or max(costs) > _ABSURD_PICO:
        return None
    variants = [
        [when, None, changed]
        for suffix, when in _VARIANTS.items()
        if (changed := _units(row, suffix, inclusive=inclusive))
    ]
    model = {"id": name, "match": ["=", name], "prices": [[None, units]]}
    return model | ({"variants": variants} if variants else {})


def _units(row: Mapping[str, Any], suffix: str, *, inclusive: bool) -> dict[str, Any]:
    units: dict[str, Any] = {}
    for key, unit in UNIT_OF_COST.items():
        cost = row.get(key + suffix)
        if _is_price(cost):
            tiers = sorted(_tiers(row, key, suffix, inclusive=inclusive))
            units[unit] = [_pico(cost), *tiers] if tiers else _pico(cost)
    fees = row.get("search_context_cost_per_query", {})
    if not suffix and _is_price(fees.get("search_context_size_medium")):
        units["web_search"] = _pico(fees["search_context_size_medium"])
    return units


def _tiers(
    row: Mapping[str, Any], key: str, suffix: str, *, inclusive: bool
) -> Iterator[list[int]]:
    for name, cost in row.items():
        found = (
            _TIER.search(name.removesuffix(suffix)) if name.endswith(suffix) else None
        )
        if found and name.startswith(key + found[0]) and _is_price(cost):
            yield [int(found[1]) * 1000 - inclusive, _pico(cost)]


def _is_price(cost: object) -> bool:
    return isinstance(cost, int | Decimal) and cost > 0


def _pico(cost: Any) -> int:  # noqa: ANN401 - a price by _is_price
    return pico_usd(Decimal(cost), per=1)


def _main(file: str, version: str, days: Iterable[str]) -> None:
    data = Path(__file__).parent.parent / "data"
    genai_prices = data / "genai_prices.json"
    known = parse_catalog(genai_prices.read_text("utf-8"), path=str(genai_prices))
    today = dt.datetime.now(dt.UTC).date().isoformat()
    text = read_extract(
        Path(file).read_text("utf-8"),
        version=version,
        retrieved=next(iter(days), today),
        known=known,
    )
    (data / "litellm.json").write_text(text, "utf-8")


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], sys.argv[3:])
