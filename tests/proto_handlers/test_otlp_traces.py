"""Decoding trace requests to columns."""

import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from otlp_requests import START_UNIX_NANO, payload, payloads, span
from reference_decode import reference_rows

from proto_handlers.otlp_traces import MENDED_KEY, Payload, decode_traces
from proto_handlers.schema import RAW_SCHEMA

NOT_A_REQUEST = b"\x0a\xff\xff"


def rows_of(spans):
    assert spans.schema == RAW_SCHEMA
    epoch = spans.column("timestamp").cast(pa.int64())
    return [
        row
        | {
            "timestamp": timestamp.as_py(),
            "attributes": unique(row["attributes"]),
            "resource_attributes": unique(row["resource_attributes"]),
            "events": [with_unique_attributes(event) for event in row["events"]],
            "links": [with_unique_attributes(link) for link in row["links"]],
        }
        for row, timestamp in zip(
            spans.drop_columns(["timestamp"]).to_pylist(), epoch, strict=True
        )
    ]


def unique(entries):
    attributes = dict(entries)
    assert len(attributes) == len(entries)
    return attributes


def with_unique_attributes(nested):
    return nested | {"attributes": unique(nested["attributes"])}


def attributes_of(decoded):
    return [unique(entries) for entries in decoded.spans["attributes"].to_pylist()]


@settings(max_examples=60, deadline=None)
@given(st.lists(payloads, max_size=4))
def test_columns_hold_what_reading_span_by_span_gives(sent):
    expected, bad = reference_rows(sent)

    decoded = decode_traces(sent)

    assert decoded.refused_payloads == ()
    assert decoded.refused_spans == bad
    assert rows_of(decoded.spans) == expected


@settings(max_examples=30, deadline=None)
@given(st.lists(payloads | st.none(), min_size=1, max_size=6))
def test_a_payload_that_is_no_request_is_refused_alone(sent):
    mixed = [item or Payload(NOT_A_REQUEST, 1) for item in sent]
    good = [item for item in sent if item]

    decoded = decode_traces(mixed)

    assert decoded.refused_payloads == tuple(
        place for place, item in enumerate(sent) if item is None
    )
    assert rows_of(decoded.spans) == reference_rows(good)[0]


@settings(max_examples=30, deadline=None)
@given(st.lists(payloads, min_size=2, max_size=5), st.integers(1, 4))
def test_a_span_gives_the_same_row_whatever_it_is_decoded_with(sent, cut):
    apart = [decode_traces(sent[:cut]), decode_traces(sent[cut:])]

    together = decode_traces(sent)

    assert rows_of(together.spans) == rows_of(
        pa.concat_tables([part.spans for part in apart])
    )


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_arbitrary_bytes_never_make_decoding_raise(body):
    decoded = decode_traces([Payload(body, 1)])

    assert decoded.spans.schema == RAW_SCHEMA


@settings(max_examples=60, deadline=None)
@given(payloads, st.data())
def test_a_damaged_request_never_makes_decoding_raise(sent, data):
    body = bytearray(sent.body)
    assume(body)
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))

    decoded = decode_traces([Payload(bytes(body), 1)])

    assert decoded.spans.schema == RAW_SCHEMA


def test_a_value_whose_inside_is_damaged_is_unknown():
    sent = payload(span(1, attributes={"list": ["aaaa"], "other": "kept"}))
    damaged = Payload(sent.body.replace(b"aaaa", b"aa\xff\xff"), 1)

    decoded = decode_traces([damaged])

    assert attributes_of(decoded) == [{"list": None, "other": "kept"}]


def test_of_a_repeated_key_the_last_value_stays():
    twice = span(1)
    for text in ("first", "last"):
        twice.attributes.add(key="key").value.string_value = text

    decoded = decode_traces([payload(twice)])

    assert attributes_of(decoded) == [{"key": "last"}]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        (True, "true"),
        (-7, "-7"),
        (0.1, "0.1"),
        (3.0, "3"),
        (1e300, "1e+300"),
        (float("nan"), "nan"),
        (["stop", 1, 0.5, None], '["stop",1,0.5,null]'),
        ({"a": {"b": [b"\0"]}}, '{"a":{"b":["AA=="]}}'),
        (b"\xff\x00", "/wA="),
        (None, None),
    ],
    ids=repr,
)
def test_a_value_becomes_text(value, text):
    decoded = decode_traces([payload(span(1, attributes={"key": value}))])

    assert attributes_of(decoded) == [{"key": text}]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 0, (900, 900)),
        (0, 500, (500, 500)),
        (500, 0, (500, 500)),
        (500, 400, (500, 500)),
    ],
    ids=["no times", "no start", "no end", "end before start"],
)
def test_missing_times_are_mended_and_flagged(start, end, expected):
    odd = span(1, start_time_unix_nano=start, end_time_unix_nano=end)

    decoded = decode_traces([payload(odd, received_unix_nano=900)])

    (row,) = decoded.spans.to_pylist()
    assert (row["start_unix_nano"], row["end_unix_nano"]) == expected
    assert attributes_of(decoded) == [{MENDED_KEY: "true"}]


@pytest.mark.parametrize(
    "fields",
    [
        {"trace_id": b"\1" * 15},
        {"trace_id": bytes(16)},
        {"span_id": b""},
        {"span_id": bytes(8)},
        {"start_time_unix_nano": 2**63},
        {"end_time_unix_nano": 2**64 - 1},
    ],
    ids=str,
)
def test_a_bad_span_is_left_out_and_counted_and_its_neighbours_stay(fields):
    bad = span(2)
    for name, value in fields.items():
        setattr(bad, name, value)

    decoded = decode_traces([payload(span(1), bad, span(3))])

    assert decoded.refused_spans == 1
    assert decoded.spans["span_id"].to_pylist() == [f"{1:016x}", f"{3:016x}"]


def test_a_parent_id_of_zeros_is_no_parent():
    decoded = decode_traces([payload(span(1, parent_span_id=bytes(8)), span(2, 1))])

    assert decoded.spans["parent_span_id"].to_pylist() == [None, f"{1:016x}"]


def test_the_last_nanosecond_of_2262_is_a_time():
    late = span(1, start_time_unix_nano=2**63 - 1, end_time_unix_nano=2**63 - 1)

    decoded = decode_traces([payload(late)])

    assert decoded.spans["end_unix_nano"].to_pylist() == [2**63 - 1]


def test_nothing_gives_an_empty_batch():
    assert decode_traces([]).spans.equals(RAW_SCHEMA.empty_table())
    assert decode_traces([Payload(b"", START_UNIX_NANO)]).spans.num_rows == 0
