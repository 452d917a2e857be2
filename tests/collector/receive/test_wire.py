"""Every row of the contract's table "what the wire sees", with real clients."""

import asyncio
import errno
import functools
import itertools
import os
import threading
import time

import grpc
import httpx2
import pytest
from export_requests import (
    START_UNIX_NANO,
    log_request,
    metric_request,
    trace_request,
)
from google.protobuf import json_format
from google.rpc.status_pb2 import Status
from journals import failing_sync
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)
from receivers import TRANSPORTS, Sender, parse, receiving, retry_seconds_of

from collector.errors import JournalFailedError
from collector.journal import Journal
from collector.receive.admission import Admission
from collector.receive.otlp_http import otlp_app

SMALL_JOURNAL = {"max_bytes": 1 << 20}

numbers = itertools.count(1_000_000, 1000)


def fresh_request(spans=2):
    """Return a request that no other test sends."""
    return trace_request(spans, first=next(numbers))


def bulky_request():
    """Return a request that no compression makes small."""
    request = fresh_request()
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.add(key="noise").value.string_value = os.urandom(16_384).hex()
    return request


def ok(sender):
    return 0 if sender.is_grpc else 200


def code(sender, grpc_code, http_status):
    return grpc_code.value[0] if sender.is_grpc else http_status


@pytest.mark.parametrize("kind", ["traces", "logs"])
def test_what_is_acknowledged_is_in_the_journal(receiver, sender, kind):
    request = fresh_request() if kind == "traces" else log_request(next(numbers) % 97)

    reply = sender.send(sender.encode(request), kind=kind)

    assert (reply.code, reply.rejected) == (ok(sender), 0)
    frame = receiver.frames()[-1]
    assert (frame.signal, frame.payload) == (kind, request.SerializeToString())
    assert frame.encoding == ("json" if "json" in sender.transport else "protobuf")


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_compressed_requests_are_taken(receiver, sender, compression):
    request = fresh_request(50)

    reply = sender.send(sender.encode(request), compression=compression)

    assert reply.code == ok(sender)
    assert receiver.payloads()[-1] == request.SerializeToString()


@pytest.mark.parametrize("kind", ["traces", "metrics", "logs"])
def test_what_is_not_decodable_is_an_invalid_argument(receiver, sender, kind):
    before = receiver.payloads()

    reply = sender.send(b"\xff not OTLP", kind=kind)

    assert reply.code == code(sender, grpc.StatusCode.INVALID_ARGUMENT, 400)
    assert reply.message
    assert reply.retry_seconds is None
    assert receiver.payloads() == before


def test_text_that_is_not_utf8_is_an_invalid_argument(receiver, sender):
    request = fresh_request()
    request.resource_spans[0].scope_spans[0].spans[0].name = "MARKER"
    body = sender.encode(request).replace(b"MARKER", b"MARKE\xff")

    reply = sender.send(body)

    assert reply.code == code(sender, grpc.StatusCode.INVALID_ARGUMENT, 400)


BAD_SPANS = {
    "trace-id-length": {"trace_id": b"\1" * 15},
    "span-id-length": {"span_id": b"\1" * 9},
    "trace-id-zero": {"trace_id": bytes(16)},
    "span-id-zero": {"span_id": bytes(8)},
    "start-beyond-2262": {"start_time_unix_nano": 2**63},
    "end-beyond-2262": {"end_time_unix_nano": 2**64 - 1},
}


@pytest.mark.parametrize("changes", BAD_SPANS.values(), ids=BAD_SPANS)
def test_bad_spans_are_a_partial_success_with_count_and_reason(
    receiver, sender, changes
):
    request = fresh_request(3)
    for span in request.resource_spans[0].scope_spans[0].spans[1:]:
        for name, value in changes.items():
            setattr(span, name, value)

    reply = sender.send(sender.encode(request))

    [name] = changes
    assert (reply.code, reply.rejected) == (ok(sender), 2)
    assert reply.message.startswith(name)
    assert receiver.payloads()[-1] == request.SerializeToString()


def test_a_request_of_bad_spans_only_is_a_partial_success_too(receiver, sender):
    before = receiver.payloads()
    request = fresh_request(2)
    for span in request.resource_spans[0].scope_spans[0].spans:
        span.span_id = bytes(8)

    reply = sender.send(sender.encode(request))

    assert (reply.code, reply.rejected) == (ok(sender), 2)
    assert receiver.payloads() == before


