import gzip
import json
import socket

import httpx2
import pytest
from export_requests import trace_request
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)
from receivers import otlp_json, receiving

PROTOBUF = {"content-type": "application/x-protobuf"}


def post(receiver, *, content=b"", headers=PROTOBUF, kind="traces"):
    return httpx2.post(
        f"http://{receiver.http}/v1/{kind}", content=content, headers=headers
    )


def test_an_id_that_is_not_hex_costs_its_span_alone(receiver):
    document = json.loads(otlp_json(trace_request(3, first=77)))
    spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans[1]["traceId"] = "AAAAAAAAAAAAAAAAAAAAAQ=="

    response = post(
        receiver,
        content=json.dumps(document).encode(),
        headers={"content-type": "application/json"},
    )

    assert response.json() == {
        "partialSuccess": {
            "rejectedSpans": "1",
            "errorMessage": "trace_id has 0 bytes, not 16",
        }
    }


def test_json_as_the_specification_shows_it_is_taken(receiver):
    document = {
        "resourceSpans": [
            {
                "resource": {
                    "attributes": [
                        {"key": "service.name", "value": {"stringValue": "my.service"}}
                    ]
                },
                "scopeSpans": [
                    {
                        "scope": {"name": "my.library", "version": "1.0.0"},
                        "spans": [
                            {
                                "traceId": "5B8EFFF798038103D269B633813FC60C",
                                "spanId": "EEE19B7EC3C1B174",
                                "parentSpanId": "EEE19B7EC3C1B173",
                                "name": "chat gpt-4o",
                                "startTimeUnixNano": "1544712660000000000",
                                "endTimeUnixNano": 1544712661000000000,
                                "kind": 2,
                                "somethingNew": {"nested": [1, 2]},
                                "attributes": [
                                    {
                                        "key": "gen_ai.usage.input_tokens",
                                        "value": {"intValue": "12"},
                                    }
                                ],
                            }
                        ],
                    }
                ],
            }
        ]
    }

    response = post(
        receiver,
        content=json.dumps(document).encode(),
        headers={"content-type": "application/json"},
    )

    assert (response.status_code, response.json()) == (200, {})
    request = trace_request(0)
    request.ParseFromString(receiver.payloads()[-1])
    [span] = request.resource_spans[0].scope_spans[0].spans
    assert span.trace_id.hex() == "5b8efff798038103d269b633813fc60c"
    assert span.end_time_unix_nano == 1544712661000000000
    assert span.attributes[0].value.int_value == 12


def test_a_body_without_a_length_is_bounded_too(tmp_path):
    sent_bytes = []

    def chunks():
        for _ in range(64):
            sent_bytes.append(65536)
            yield bytes(65536)

    with receiving(tmp_path, receive={"max_request_bytes": 100_000}) as receiver:
        response = post(receiver, content=chunks())

    assert response.status_code == 413


def test_many_requests_go_over_one_connection(receiver):
    with httpx2.Client(base_url=f"http://{receiver.http}", headers=PROTOBUF) as client:
        streams = {
            client.post("/v1/traces", content=b"").extensions["network_stream"]
            for _ in range(5)
        }

    assert len(streams) == 1


def test_a_long_answer_is_compressed_for_those_who_take_it(receiver):
    headers = PROTOBUF | {"content-type": "x" * 80, "accept-encoding": "gzip"}
    short = post(receiver, headers=headers)
    assert "content-encoding" not in short.headers

    from starlette.requests import Request

    from collector.receive.intake import Taken
    from collector.receive.otlp_http import _response

    scope = {"type": "http", "headers": [(b"accept-encoding", b"gzip, deflate")]}
    taken = Taken(1, "a reason that is long " * 50)
    response = _response(Request(scope), taken, "protobuf")

    assert response.headers["content-encoding"] == "gzip"
    answer = ExportTraceServiceResponse.FromString(gzip.decompress(response.body))
    assert answer.partial_success.error_message == taken.reason


def test_a_sender_that_leaves_half_way_does_no_harm(receiver):
    host, port = receiver.http.split(":")
    before = receiver.payloads()
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: application/x-protobuf\r\nContent-Length: 1000\r\n\r\nhalf"
        )

    assert post(receiver).status_code == 200
    assert receiver.payloads() == before


def test_a_refused_token_is_told_how_to_show_one(tmp_path):
    tokens = [{"token": "secret", "tenant": "acme"}]
    with receiving(tmp_path, receive={"tokens": tokens}) as receiver:
        response = post(receiver)

    assert response.headers["www-authenticate"] == "Bearer"
    assert Status.FromString(response.content).message


ORIGIN = "https://app.example.com"
PREFLIGHT = {
    "origin": ORIGIN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type,authorization",
}


@pytest.mark.parametrize("origins", [[ORIGIN], ["*"]])
def test_configured_browser_origins_may_send(tmp_path, origins):
    http = {"listen": "127.0.0.1:0", "cors_origins": origins}
    with receiving(tmp_path, http=http) as receiver:
        url = f"http://{receiver.http}/v1/traces"
        preflight = httpx2.options(url, headers=PREFLIGHT)
        response = post(receiver, headers=PROTOBUF | {"origin": ORIGIN})

    assert preflight.status_code == 200
    assert "content-type" in preflight.headers["access-control-allow-headers"]
    for answer in (preflight, response):
        assert answer.headers["access-control-allow-origin"] in {ORIGIN, "*"}


def test_other_browser_origins_are_not_let_in(tmp_path, receiver):
    preflight = httpx2.options(f"http://{receiver.http}/v1/traces", headers=PREFLIGHT)
    assert preflight.status_code == 405

    http = {"listen": "127.0.0.1:0", "cors_origins": ["https://other.example.com"]}
    with receiving(tmp_path, http=http) as strict:
        preflight = httpx2.options(f"http://{strict.http}/v1/traces", headers=PREFLIGHT)
    assert "access-control-allow-origin" not in preflight.headers
