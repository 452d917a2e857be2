import pytest
from export_requests import (
    START_UNIX_NANO,
    add_span,
    log_request,
    metric_request,
    trace_request,
)
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from collector.errors import MalformedRequestError
from collector.receive import validity
from collector.receive.validity import Verdict, check_logs, check_metrics, check_traces

MAX_UNIX_NANO = 2**63 - 1

trace_ids = st.sampled_from(
    [b"\1" * 16] * 12 + [b"", bytes(16), b"\1" * 8, b"\n" * 15, b"\n" * 17]
)
span_ids = st.sampled_from(
    [b"\1" * 8] * 12 + [b"", bytes(8), b"\1" * 16, b"\x12" * 7, b"\x12" * 9]
)
times = st.sampled_from([0, 1, START_UNIX_NANO, MAX_UNIX_NANO, 2**63, 2**64 - 1])
spans = st.tuples(trace_ids, span_ids, times, times)
good_spans = st.tuples(
    st.binary(min_size=16, max_size=16).filter(any),
    st.binary(min_size=8, max_size=8).filter(any),
    st.integers(0, MAX_UNIX_NANO),
    st.integers(0, MAX_UNIX_NANO),
)
requests = st.lists(
    st.lists(st.lists(spans | good_spans, max_size=4), max_size=3), max_size=3
)


def build(resources):
    request = ExportTraceServiceRequest()
    for scopes in resources:
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.add(key="service.name")
        for spans_of_scope in scopes:
            scope_spans = resource_spans.scope_spans.add()
            for trace_id, span_id, start, end in spans_of_scope:
                span = scope_spans.spans.add(
                    trace_id=trace_id,
                    span_id=span_id,
                    start_time_unix_nano=start,
                    end_time_unix_nano=end,
                    name="chat",
                    trace_state="ot=th:8",
                    kind=3,
                )
                span.attributes.add(key="k").value.string_value = "v"
                span.attributes.add(key="k").value.array_value.values.add()
                span.status.message = "fine"
    return request


def is_bad(span):
    trace_id, span_id, start, end = span
    return (
        len(trace_id) != 16
        or not any(trace_id)
        or len(span_id) != 8
        or not any(span_id)
        or max(start, end) > MAX_UNIX_NANO
    )


@given(requests)
def test_spans_and_bad_spans_are_counted_as_by_looking_at_each(resources):
    expected = [span for scopes in resources for scope in scopes for span in scope]

    verdict = check_traces(build(resources).SerializeToString())

    assert verdict.items == len(expected)
    assert verdict.rejected == sum(map(is_bad, expected))
    assert sum(count for _, count in verdict.reasons) == verdict.rejected


@given(st.lists(good_spans, min_size=1, max_size=300))
def test_good_spans_with_times_are_not_looked_at_one_by_one(good):
    good = [(t, s, start or 1, end or 1) for t, s, start, end in good]
    payload = build([[good]]).SerializeToString()

    assert validity._check_columns(payload) == Verdict(len(good))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("trace_id", [b"\1" * 16 + b"\n", b"\1" * 15]),
        ("span_id", [b"\1" * 8 + b"\x12", b"\1" * 7]),
    ],
)
def test_ids_that_are_right_only_together_are_all_bad(name, values):
    request = trace_request(2)
    for span, value in zip(
        request.resource_spans[0].scope_spans[0].spans, values, strict=True
    ):
        setattr(span, name, value)

    assert check_traces(request.SerializeToString()).rejected == 2


@pytest.mark.parametrize("missing", ["start_time_unix_nano", "end_time_unix_nano"])
@pytest.mark.parametrize("bad", ["start_time_unix_nano", "end_time_unix_nano"])
@pytest.mark.parametrize("order", [1, -1], ids=["forth", "back"])
def test_a_missing_time_hides_no_bad_one(missing, bad, order):
    request = trace_request(20)
    spans = list(request.resource_spans[0].scope_spans[0].spans)[::order]
    for span in spans:  # their low bytes look like high bytes of good times
        span.start_time_unix_nano = span.end_time_unix_nano = 1 << 60
    for span in spans[:9]:
        setattr(span, missing, 0)
    setattr(spans[15], bad, 2**63)

    assert check_traces(request.SerializeToString()).rejected == 1


def test_times_that_look_like_the_head_of_a_column_hide_nothing():
    request = trace_request(20)
    spans = request.resource_spans[0].scope_spans[0].spans
    for span in spans:
        span.start_time_unix_nano = span.end_time_unix_nano = 1 << 60
    for span in spans[:9]:
        span.start_time_unix_nano = 0
    # Tag and length of twenty ends, where they would be if no start were missing.
    spans[8].end_time_unix_nano = int.from_bytes(bytes(6) + b"\x42\xa0", "little")
    spans[9].end_time_unix_nano |= 0x01

    assert check_traces(request.SerializeToString()).rejected == 1


