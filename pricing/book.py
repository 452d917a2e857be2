"""
Price books: everything that decides what a call cost, under one version.

A book is a list of catalogs, asked in order, and of overlays, each laid over what lies
below it. Its artefact is a file from which `load_book` restores it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from pricing.catalog import Catalog, Context, Found, parse_catalog, unix_micros
from pricing.errors import PriceBookError
from pricing.matching import Hit
from pricing.names import (
    CATALOG_SELLER,
    MAX_NAME_LENGTH,
    OWN_HARDWARE,
    guess_seller,
    region_of,
    seller_of,
    spellings,
)
from pricing.overlay import Layer, Subject, lay_over
from pricing.overlay_file import load_overlay, parse_overlay
from pricing.plans import Entry, Plan
from pricing.rate_cards import unpriced_card

K = TypeVar("K")
V = TypeVar("V")

BOOK_FORMAT: Final = 1

_BUNDLED_FILES: Final = (
    "genai_prices.json",
    "litellm.json",
    "corrections.toml",
    "regions.toml",
    "batch.toml",
    "reported.toml",
)
"""Files of ``pricing/data`` in order of precedence."""

_MAX_REMEMBERED: Final = 50_000


class CallKey(NamedTuple):
    """Everything about a call but time and counts that its price depends on."""

    provider: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    service_tier: str | None = None
    processing: str | None = None
    speed: str | None = None
    deployment: str | None = None
    region: str | None = None
    tenant: str | None = None
    feature: str | None = None
    dialect: str | None = None


_OVERLAID_ONLY: Final = frozenset({"tenant", "feature", "dialect"})
"""Fields on which only an overlay's price depends."""


class Listing(NamedTuple):
    """Who is taken to have sold a call, and the list's row of it if there is one."""

    seller: str | None
    found: Found | None = None
    match: str = ""


@dataclass(frozen=True)
class PriceBook:
    """
    Catalogs and overlays, ready to price calls.

    Attributes:
        texts: The files it was made of, by name; their order is precedence.
    """

    texts: Mapping[str, str] = field(repr=False)
    _plans: dict[CallKey, Plan] = field(default_factory=dict, repr=False, compare=False)
    _listings: dict[tuple[str | None, ...], Listing] = field(
        default_factory=dict, repr=False, compare=False
    )

    @cached_property
    def catalogs(self) -> tuple[Catalog, ...]:
        """Catalogs in the order in which they are asked."""
        return tuple(
            parse_catalog(text, path=name)
            for name, text in self.texts.items()
            if name.endswith(".json")
        )

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Overlays, the lowest first."""
        return tuple(
            parse_overlay(text, path=name)
            for name, text in self.texts.items()
            if name.endswith(".toml")
        )

    @cached_property
    def version(self) -> str:
        """Twelve hex digits of the SHA-256 of the artefact."""
        return hashlib.sha256(self.artefact()).hexdigest()[:12]

    @cached_property
    def key_fields(self) -> tuple[str, ...]:
        """Fields of `CallKey` on which a price in this book depends."""
        used = {
            name for layer in self.layers for rule in layer for name in rule.selectors
        }
        unused = _OVERLAID_ONLY - used
        return tuple(name for name in CallKey._fields if name not in unused)

    @cached_property
    def shares_hours(self) -> bool:
        """Whether the price of any call waits until its hour is over."""
        return any(rule.shares_hours for layer in self.layers for rule in layer)

    @cached_property
    def newest_micros(self) -> int:
        """Time at which calls without one are priced: when the list was read."""
        days = [date.fromisoformat(catalog.retrieved) for catalog in self.catalogs]
        return max(map(unix_micros, days), default=0)

    def artefact(self) -> bytes:
        """Return the book as a file's content; `load_book` gives an equal book."""
        document = {"book": BOOK_FORMAT, "texts": dict(self.texts)}
        return json.dumps(document, ensure_ascii=False, indent=0).encode()

    def with_overlay(self, path: Path) -> "PriceBook":
        """
        Return this book with the rules of an overlay file on top.

        Raises:
            PriceBookError: The file or a rule in it cannot be used.
        """
        load_overlay(path)
        return PriceBook(
            {**self.texts, f"{len(self.texts)}-{path.name}": path.read_text("utf-8")}
        )

    def models_of(self, provider: str | None) -> tuple[str, ...]:
        """
        Return the models that lists have of a seller, none of one without a list.

        Args:
            provider: Name as sent.
        """
        seller = self._seller(provider)
        if seller is None:
            return ()
        names: dict[str, None] = {}
        for catalog in self.catalogs:
            listed_as = seller
            if seller not in catalog.sellers:
                listed_as = CATALOG_SELLER.get(seller, seller)
            if listed_as in catalog.sellers:
                names |= dict.fromkeys(catalog.sellers[listed_as].models)
        return tuple(names)

    def plan(self, key: CallKey) -> Plan:
        """Return what such calls cost over time; remembered, never fails."""
        plan = self._plans.get(key)
        if plan is None:
            plan = self._make_plan(key)
            _remember(self._plans, key, plan)
        return plan

    def _make_plan(self, key: CallKey) -> Plan:
        names = key[:3]
        listing = self._listings.get(names)
        if listing is None:
            listing = self._listing(key)
            _remember(self._listings, names, listing)
        plan = _listed_plan(listing, key)
        subject = _subject(key, listing)
        for layer in self.layers:
            plan = lay_over(layer, subject, plan)
        return plan

    def _listing(self, key: CallKey) -> Listing:
        names = _model_names(key)
        seller = self._seller(key.provider)
        for name in names:
            if seller and (listing := self._find(seller, name)):
                return listing
        for name in names:
            maker = guess_seller(key.provider, name)
            if maker and maker != seller and (listing := self._find(maker, name)):
                return listing._replace(match="fallback")
        return Listing(seller)

    def _seller(self, provider: str | None) -> str | None:
        """Return the seller of that name: of our table, else of a catalog."""
        name = (provider or "").strip().lower()
        listed = any(name in catalog.sellers for catalog in self.catalogs)
        return seller_of(provider) or (name if listed else None)

    def _find(self, seller: str, name: str) -> Listing | None:
        for catalog in self.catalogs:
            listed_as = seller
            if seller not in catalog.sellers:
                listed_as = CATALOG_SELLER.get(seller, seller)
            for spelling in spellings(seller, name):
                if found := catalog.find(listed_as, spelling):
                    return Listing(seller, found, _match_word(found, spelling, name))
        return None


