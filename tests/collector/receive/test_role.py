import json
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import grpc
import pytest
from export_requests import different_requests, trace_request
from grpc_health.v1 import health_pb2, health_pb2_grpc
from journals import SMALL
from receivers import METHODS, TRANSPORTS, Receiver, Sender, receiving
from structlog.testing import capture_logs

from collector.errors import ConfigError, ListenError, LockedError
from collector.journal import Journal, JournalReader

ROLE = """
import asyncio, json, signal, sys
import uvloop
import structlog
from collector.config import Settings
from collector.receive.role import run_receive

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    def ready(addresses):
        print(json.dumps(addresses), flush=True)
    await run_receive(Settings(**json.loads(sys.argv[1])), ready=ready, stop=stop)

uvloop.run(main())
"""


def role_process(data_dir, **settings):
    values = {
        "data_dir": str(data_dir),
        "grpc": {"listen": "127.0.0.1:0"},
        "http": {"listen": "127.0.0.1:0"},
        "journal": {"segment_bytes": 1 << 20},
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-c", ROLE, json.dumps(values | settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def receiver_of(process, data_dir):
    addresses = json.loads(process.stdout.readline())
    return Receiver(data_dir, addresses["grpc"], addresses["http"])


def test_a_second_receiver_on_the_directory_is_refused_before_it_listens(tmp_path):
    with (
        receiving(tmp_path),
        pytest.raises(LockedError, match="in use by process"),
        receiving(tmp_path),
    ):
        pytest.fail("started")


def test_the_directory_is_free_again_after_the_end(tmp_path):
    for _ in range(2):
        with receiving(tmp_path) as receiver:
            assert receiver.payloads() == []


@pytest.mark.parametrize("section", ["grpc", "http"])
def test_an_address_in_use_is_refused_with_the_settings_name(tmp_path, section):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(ListenError, match=rf"{section}\.listen.*{listen}"),
            receiving(tmp_path, **{section: {"listen": listen}}),
        ):
            pytest.fail("started")


@pytest.mark.parametrize("section", ["grpc", "http"])
def test_two_receivers_do_not_share_a_port_in_silence(tmp_path, section):
    with receiving(tmp_path / "one") as first:
        listen = getattr(first, section)
        with (
            pytest.raises(ListenError),
            receiving(tmp_path / "two", **{section: {"listen": listen}}),
        ):
            pytest.fail("started")


@pytest.mark.parametrize("section", ["grpc", "http"])
def test_two_receivers_share_a_port_when_both_are_told_to(tmp_path, section):
    shared = {"listen": "127.0.0.1:0", "reuse_port": True}
    with receiving(tmp_path / "one", **{section: shared}) as first:
        shared["listen"] = getattr(first, section)
        with receiving(tmp_path / "two", **{section: shared}) as second:
            assert getattr(second, section) == getattr(first, section)


def test_an_ipv6_address_is_listened_on_and_shown_with_brackets(tmp_path):
    ipv6 = {"listen": "[::1]:0"}
    with receiving(tmp_path, grpc=ipv6, http=ipv6) as receiver:
        assert receiver.grpc.startswith("[::1]:")
        assert receiver.http.startswith("[::1]:")
        for transport in TRANSPORTS:
            sender = Sender(receiver, transport)
            assert sender.send(sender.encode(trace_request())).code in {0, 200}


@pytest.mark.parametrize("service", ["", *(m[1:-7] for m in METHODS.values())])
def test_grpc_health_says_serving(receiver, service):
    with grpc.insecure_channel(receiver.grpc) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service=service), timeout=120
        )

    assert answer.status == health_pb2.HealthCheckResponse.SERVING


class SlowSync:
    """A sync that waits until it is let go, and says when it was called."""

    def __init__(self):
        self.started = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, descriptor):
        self.started.set()
        assert self.let_go.wait(120)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_requests_that_run_when_it_stops_get_their_reply(tmp_path, transport):
    sync = SlowSync()
    replies = []

    def open_journal(*arguments, **options):
        return Journal.open(*arguments, sync=sync, **options)

    with receiving(tmp_path, open_journal=open_journal) as receiver:
        sender = Sender(receiver, transport)
        body = sender.encode(trace_request(2))
        sending = threading.Thread(target=lambda: replies.append(sender.send(body)))
        sending.start()
        assert sync.started.wait(120)
        threading.Timer(0.2, sync.let_go.set).start()
    sending.join(30)

    assert [reply.code for reply in replies] == [0 if sender.is_grpc else 200]
    assert len(receiver.frames()) == 1


def test_its_life_is_logged_with_addresses_and_no_line_per_request(tmp_path):
    with capture_logs() as logs, receiving(tmp_path) as receiver:
        for transport in TRANSPORTS:
            sender = Sender(receiver, transport)
            sender.send(sender.encode(trace_request(2, first=len(transport))))

    events = {entry["event"]: entry for entry in logs}
    assert set(events) == {"journal_opened", "receive_started", "receive_stopped"}
    assert events["receive_started"]["grpc"] == receiver.grpc
    assert events["receive_started"]["http"] == receiver.http


def test_the_same_bytes_sent_again_after_a_restart_are_stored_once(tmp_path):
    for transport in ("grpc", "http-protobuf"):
        with receiving(tmp_path) as receiver:
            sender = Sender(receiver, transport)
            assert sender.send(sender.encode(trace_request(2))).code in {0, 200}

    assert len(receiver.frames()) == 1


