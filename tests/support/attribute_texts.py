"""Decoded spans with arbitrary texts under every attribute key that a dialect reads."""

import pyarrow as pa
from hypothesis import strategies as st
from otlp_requests import START_UNIX_NANO

from proto_handlers.content import MARKER_PREFIX
from proto_handlers.dialects import DIALECTS, IDENTITY_KEYS
from proto_handlers.dialects.dialect import flatten
from proto_handlers.schema import RAW_SCHEMA


def read_keys() -> list[str]:
    """Return every attribute key that some dialect or identity reads."""
    keys = {use.key for use in flatten(DIALECTS)}
    keys |= {kind.key for dialect in DIALECTS for kind in dialect.kinds}
    keys |= {key for dialect in DIALECTS for key in dialect.signature}
    keys |= {key for names in IDENTITY_KEYS.values() for key in names}
    return sorted(keys)


def scopes() -> list[str]:
    """Return a scope name for every scope that some dialect claims."""
    patterns = {scope for dialect in DIALECTS for scope in dialect.scopes}
    return sorted(pattern.replace("*", "x") for pattern in patterns)


def spoken_words() -> list[str]:
    """Return every word that says what a span is."""
    return sorted(
        {
            word
            for dialect in DIALECTS
            for kind in dialect.kinds
            for word in kind.operations
        }
    )


texts = (
    st.sampled_from(spoken_words())
    | st.sampled_from(
        [
            *("", " ", "0", "7", "12.0", "1.5", "-3", "9" * 18, "9" * 19, "1e9", "nan"),
            *("[]", '["stop"]', "[null]", '"chat"', "{", "[" * 2000, "true", "False"),
            *("inf", "anthropic", "aws.bedrock", "openai", "10/2", "0.000001"),
            "bytes=12;hash=" + "ab" * 16,
            "bytes=12",
            "bytes=;hash=",
            "bedrock-runtime.eu-west-1.amazonaws.com",
        ]
    )
    | st.integers(0, 5000).map(str)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
)
attributes = st.dictionaries(
    st.sampled_from(read_keys()), st.none() | texts, max_size=9
)
spans = st.fixed_dictionaries(
    {
        "scope_name": st.none() | st.sampled_from(scopes()) | texts,
        "scope_version": st.none() | texts,
        "name": texts,
        "trace_state": st.none()
        | st.sampled_from(["ot=th:8", "ot=th:", "ot=th:fffffffffffffff"]),
        "status_code": st.sampled_from(["UNSET", "OK", "ERROR"]),
        "service_name": st.none() | texts,
        "attributes": attributes,
        "resource_attributes": attributes,
    }
)


def raw_table(rows: list[dict]) -> pa.Table:
    """Return a decoded batch of rows that say only what matters."""
    full = [
        {
            "timestamp": START_UNIX_NANO // 1000,
            "start_unix_nano": START_UNIX_NANO,
            "end_unix_nano": START_UNIX_NANO + 1,
            "received_unix_nano": START_UNIX_NANO,
            "trace_id": "1" * 32,
            "span_id": f"{place:016x}",
            "flags": 0,
            "name": "work",
            "status_code": "UNSET",
            "events": [],
            "links": [],
        }
        | row
        | {
            name: list(row.get(name, {}).items())
            for name in ("attributes", "resource_attributes")
        }
        for place, row in enumerate(rows, start=1)
    ]
    return pa.Table.from_pylist(full, schema=RAW_SCHEMA)


tables = st.lists(spans, max_size=6).map(raw_table)


def marker(size: int, digest: str = "ab" * 16) -> str:
    """Return what stays of content."""
    return f"bytes={size};hash={digest}"


def content(key: str) -> str:
    """Return the key under which a content key's size and hash stay."""
    return MARKER_PREFIX + key