@pytest.mark.parametrize(
    "times",
    [(0, START_UNIX_NANO), (START_UNIX_NANO, 0), (START_UNIX_NANO, 1)],
    ids=["no-start", "no-end", "end-before-start"],
)
def test_spans_with_odd_times_are_kept(receiver, sender, times):
    request = fresh_request(1)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.start_time_unix_nano, span.end_time_unix_nano = times

    reply = sender.send(sender.encode(request))

    assert (reply.code, reply.rejected) == (ok(sender), 0)
    assert receiver.payloads()[-1] == request.SerializeToString()


@pytest.mark.parametrize("kind", ["traces", "metrics", "logs"])
def test_an_empty_request_is_fine(receiver, sender, kind):
    before = receiver.payloads()

    reply = sender.send(sender.encode(type(trace_request(0))()), kind=kind)

    assert (reply.code, reply.rejected) == (ok(sender), 0)
    assert receiver.payloads() == before


def test_metrics_are_fine_and_not_stored(receiver, sender):
    before = receiver.payloads()

    reply = sender.send(sender.encode(metric_request(3)), kind="metrics")

    assert reply.code == ok(sender)
    assert receiver.payloads() == before


def test_a_success_of_json_is_answered_in_json_and_of_protobuf_in_protobuf(receiver):
    for content_type, body, read in (
        ("application/json; charset=utf-8", b"{}", json_format.Parse),
        ("Application/X-Protobuf", b"", lambda c, m: m.ParseFromString(c)),
    ):
        response = httpx2.post(
            f"http://{receiver.http}/v1/traces",
            content=body,
            headers={"content-type": content_type},
        )

        answer = ExportTraceServiceResponse()
        read(response.content, answer)
        assert response.status_code == 200
        assert not answer.HasField("partial_success")
        assert response.headers["content-type"].lower() in content_type.lower()


@pytest.mark.parametrize(
    "method",
    [
        "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
        "/opentelemetry.proto.collector.profiles.v1.ProfilesService/Export",
    ],
)
def test_another_grpc_method_is_unimplemented(receiver, method):
    with grpc.insecure_channel(receiver.grpc) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(method)(b"", timeout=120)

        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_http_method_is_not_allowed(receiver, method):
    response = httpx2.request(method, f"http://{receiver.http}/v1/traces")

    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


def test_another_path_is_not_found(receiver):
    assert httpx2.post(f"http://{receiver.http}/v1/other").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-protobuf", "content-encoding": "br"},
        {},
    ],
    ids=["type", "encoding", "none"],
)
def test_another_content_type_or_encoding_is_unsupported(receiver, headers):
    response = httpx2.post(
        f"http://{receiver.http}/v1/traces", content=b"", headers=headers
    )

    assert response.status_code == 415


LIMIT_BYTES = 100_000


@pytest.fixture(scope="module")
def strict_receiver(tmp_path_factory):
    """A receiver with a low limit and tokens."""
    tokens = [
        {"token": "token-of-acme", "tenant": "acme"},
        {"token": "token-of-zeta", "tenant": "zeta"},
    ]
    with receiving(
        tmp_path_factory.mktemp("strict"),
        receive={"max_request_bytes": LIMIT_BYTES, "tokens": tokens},
    ) as running:
        yield running


@pytest.fixture(params=TRANSPORTS)
def strict_sender(request, strict_receiver):
    sender = Sender(strict_receiver, request.param)
    sender.send = functools.partial(
        sender.send, headers={"Authorization": "Bearer token-of-acme"}
    )
    return sender


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
@pytest.mark.parametrize("times", [1.1, 40])
def test_a_request_over_the_limit_is_refused_for_good(
    strict_receiver, strict_sender, compression, times
):
    body = b"\x0a" * int(LIMIT_BYTES * times)
    before = strict_receiver.payloads()

    reply = strict_sender.send(body, compression=compression)

    expected = code(strict_sender, grpc.StatusCode.RESOURCE_EXHAUSTED, 413)
    assert reply.code == expected
    assert reply.retry_seconds is None
    assert "retry-after" not in reply.headers
    assert strict_receiver.payloads() == before