@pytest.mark.parametrize("acknowledgements", [1, 60])
def test_after_a_kill_every_acknowledged_request_is_in_the_journal_once(
    tmp_path, acknowledgements
):
    acknowledged = []
    lock = threading.Lock()
    bodies = different_requests(100)

    def keep_sending(address):
        with grpc.insecure_channel(address) as channel:
            export = channel.unary_unary(METHODS["traces"])
            while True:
                with lock:
                    body = next(bodies)
                try:
                    export(body, timeout=120)
                except grpc.RpcError:
                    return
                with lock:
                    acknowledged.append(body)
                    if len(acknowledged) == acknowledgements:
                        process.kill()

    with role_process(tmp_path) as process:
        receiver = receiver_of(process, tmp_path)
        senders = [
            threading.Thread(target=keep_sending, args=(receiver.grpc,))
            for _ in range(4)
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(200)
    Journal.open(tmp_path / "journal", SMALL).close()

    stored = receiver.payloads()
    assert len(acknowledged) >= acknowledgements
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))


def test_a_process_told_to_stop_ends_well_and_leaves_a_closed_journal(tmp_path):
    with role_process(tmp_path) as process:
        receiver = receiver_of(process, tmp_path)
        sender = Sender(receiver, "grpc")
        assert sender.send(sender.encode(trace_request(2))).code == 0

        process.send_signal(signal.SIGTERM)

        assert process.wait(120) == 0
    [segment] = (tmp_path / "journal").glob("*.segment")
    [frame] = receiver.frames()
    assert segment.stat().st_size == frame.end.offset


def make_certificates(directory):
    """Make a CA, and a certificate for localhost signed by it."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    key, certificate = directory / "key.pem", directory / "cert.pem"
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        *("-keyout", str(key), "-out", str(certificate)),
    )
    return key, certificate


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("tls"))


def send_with_tls(receiver, certificate, client_pair=None):
    """Return whether gRPC and HTTP requests were answered well."""
    import ssl

    import httpx2

    ca = certificate.read_bytes()
    key, chain = client_pair or (None, None)
    credentials = grpc.ssl_channel_credentials(
        ca, key and key.read_bytes(), chain and chain.read_bytes()
    )
    results = []
    with grpc.secure_channel(receiver.grpc, credentials) as channel:
        try:
            channel.unary_unary(METHODS["traces"])(b"", timeout=120)
            results.append(True)
        except grpc.RpcError:
            results.append(False)
    context = ssl.create_default_context(cafile=certificate)
    if client_pair:
        context.load_cert_chain(chain, key)
    try:
        response = httpx2.post(
            f"https://{receiver.http}/v1/traces",
            headers={"content-type": "application/x-protobuf"},
            verify=context,
        )
        results.append(response.status_code == 200)
    except httpx2.HTTPError:
        results.append(False)
    return results


def test_both_receivers_speak_tls(tmp_path, certificates):
    key, certificate = certificates
    tls = {"cert_file": certificate, "key_file": key}
    with receiving(tmp_path, receive={"tls": tls}) as receiver:
        assert send_with_tls(receiver, certificate) == [True, True]


def test_with_a_client_ca_only_its_clients_may_send(tmp_path, certificates):
    key, certificate = certificates
    stranger = make_certificates(tmp_path)
    tls = {"cert_file": certificate, "key_file": key, "client_ca_file": certificate}
    with receiving(tmp_path / "data", receive={"tls": tls}) as receiver:
        assert send_with_tls(receiver, certificate, certificates) == [True, True]
        assert send_with_tls(receiver, certificate) == [False, False]
        assert send_with_tls(receiver, certificate, stranger) == [False, False]


def test_a_missing_certificate_is_refused_with_its_setting(tmp_path):
    tls = {"cert_file": tmp_path / "none.pem", "key_file": tmp_path / "none.key"}
    with (
        pytest.raises(ConfigError, match=r"receive\.tls"),
        receiving(tmp_path, receive={"tls": tls}),
    ):
        pytest.fail("started")


def test_readers_follow_a_role_while_it_runs(tmp_path):
    with receiving(tmp_path) as receiver:
        reader = JournalReader.open(tmp_path / "journal")
        sender = Sender(receiver, "grpc")
        for number in range(3):
            assert reader.wait(0) is False
            sender.send(sender.encode(trace_request(1, first=number)))
            assert reader.wait(120) is True
            [frame] = reader.read(reader.committed, max_bytes=1 << 20)
            reader.commit(frame.end)
        reader.close()


@pytest.mark.parametrize("transport", ["grpc", "http-protobuf"])
def test_a_bomb_does_not_fill_the_memory_of_the_process(tmp_path, transport):
    inflated_bytes = 320 << 20
    with role_process(tmp_path) as process:
        sender = Sender(receiver_of(process, tmp_path), transport)

        reply = sender.send(bytes(inflated_bytes), compression="gzip")

        status = Path(f"/proc/{process.pid}/status").read_text()
        process.terminate()
    peak_kib = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
    expected = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0] if sender.is_grpc else 413
    assert reply.code == expected
    assert peak_kib * 1024 < inflated_bytes
