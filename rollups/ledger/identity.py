"""Who made a call: own attribute, else the nearest ancestor's, else the resource's."""

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rollups.ledger.calls import Calls
from rollups.ledger.columns import (
    NONE,
    Ints,
    Mask,
    equals,
    known,
    one_chunk,
    take,
    texts_of,
)
from rollups.ledger.spans import Spans, identity_names

FEATURE_SOURCES: Final = ("own", "ancestor", "resource", "workflow", "route")
_OWN, _ANCESTOR, _FIRST_SUGGESTED = 0, 1, 3
_OF_ONE_AGENT: Final = ("agent_version", "agent_id")
_FAR: Final = np.iinfo(np.int64).max


class Subjects(NamedTuple):
    """
    The spans whose identity is asked for: m rows of one or more spans.

    ``span`` is the row's main span; rows in ``several`` have ``members`` that lie
    together from ``starts``.
    """

    span: Ints
    several: Ints
    starts: Ints
    members: Ints


def one_each(span: Ints) -> Subjects:
    """Return rows of one span each."""
    none = np.zeros(0, np.int64)
    return Subjects(span, none, none, none)


def of_calls(calls: Calls) -> Subjects:
    """Return calls with all their members."""
    return Subjects(calls.span, calls.several, calls.starts, calls.members)


def identities(
    spans: Spans, subjects: tuple[Subjects, ...], *, dimensions: tuple[str, ...]
) -> list[dict[str, pa.Array]]:
    """
    Return the identity columns of each of *subjects*.

    Every member of a row counts: the value nearest to any of them wins, its own
    before a parent's. A token's tenant goes before all; a feature falls back to the
    workflow's name, then to the route. ``feature_source`` says where it came from.
    """
    results: list[dict[str, pa.Array]] = [{} for _ in subjects]
    for name in identity_names(dimensions):
        own = one_chunk(spans.table, f"own_{name}")
        source = _nearest(spans, own)
        if name in _OF_ONE_AGENT:
            source = _of_same_agent(spans, source)
        for subject, result in zip(subjects, results, strict=True):
            found = _choose(spans, subject, source)
            if name == "feature":
                result.update(_feature(spans, subject, found))
            else:
                result[name] = _text(spans, subject, name, found)
    return results


def said(identity: dict[str, pa.Array]) -> pa.Array:
    """Return the features that someone said, not those that a name suggests."""
    feature = identity["feature"]
    source = identity["feature_source"]
    suggested = equals(source, FEATURE_SOURCES[_FIRST_SUGGESTED:])
    if not suggested.any():
        return feature
    return pc.if_else(pa.array(suggested), pa.scalar(None, feature.type), feature)


def _nearest(spans: Spans, column: pa.Array) -> Ints:
    """Return each span's nearest span with a value, itself first, `NONE` without."""
    if column.null_count == len(column):
        return np.full(spans.size, NONE)
    nearest = spans.tree.nearest(known(column)[spans.rows])
    return np.where(nearest < spans.size, nearest, NONE)


def _of_same_agent(spans: Spans, source: Ints) -> Ints:
    """Leave out sources that speak of another agent than the span's own."""
    if (source == NONE).all():
        return source
    names = spans.codes("own_agent_name")
    nearest = _nearest(spans, one_chunk(spans.table, "own_agent_name"))
    agent = np.append(names, NONE)[nearest]
    there = np.append(agent, NONE)[source]
    return np.where((there == agent) | (there == NONE), source, NONE)


def _choose(spans: Spans, subjects: Subjects, source: Ints) -> Ints:
    """Return for each row the source nearest to one of its members."""
    chosen = source[subjects.span]
    if len(subjects.several):
        found = source[subjects.members]
        depth = spans.tree.depth
        steps = np.where(found == NONE, _FAR, depth[subjects.members] - depth[found])
        nearest = np.minimum.reduceat(steps, subjects.starts)
        group = np.zeros(len(steps), np.int64)
        group[subjects.starts[1:]] = 1
        group = np.cumsum(group)
        places = np.where(steps == nearest[group], np.arange(len(steps)), _FAR)
        best = found[np.minimum.reduceat(places, subjects.starts)]
        main = source[subjects.span[subjects.several]]
        own = subjects.span[subjects.several]
        reach = np.where(main == NONE, _FAR, depth[own] - depth[main])
        chosen[subjects.several] = np.where(reach <= nearest, main, best)
    return chosen


def _text(spans: Spans, subjects: Subjects, name: str, found: Ints) -> pa.Array:
    layers = [
        spans.pick(f"own_{name}", found),
        spans.pick(f"resource_{name}", subjects.span),
    ]
    if name == "tenant":
        layers.insert(0, spans.pick(name, _wire(spans, subjects, name)))
    if name == "environment":
        layers.append(spans.pick(name, subjects.span))
    return _first_known(layers)


def _wire(spans: Spans, subjects: Subjects, name: str) -> Ints:
    """Return for each row a member that has a value in a wire column."""
    has_value = spans.known(name)
    return _choose(spans, subjects, np.where(has_value, np.arange(spans.size), NONE))


def _feature(spans: Spans, subjects: Subjects, found: Ints) -> dict[str, pa.Array]:
    workflow, route = (
        _choose(spans, subjects, _nearest(spans, one_chunk(spans.table, name)))
        for name in ("workflow_name", "http_route")
    )
    layers = [
        spans.pick("own_feature", found),
        spans.pick("resource_feature", subjects.span),
        spans.pick("workflow_name", workflow),
        spans.pick("http_route", route),
    ]
    source = np.full(len(found), NONE)
    for code, layer in reversed(list(enumerate(layers, start=_ANCESTOR))):
        source[known(layer)] = code
    source[_is_own(subjects, found)] = _OWN
    words = texts_of(FEATURE_SOURCES)
    return {"feature": _first_known(layers), "feature_source": take(words, source)}


def _is_own(subjects: Subjects, found: Ints) -> Mask:
    own = found == subjects.span
    if len(subjects.several):
        sizes = np.diff(np.r_[subjects.starts, len(subjects.members)])
        is_member = subjects.members == np.repeat(found[subjects.several], sizes)
        own[subjects.several] = np.logical_or.reduceat(is_member, subjects.starts)
    return own


def _first_known(layers: list[pa.Array]) -> pa.Array:
    some = [layer for layer in layers if layer.null_count < len(layer)]
    if not some:
        return layers[0]
    return some[0] if not some[0].null_count else pc.coalesce(*some)
