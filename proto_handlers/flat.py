"""The attributes of a batch as flat columns: as decoded, or from the lake's maps."""

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from proto_handlers.attributes import Attributes, Mask, Rows, from_maps


class Flat(NamedTuple):
    """The attributes of spans, and of the resources that they belong to."""

    spans: Attributes
    resources: Attributes
    resource_of_span: Rows

    @classmethod
    def of(cls, spans: pa.MapArray, resources: pa.MapArray) -> Self:
        """Flatten the maps of both; there is a resource's map for each span."""
        return cls(from_maps(spans), *_distinct_resources(resources))


def _distinct_resources(resources: pa.MapArray) -> tuple[Attributes, Rows]:
    """
    Return the resources that differ from the row before, and each row's place there.

    Spans of one resource come in a run, so comparing neighbours by length and
    content leaves few of them without sorting anything.
    """
    offsets = resources.offsets.to_numpy()
    sizes = np.diff(offsets)
    entries = from_maps(resources)
    changed: Mask = np.ones(len(resources), np.bool_)
    if len(resources) > 1:
        changed[1:] = _differs_from_previous(entries, offsets - offsets[0], sizes)
    starts = np.flatnonzero(changed)
    codes = (np.cumsum(changed) - 1).astype(np.int32)
    distinct = resources.take(pa.array(starts))
    return from_maps(distinct), codes


def _differs_from_previous(
    entries: Attributes, offsets: npt.NDArray[np.int32], sizes: npt.NDArray[np.int32]
) -> Mask:
    different: Mask = sizes[1:] != sizes[:-1]
    keys = entries.codes
    # Entries of a map have their texts in order.
    texts = entries.pool.dictionary_encode(null_encoding="encode").indices.to_numpy()
    rows = entries.rows
    place = np.arange(len(rows)) - offsets[rows]
    comparable = np.zeros(len(sizes), np.bool_)
    comparable[1:] = ~different
    chosen = np.flatnonzero(comparable[rows])
    before = offsets[rows[chosen] - 1] + place[chosen]
    unlike = (keys[chosen] != keys[before]) | (texts[chosen] != texts[before])
    different[rows[chosen[unlike]] - 1] = True
    return different