def test_a_request_at_the_limit_is_looked_at(strict_sender):
    reply = strict_sender.send(b"\xff" * LIMIT_BYTES)

    assert reply.code == code(strict_sender, grpc.StatusCode.INVALID_ARGUMENT, 400)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "token-of-acme"}],
    ids=["none", "wrong", "bare"],
)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_no_token_or_a_wrong_one_is_unauthenticated(
    strict_receiver, transport, headers
):
    sender = Sender(strict_receiver, transport)
    before = strict_receiver.payloads()

    reply = sender.send(sender.encode(fresh_request()), headers=headers)

    assert reply.code == code(sender, grpc.StatusCode.UNAUTHENTICATED, 401)
    assert strict_receiver.payloads() == before


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("tenant", ["acme", "zeta"])
def test_what_is_sent_with_a_token_belongs_to_its_tenant(
    strict_receiver, transport, tenant
):
    sender = Sender(strict_receiver, transport)

    reply = sender.send(
        sender.encode(fresh_request()),
        headers={"Authorization": f"Bearer token-of-{tenant}"},
    )

    assert reply.code == ok(sender)
    assert strict_receiver.frames()[-1].tenant == tenant


def assert_unavailable(reply, sender, words):
    assert reply.code == code(sender, grpc.StatusCode.UNAVAILABLE, 503)
    assert words in reply.message
    assert reply.retry_seconds >= 1
    if not sender.is_grpc:
        assert reply.headers["retry-after"] == str(reply.retry_seconds)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_full_journal_is_unavailable_and_says_when_to_retry(tmp_path, transport):
    with receiving(tmp_path, journal=SMALL_JOURNAL) as receiver:
        sender = Sender(receiver, transport)
        taken = 0
        while (reply := sender.send(sender.encode(bulky_request()))).code == ok(sender):
            taken += 1

        assert_unavailable(reply, sender, "journal full")
        assert taken == len(receiver.frames()) > 0


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_full_disk_is_unavailable_and_heals_by_itself(tmp_path, transport):
    is_full = [True]

    def allocate(descriptor, offset, size_bytes):
        if is_full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.posix_fallocate(descriptor, offset, size_bytes)

    open_journal = functools.partial(Journal.open, allocate=allocate)
    with receiving(tmp_path, open_journal=open_journal) as receiver:
        sender = Sender(receiver, transport)
        request = fresh_request()

        assert_unavailable(sender.send(sender.encode(request)), sender, "disk full")
        is_full[0] = False

        assert sender.send(sender.encode(request)).code == ok(sender)
        assert receiver.payloads() == [request.SerializeToString()]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_failed_sync_is_unavailable_and_ends_the_role(tmp_path, transport):
    open_journal = functools.partial(Journal.open, sync=failing_sync(errno.EIO))

    def send_and_wait():
        with receiving(tmp_path, open_journal=open_journal) as receiver:
            sender = Sender(receiver, transport)
            reply = sender.send(sender.encode(fresh_request()))
            assert_unavailable(reply, sender, "journal sync failed")
            receiver.thread.join(30)
            assert not receiver.thread.is_alive()

    with pytest.raises(JournalFailedError):
        send_and_wait()


def test_a_grpc_request_while_it_shuts_down_is_unavailable(tmp_path):
    started, let_go = threading.Event(), threading.Event()

    def held_sync(descriptor):
        started.set()
        assert let_go.wait(120)

    open_journal = functools.partial(Journal.open, sync=held_sync)
    with receiving(tmp_path, open_journal=open_journal) as receiver:
        waiting = Sender(receiver, "http-protobuf")
        body = waiting.encode(fresh_request())
        running = threading.Thread(target=waiting.send, args=(body,))
        running.start()
        assert started.wait(120)
        sender = Sender(receiver, "grpc")
        receiver.thread.stop()
        deadline = time.monotonic() + 120
        while (reply := sender.send(b"")).code == 0:
            assert time.monotonic() < deadline
        let_go.set()
        running.join(30)

    assert_unavailable(reply, sender, "shutting down")


@pytest.mark.parametrize("encoding", ["x-protobuf", "json"])
def test_an_http_request_while_it_shuts_down_is_unavailable(encoding):
    admission = Admission((), max_request_bytes=100)
    admission.close()
    app = otlp_app(None, admission)

    async def post():
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport) as client:
            return await client.post(
                "http://receiver/v1/traces",
                headers={"content-type": f"application/{encoding}"},
            )

    response = asyncio.run(post())

    status = Status()
    parse(response.content, status, is_json=encoding == "json")
    assert (response.status_code, status.message) == (503, "shutting down")
    assert response.headers["retry-after"] == str(retry_seconds_of(status)) == "1"
