"""The lake in a bucket, over HTTP."""

import json
import time

import httpx2
import pytest
from agent_runs import Run, protobuf_body
from load import post
from s3_server import bucket_url, s3_server
from service import command_output, service, wait_until, write_config

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


QUERY = "SELECT count(*) AS calls, sum(cost_usd) AS usd FROM calls"


def ask_for(config, run):
    """Return the run's row once all its calls are there."""
    told = command_output("sql", QUERY, "--format", "json", "--config", str(config))
    (row,) = json.loads(told)
    return row if row["calls"] == run.steps else None


def test_spans_become_priced_calls_in_a_bucket_and_are_asked_for_by_sql(tmp_path):
    run = Run(time.time_ns() - 10**10)
    with s3_server(tmp_path / "s3.log") as address:
        store = f'flush_seconds = 0.1\nurl = "{bucket_url(address, "lake")}"'
        config = write_config(tmp_path, store=store)

        def ask():
            return ask_for(config, run)

        with service(config) as running:
            assert post(running.addresses.http, protobuf_body(run.spans())) == 200
            served = wait_until(ask, what="calls")
            assert running.stop() == 0, running.log_tail()
        read = ask()

    assert served == read
    assert int(served["usd"].replace(".", "")) == run.cost


def test_a_service_that_starts_while_the_bucket_is_away_takes_spans_and_says_so(
    tmp_path,
):
    run = Run(time.time_ns() - 10**10)
    with s3_server(tmp_path / "s3.log") as address:
        pass
    url = bucket_url(address, "lake")
    config = write_config(tmp_path, store=f'flush_seconds = 0.1\nurl = "{url}"')

    with service(config) as running:
        web = running.addresses.web

        def away():
            reply = httpx2.get(f"http://{web}/readyz")
            return reply.status_code == 503 and reply.text

        said = wait_until(away, what="not ready")
        assert post(running.addresses.http, protobuf_body(run.spans())) == 200
        with s3_server(tmp_path / "again.log", port=address.rpartition(":")[2]):
            row = wait_until(lambda: ask_for(config, run), what="calls")
            assert running.stop() == 0, running.log_tail()

    assert "the lake is away" in said
    assert int(row["usd"].replace(".", "")) == run.cost
    assert "secret" not in running.log_path.read_text()
