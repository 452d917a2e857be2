"""Each role by itself, as on machines that share nothing but files."""

import contextlib
import signal
import socket
import subprocess
import time

import httpx2
import pytest
from agent_runs import Run, protobuf_body
from lake_queries import count_calls
from load import post
from service import command, command_output, wait_until, write_config

from collector.telemetry import read_statuses

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]

ROLES = ("receive", "drain", "account")


def free_ports(count):
    with contextlib.ExitStack() as exits:
        sockets = [exits.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def test_three_roles_alone_are_a_service_with_a_status_each(tmp_path):
    grpc, http, web, receive, drain = (f"127.0.0.1:{n}" for n in free_ports(5))
    config = write_config(
        tmp_path,
        grpc=f'listen = "{grpc}"',
        http=f'listen = "{http}"',
        web=f'listen = "{web}"',
        receive=f'status_listen = "{receive}"',
        drain=f'status_listen = "{drain}"',
        store="flush_seconds = 0.1",
    )
    run = Run(time.time_ns() - 10**10)
    data = tmp_path / "data"

    with contextlib.ExitStack() as exits:
        processes = []
        for role in ROLES:
            process = subprocess.Popen(
                command(role, "--config", str(config)),
                stdout=subprocess.DEVNULL,
                stderr=exits.enter_context((tmp_path / f"{role}.log").open("wb")),
            )
            exits.callback(process.kill)
            processes.append(process)
        wait_until(
            lambda: (
                all(it["ready"] for it in read_statuses(data / "state").values())
                and len(read_statuses(data / "state")) == len(ROLES)
            ),
            what="all roles are ready",
        )
        assert post(http, protobuf_body(run.spans())) == 200
        wait_until(lambda: count_calls(str(data / "lake")) == run.steps, what="calls")
        ready = {
            address: httpx2.get(f"http://{address}/readyz").json()["roles"].keys()
            for address in (web, receive, drain)
        }
        counted = httpx2.get(f"http://{receive}/metrics").text
        told = command_output("doctor", "--config", str(config))
        for process in processes:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(120) for process in processes]

    assert ready == {web: {*ROLES}, receive: {"receive"}, drain: {"drain"}}
    assert f"spanledger_spans_accepted_total {run.steps + 1}.0" in counted
    assert "roles run alone" in told
    assert "fail" not in told
    assert codes == [0, 0, 0]
