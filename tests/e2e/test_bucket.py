"""The lake in a bucket, over HTTP."""

import json
import time

import pytest
from agent_runs import Run, protobuf_body
from load import post
from s3_server import bucket_url, s3_server
from service import command_output, service, wait_until, write_config

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def test_spans_become_priced_calls_in_a_bucket_and_are_asked_for_by_sql(tmp_path):
    run = Run(time.time_ns() - 10**10)
    query = "SELECT count(*) AS calls, sum(cost_usd) AS usd FROM calls"

    with s3_server(tmp_path / "s3.log") as address:
        store = f'flush_seconds = 0.1\nurl = "{bucket_url(address, "lake")}"'
        config = write_config(tmp_path, store=store)

        def ask():
            told = command_output(
                "sql", query, "--format", "json", "--config", str(config)
            )
            (row,) = json.loads(told)
            return row if row["calls"] == run.steps else None

        with service(config) as running:
            assert post(running.addresses.http, protobuf_body(run.spans())) == 200
            served = wait_until(ask, what="calls")
            assert running.stop() == 0, running.log_tail()
        read = ask()

    assert served == read
    assert int(served["usd"].replace(".", "")) == run.cost
