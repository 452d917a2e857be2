"""Columns read from flat attributes: the chosen entry per span, and its meaning."""

import json
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from proto_handlers.attributes import Attributes, Mask, Rows, offsets_in
from proto_handlers.scalars import FALSE, ZERO, word

Ints = npt.NDArray[np.int64]

_WHOLE: Final = r"^\d{1,18}(\.0*)?$"
_TOO_LARGE: Final = 10**18
_NINE: Final = 9
NONE: Final = np.int32(-1)


class Count(NamedTuple):
    """A whole number per span; where *known* is false the value is 0."""

    value: Ints
    known: Mask

    def to_arrow(self) -> pa.Int64Array:
        """Return the numbers with nulls where unknown."""
        return pa.array(self.value, pa.int64(), mask=~self.known)

    def or_else(self, other: "Count") -> "Count":
        """Return these numbers, and *other* where they are unknown."""
        return Count(
            np.where(self.known, self.value, other.value), self.known | other.known
        )

    def where(self, mask: Mask, other: "Count") -> "Count":
        """Return *other* where *mask* is true, these numbers elsewhere."""
        return Count(
            np.where(mask, other.value, self.value),
            np.where(mask, other.known, self.known),
        )


class Chosen(NamedTuple):
    """For each field, the position of the entry that tells it, per span; -1 if none."""

    attributes: Attributes
    places: Mapping[str, Rows]

    def text(self, name: str) -> pa.StringArray:
        """
        Return the field's text per span, null where nothing tells it.

        Text that is a JSON string (MLflow, Langfuse) is read as one.
        """
        places = self.places.get(name)
        if places is None:
            return pa.nulls(self.attributes.owners, pa.string())
        texts = self.attributes.chosen(places)
        quoted = pc.starts_with(texts, '"')
        if not pc.any(quoted).as_py():
            return texts
        return per_distinct(texts, _unquoted, pa.string())

    def number(self, name: str) -> Count:
        """Return the field as whole numbers; what is none is unknown."""
        value = np.zeros(self.attributes.owners, np.int64)
        known = np.zeros(self.attributes.owners, np.bool_)
        places = self.places.get(name)
        if places is not None:
            rows = np.flatnonzero(places >= 0)
            texts = self.attributes.values(places[rows])
            numbers, right = whole_numbers(texts)
            value[rows[right]] = numbers[right]
            known[rows] = right
        return Count(value, known)

    def is_told(self, name: str) -> Mask:
        """Return where anything tells the field."""
        places = self.places.get(name)
        if places is None:
            return np.zeros(self.attributes.owners, np.bool_)
        mask: Mask = places >= 0
        return mask

    def mapped(
        self, name: str, meaning: Callable[[str], object], kind: pa.DataType
    ) -> pa.Array:
        """Return what each text means, asked once per distinct text."""
        return per_distinct(self.text(name), meaning, kind)


def _unquoted(text: str) -> str | None:
    if not text.startswith('"'):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value or None if isinstance(value, str) else text


def per_distinct(
    texts: pa.StringArray, meaning: Callable[[str], object], kind: pa.DataType
) -> pa.Array:
    """Return what each text means, asked once per distinct text; null stays null."""
    if texts.null_count == len(texts):
        return pa.nulls(len(texts), kind)
    encoded = texts.dictionary_encode()
    meanings = [meaning(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(meanings, kind).take(encoded.indices)


def whole_numbers(texts: pa.StringArray) -> tuple[Ints, Mask]:
    """
    Parse whole numbers of at most 18 digits, with or without a zero fraction.

    Returns:
        The numbers and where the text was one. Negative ones are none.
    """
    if not _has_digits_only(texts):
        return _some_whole_numbers(texts)
    try:
        numbers = pc.cast(texts, pa.int64())
    except pa.ArrowInvalid:
        return _some_whole_numbers(texts)
    known = numbers.is_valid().to_numpy(zero_copy_only=False)
    values = pc.fill_null(numbers, ZERO).to_numpy()
    return values, known & (values < _TOO_LARGE)


def _has_digits_only(texts: pa.StringArray) -> bool:
    # Casting would take signs and hexadecimals, too.
    offsets, data = offsets_in(texts), texts.buffers()[2]
    if data is None:
        return False
    digits = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]] - np.uint8(48)
    return bool((digits <= _NINE).all())


def _some_whole_numbers(texts: pa.StringArray) -> tuple[Ints, Mask]:
    right = pc.fill_null(pc.match_substring_regex(texts, _WHOLE), FALSE)
    mask = right.to_numpy(zero_copy_only=False)
    if not mask.any():
        return np.zeros(len(texts), np.int64), mask
    if not mask.all():
        texts = pc.if_else(right, texts, word("0"))
    if pc.any(pc.match_substring(texts, ".")).as_py():
        texts = pc.replace_substring_regex(texts, r"\..*$", "")
    return pc.cast(texts, pa.int64()).to_numpy(), mask