def _remember(memory: dict[K, V], key: K, value: V) -> None:
    # Names come from outside: what is remembered of them must not grow for ever.
    if len(memory) >= _MAX_REMEMBERED:
        memory.clear()
    memory[key] = value


def _listed_plan(listing: Listing, key: CallKey) -> Plan:
    """Return what the lists say, before any overlay."""
    if key.deployment == "provisioned":
        reason = "provisioned"
    elif listing.found is None:
        is_own = (key.provider or "").strip().lower() in OWN_HARDWARE
        reason = "self_hosted" if is_own else "unknown_model"
    elif not listing.found.prices.is_listed:
        reason = "no_list_price"
    else:
        return listing.found.prices.plan(
            asked_context(key),
            listing.match,
            is_own_list=not listing.found.is_fallback,
        )
    return (Entry(unpriced_card(reason)),)


def _subject(key: CallKey, listing: Listing) -> Subject:
    """Return the names by which overlays may select such calls."""
    names = _model_names(key)
    models = list(names)
    if listing.seller:
        models += [other for name in names for other in spellings(listing.seller, name)]
    if listing.found:
        models.append(listing.found.prices.model.lower())
    region = key.region or next(filter(None, map(region_of, names)), None)
    told = {
        "provider": (listing.seller, key.provider),
        "model": models,
        "region": (region,),
        "deployment": (key.deployment,),
        "tenant": (key.tenant,),
        "feature": (key.feature,),
        "dialect": (key.dialect,),
        **{name: (value,) for name, value in asked_context(key).items()},
    }
    return {
        selector: tuple(dict.fromkeys(name.strip().lower() for name in names if name))
        for selector, names in told.items()
    }


def asked_context(key: CallKey) -> Context:
    """Return what the call asked for beyond the standard, in the catalogs' words."""
    asked = {
        "service_tier": (key.service_tier or "").lower(),
        "processing": (key.processing or "").lower(),
        "speed": (key.speed or "").lower(),
    }
    if asked["service_tier"] == "batch":
        asked |= {"processing": "batch", "service_tier": ""}
    return {name: value for name, value in asked.items() if value not in _STANDARD}


_STANDARD: Final = frozenset(
    ("", "auto", "default", "standard", "standard_only", "on_demand", "realtime")
)


def _model_names(key: CallKey) -> list[str]:
    """Return the model names of a call, the one that says most of the price first."""
    names = [
        name.strip().lower()
        for name in (key.response_model, key.request_model)
        if name and name.strip() and len(name) <= MAX_NAME_LENGTH
    ]
    # Bedrock answers with the bare model, but bills by the profile asked for.
    if seller_of(key.provider) == "aws" or (names and names[-1].endswith(":free")):
        names.reverse()
    return names


def _match_word(found: Found, spelling: str, sent: str) -> str:
    if found.is_fallback:
        return "fallback"
    if found.hit is Hit.LOOSE:
        return "prefix"
    is_id = spelling == sent == found.prices.model.lower()
    return "exact" if is_id else "alias"


def bundled_book() -> PriceBook:
    """Return the book that comes with spanledger, without reading the network."""
    return _bundled()


def load_book(path: Path) -> PriceBook:
    """
    Load a price book.

    Args:
        path: A book's artefact, or a directory of catalogs (``*.json``) and
            overlays (``*.toml``), used in the order of their names.

    Raises:
        PriceBookError: A file cannot be read or used; the message has its place.
    """
    try:
        if path.is_dir():
            texts = {
                file.name: file.read_text("utf-8")
                for file in sorted(path.iterdir())
                if file.suffix in (".json", ".toml")
            }
        else:
            texts = _artefact_texts(json.loads(path.read_bytes()), path=str(path))
    except (OSError, ValueError) as error:
        if isinstance(error, PriceBookError):
            raise
        raise PriceBookError(f"not a price book: {error}", path=str(path)) from error
    return _checked(PriceBook(texts))


def _artefact_texts(document: object, *, path: str) -> dict[str, str]:
    if not isinstance(document, dict) or document.get("book") != BOOK_FORMAT:
        raise PriceBookError("not a price book's artefact", path=path)
    texts = document.get("texts")
    if not isinstance(texts, dict):
        raise PriceBookError("no texts", path=path)
    return {str(name): str(text) for name, text in texts.items()}


def _checked(book: PriceBook) -> PriceBook:
    if not book.catalogs:
        raise PriceBookError("no catalog", path=", ".join(book.texts) or "price book")
    _ = book.layers
    return book


@cache
def _bundled() -> PriceBook:
    data = files("pricing") / "data"
    return _checked(
        PriceBook({name: (data / name).read_text("utf-8") for name in _BUNDLED_FILES})
    )
