"""A service starts whatever has to be done first, and says what it does."""

import os
import shutil
import time
from datetime import UTC, datetime

import httpx2
import pytest
from agent_runs import Run, protobuf_body
from lake_queries import count_calls
from load import post
from service import command_output, service, wait_until, write_config

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]

FAST = {"store": "flush_seconds = 0.1", "account": "tick_seconds = 0.2"}


def ready(running):
    answer = httpx2.get(f"http://{running.addresses.web}/readyz")
    return answer.status_code, answer.json()["roles"]["account"]


def test_a_service_that_must_fill_its_tables_takes_spans_meanwhile_and_says_so(
    tmp_path,
):
    config = write_config(tmp_path, **FAST)
    old, new = (Run(time.time_ns() - 10**10, feature=f) for f in ("old", "new"))
    with service(config) as running:
        assert post(running.addresses.http, protobuf_body(old.spans())) == 200
        wait_until(lambda: count_calls(running.lake) == old.steps, what="calls")
        assert running.stop() == 0
    shutil.rmtree(tmp_path / "data" / "state" / "account")
    # Whoever opens a pipe waits until somebody writes: filling cannot go on.
    hour = f"{datetime.now(UTC):date=%Y-%m-%d/hour=%H}"
    pipe = tmp_path / "data" / "lake" / "spans" / hour / "pipe.parquet"
    pipe.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(pipe)

    with service(config) as running:
        answer = post(running.addresses.http, protobuf_body(new.spans()))
        status, said = ready(running)
        told = command_output("doctor", "--config", str(config))
        os.close(os.open(pipe.rename(tmp_path / "pipe"), os.O_WRONLY))
        wait_until(
            lambda: count_calls(running.lake) == old.steps + new.steps,
            what="old calls stay, new ones come",
        )
        wait_until(lambda: ready(running)[1]["reason"] is None, what="filled")

    assert answer == 200
    assert (status, said["ready"]) == (200, True)
    assert "fills its tables from the lake" in said["reason"]
    assert "fills its tables from the lake" in told


def test_a_role_that_cannot_start_says_why_in_one_line(tmp_path):
    alerts = 'webhook_url = "http://localhost/hook"\nwebhook_secret = "abc"'
    config = write_config(tmp_path, alerts=alerts)

    said = command_output("--config", str(config), "account")

    assert said == (
        "spanledger: settings: alerts: webhook 1: secret is not whsec_ followed by"
        " base64\n"
    )