@given(st.binary(max_size=200), st.data())
def test_broken_bytes_are_judged_as_by_the_parser_of_the_request_type(noise, data):
    content = build([[[(b"\1" * 16, b"\1" * 8, 1, 1)] * 2]]).SerializeToString()
    at = data.draw(st.integers(0, len(content)))
    broken = content[:at] + noise + content[at + len(noise) :]
    try:
        ExportTraceServiceRequest.FromString(broken)
        is_parsed = True
    except ValueError:
        is_parsed = False
    except Exception:  # noqa: BLE001  (protobuf's own error)
        is_parsed = False

    try:
        check_traces(broken)
        is_taken = True
    except MalformedRequestError:
        is_taken = False

    assert is_taken == is_parsed


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"trace_id": b"\1" * 15}, "trace_id has 15 bytes, not 16"),
        ({"trace_id": b""}, "trace_id has 0 bytes, not 16"),
        ({"trace_id": bytes(16)}, "trace_id is all zeros"),
        ({"span_id": b"\1" * 16}, "span_id has 16 bytes, not 8"),
        ({"span_id": bytes(8)}, "span_id is all zeros"),
        (
            {"start_time_unix_nano": 2**63},
            "start_time_unix_nano is beyond the year 2262",
        ),
        ({"end_time_unix_nano": 2**63}, "end_time_unix_nano is beyond the year 2262"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_span_is_rejected_with_its_reason_and_the_others_are_not(changes, reason):
    request = trace_request(3)
    bad = request.resource_spans[0].scope_spans[0].spans[1]
    for name, value in changes.items():
        setattr(bad, name, value)

    verdict = check_traces(request.SerializeToString())

    assert (verdict.items, verdict.rejected, verdict.reason) == (3, 1, reason)


@pytest.mark.parametrize(
    "times",
    [(0, 0), (0, START_UNIX_NANO), (START_UNIX_NANO, 0), (START_UNIX_NANO, 1)],
    ids=["no-times", "no-start", "no-end", "end-before-start"],
)
def test_missing_times_and_an_end_before_the_start_are_fine(times):
    request = trace_request(3)
    span = request.resource_spans[0].scope_spans[0].spans[1]
    span.start_time_unix_nano, span.end_time_unix_nano = times

    assert check_traces(request.SerializeToString()) == Verdict(3)


def test_the_first_bad_span_gives_the_reason_and_all_are_counted_by_kind():
    request = ExportTraceServiceRequest()
    add_span(request, 1)
    add_span(request, 2).span_id = bytes(8)
    add_span(request, 3).trace_id = b"short"
    add_span(request, 4).trace_id = b"short"

    verdict = check_traces(request.SerializeToString())

    assert verdict == Verdict(
        4, 3, "span_id is all zeros", (("span_id_zero", 1), ("trace_id_length", 2))
    )


@pytest.mark.parametrize("check", [check_traces, check_logs, check_metrics])
def test_an_empty_request_has_nothing_in_it(check):
    assert check(b"") == Verdict(0)


def test_fields_that_are_not_known_yet_do_not_matter():
    request = trace_request(2)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    unknown = bytes([0xFA, 0x3E, 3]) + b"new"  # field 1007
    span.MergeFromString(unknown)
    payload = request.SerializeToString()
    assert unknown in payload

    assert validity._check_columns(payload) == Verdict(2)


@pytest.mark.parametrize(
    "field",
    ["name", "trace_state", "attribute", "status"],
)
def test_text_that_is_not_utf8_spoils_the_request(field):
    request = trace_request(2)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    marker = "MARKER"
    match field:
        case "attribute":
            span.attributes.add(key="key").value.string_value = marker
        case "status":
            span.status.message = marker
        case _:
            setattr(span, field, marker)
    payload = request.SerializeToString().replace(b"MARKER", b"MARKE\xff")

    with pytest.raises(MalformedRequestError):
        check_traces(payload)


@pytest.mark.parametrize("check", [check_traces, check_logs, check_metrics])
@pytest.mark.parametrize(
    "payload", [b"\x0a\xff", b"not protobuf", b"\x1f"], ids=["cut", "text", "wire"]
)
def test_what_the_parser_refuses_is_malformed(check, payload):
    with pytest.raises(MalformedRequestError, match="Request"):
        check(payload)


def test_log_records_are_counted():
    assert check_logs(log_request(3).SerializeToString()) == Verdict(3)


def test_data_points_are_counted():
    assert check_metrics(metric_request(3).SerializeToString()) == Verdict(3)
