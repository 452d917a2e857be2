"""How each span counts: by scope, provider and operation first, then by its keys."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import Attributes, KeyPlaces, Mask, Rows
from proto_handlers.columns import NONE
from proto_handlers.dialects import DIALECTS

_USAGES: Final = tuple(usage for dialect in DIALECTS for usage in dialect.usage)
_FIRST: Final = tuple(
    sum(len(other.usage) for other in DIALECTS[:place])
    for place in range(len(DIALECTS))
)
_WIRE_SHAPED_KEYS: Final = (
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
)
_WIRE_SHAPED_PROVIDERS: Final = re.compile("anthropic|bedrock")


class Conventions(NamedTuple):
    """For each span, what is known of its counts; all masks."""

    exclusive: Mask
    known: Mask
    excludes_reasoning: Mask
    loses_read: Mask
    loses_write: Mask
    zero_read_is_lost: Mask
    zero_write_is_lost: Mask
    is_part: Mask


def conventions_of(
    codes: Rows,
    scopes: pa.StringArray,
    providers: pa.StringArray,
    operation: pa.StringArray,
    attributes: Attributes,
    places: KeyPlaces,
) -> Conventions:
    """
    Return how spans count.

    The dialect's first convention that fits counts. Without one (DESIGN part 7)
    underscored cache keys with Anthropic or Bedrock mean exclusive input.
    """
    spans = _Combinations(codes, scopes, providers, operation)
    choice = np.full(len(codes), len(_USAGES), np.int32)
    for candidates, rows in spans.by_candidates().items():
        for place in reversed(candidates):
            usage = _USAGES[place]
            mask = rows
            if usage.having is not None:
                mask = mask & _has(attributes, places, *usage.having)
            if usage.unless:
                mask = mask & ~_has(attributes, places, usage.unless)
            choice[mask] = place
    known = choice < len(_USAGES)

    def flag(values: list[bool]) -> Mask:
        mask: Mask = np.array([*values, False], np.bool_)[choice]
        return mask

    exclusive = flag([usage.input == "exclusive" for usage in _USAGES])
    wire_shaped = np.zeros(len(codes), np.bool_)
    for key in _WIRE_SHAPED_KEYS:
        wire_shaped |= _has(attributes, places, key)
    if wire_shaped.any():
        named = spans.of_provider(
            lambda name: bool(_WIRE_SHAPED_PROVIDERS.search(name))
        )
        exclusive |= wire_shaped & named & ~known
    return Conventions(
        exclusive=exclusive,
        known=known,
        excludes_reasoning=flag([usage.excludes_reasoning for usage in _USAGES]),
        loses_read=flag(["cache_read" in usage.loses for usage in _USAGES]),
        loses_write=flag(["cache_write" in usage.loses for usage in _USAGES]),
        zero_read_is_lost=flag(
            ["cache_read" in usage.zero_is_lost for usage in _USAGES]
        ),
        zero_write_is_lost=flag(
            ["cache_write" in usage.zero_is_lost for usage in _USAGES]
        ),
        is_part=flag([usage.is_part for usage in _USAGES]),
    )


class _Combinations:
    """Spans by dialect, scope, provider and operation: few differ."""

    def __init__(
        self,
        codes: Rows,
        scopes: pa.StringArray,
        providers: pa.StringArray,
        operation: pa.StringArray,
    ) -> None:
        self._codes = codes
        self._scope, self._scopes = _numbered(scopes)
        self._provider, self._providers = _numbered(providers)
        self._operation, self._operations = _numbered(operation)

    def by_candidates(self) -> dict[tuple[int, ...], Mask]:
        """Return which conventions may fit which spans, best first."""
        key = self._codes.astype(np.int64) + 1
        for codes, words in (
            (self._scope, self._scopes),
            (self._provider, self._providers),
            (self._operation, self._operations),
        ):
            key = key * len(words) + codes
        group = pa.array(key).dictionary_encode().indices.to_numpy()
        one_of_group = np.empty(int(group.max(initial=-1)) + 1, np.int64)
        one_of_group[group] = np.arange(len(group))
        candidates = [self._candidates(int(row)) for row in one_of_group]
        masks: dict[tuple[int, ...], Mask] = {}
        for distinct in set(candidates):
            if distinct:
                chosen = np.array([other == distinct for other in candidates])
                masks[distinct] = chosen[group]
        return masks

    def _candidates(self, row: int) -> tuple[int, ...]:
        dialect = self._codes[row]
        if dialect == NONE:
            return ()
        scope = self._scopes[self._scope[row]]
        provider = self._providers[self._provider[row]].lower()
        operation = self._operations[self._operation[row]]
        return _fitting(int(dialect), scope, provider, operation)

    def of_provider(self, test: Callable[[str], bool]) -> Mask:
        """Return where *test* holds of the provider's name, lower case."""
        results = [test(name.lower()) for name in self._providers]
        mask: Mask = np.array(results, np.bool_)[self._provider]
        return mask


@lru_cache(maxsize=4096)
def _fitting(
    dialect: int, scope: str, provider: str, operation: str
) -> tuple[int, ...]:
    return tuple(
        _FIRST[dialect] + place
        for place, usage in enumerate(DIALECTS[dialect].usage)
        if re.search(usage.scope, scope)
        and re.search(usage.provider, provider)
        and usage.operation in {"", operation}
    )


def _numbered(texts: pa.StringArray) -> tuple[Rows, list[str]]:
    """Return each text's number and the texts; null is an empty one."""
    encoded = texts.dictionary_encode()
    words = encoded.dictionary.to_pylist()
    numbers = pc.fill_null(
        encoded.indices, pa.scalar(len(words), pa.int32())
    ).to_numpy()
    return numbers, [*words, ""]


def _has(attributes: Attributes, places: KeyPlaces, key: str, values: str = "") -> Mask:
    mask = np.zeros(attributes.owners, np.bool_)
    found = places.get(key)
    if found is None:
        return mask
    if values:
        texts = attributes.values(found)
        fits = pc.match_substring_regex(texts, f"^(?:{values})$")
        found = found[fits.to_numpy(zero_copy_only=False)]
    mask[attributes.rows[found]] = True
    return mask
