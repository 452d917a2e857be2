import os
import socket
import subprocess
import sys
import threading
import time

import httpx2
import pytest
from starlette.applications import Starlette
from web_server import running, served

from collector.telemetry import metrics_directory, write_status
from collector.web.probes import build_status_app, probe_routes
from collector.web.readiness import SILENT_SECONDS, judge_readiness
from collector.web.server import ListenError, serve_status, serve_web

ROLES = ("receive", "drain", "account")


def say_ready(state_dir, *roles):
    for role in roles:
        write_status(state_dir, role, ready=True, lag_seconds=0.5)


@pytest.fixture
def client(tmp_path):
    routes = probe_routes(tmp_path, lambda: judge_readiness(tmp_path))
    with served(Starlette(routes=routes)) as client:
        yield client


def test_a_service_that_answers_is_alive(client):
    answer = client.get("/healthz")

    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_a_service_whose_roles_say_so_is_ready(client, tmp_path):
    say_ready(tmp_path, *ROLES)

    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["ready"] is True
    assert answer.json()["roles"]["drain"]["lag_seconds"] == 0.5


def test_one_may_ask_whether_some_roles_are_ready(client, tmp_path):
    say_ready(tmp_path, "receive", "drain")
    write_status(tmp_path, "account", ready=False, reason="the lake is away")

    def ask(roles):
        return client.get("/readyz", params={"roles": roles})

    assert ask("receive,drain").status_code == 200
    assert ask("receive").json()["roles"].keys() == {"receive"}
    assert ask("receive,account").status_code == 503
    assert ask("recieve").status_code == 400
    assert client.get("/readyz").status_code == 503


@pytest.mark.parametrize("role", ROLES)
def test_a_service_is_not_ready_before_all_roles_are(client, tmp_path, role):
    say_ready(tmp_path, *(it for it in ROLES if it != role))

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["roles"][role] == {
        "ready": False,
        "reason": "has not said anything yet",
    }


def test_a_role_that_says_it_is_not_ready_is_believed(client, tmp_path):
    say_ready(tmp_path, *ROLES)
    write_status(tmp_path, "receive", ready=False, reason="journal full")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["roles"]["receive"]["reason"] == "journal full"


def test_a_role_that_was_killed_is_not_ready(client, tmp_path):
    say_ready(tmp_path, "receive", "account")
    code = (
        "import sys; from pathlib import Path;"
        "from collector.telemetry import write_status;"
        "write_status(Path(sys.argv[1]), 'drain', ready=True)"
    )
    subprocess.run([sys.executable, "-P", "-c", code, str(tmp_path)], check=True)

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["roles"]["drain"]["reason"] == "is not running"


def test_a_role_that_went_silent_is_not_ready(tmp_path, monkeypatch):
    say_ready(tmp_path, "drain")
    late = time.time() + SILENT_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: late)

    judged = judge_readiness(tmp_path, ["drain"])

    assert judged["ready"] is False
    assert judged["roles"]["drain"]["reason"].startswith("has said nothing for")


def test_metrics_are_served_in_the_text_format(client, tmp_path):
    metrics_directory(tmp_path).mkdir()
    (metrics_directory(tmp_path) / "drain.pid").write_text(str(os.getpid()))

    answer = client.get("/metrics")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'spanledger_process_resident_bytes{role="drain"}' in answer.text


def test_a_role_that_runs_alone_answers_for_itself_only(tmp_path):
    say_ready(tmp_path, "drain")
    with served(build_status_app(tmp_path, "drain")) as client:
        ready = client.get("/readyz")
        page = client.get("/")

    assert ready.status_code == 200
    assert list(ready.json()["roles"]) == ["drain"]
    assert page.status_code == 404


def test_serving_ends_when_it_is_told_to_and_frees_the_port(tmp_path):
    def serve(**hooks):
        serve_status("127.0.0.1:0", tmp_path, "drain", **hooks)

    with running(serve) as address:
        assert httpx2.get(f"http://{address}/healthz").status_code == 200

    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"http://{address}/healthz")


def test_an_address_in_use_is_refused_in_one_clear_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(ListenError) as refused:
            serve_web(
                listen,
                Starlette(),
                ready=lambda _address: None,
                stop=threading.Event(),
            )

    assert refused.value.line() == (
        f"web: cannot listen on {listen}: Address already in use"
    )


def test_an_address_of_another_machine_is_refused_in_one_clear_line():
    with pytest.raises(ListenError, match=r"web: cannot listen on 192\.0\.2\.1:0: "):
        serve_web(
            "192.0.2.1:0",
            Starlette(),
            ready=lambda _address: None,
            stop=threading.Event(),
        )
