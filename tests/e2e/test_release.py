"""A release that makes contexts larger, from its spans to the webhook."""

import json
import time

import pytest
from agent_runs import Run, protobuf_body
from lake_queries import query
from load import post
from service import service, wait_until, write_config
from webhook_sink import KEY, SECRET, webhook_sink

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]

MINUTE_NANO = 60 * 10**9
RUNS = 20


def runs_of(version, *, from_minutes, first_tokens, growth_tokens):
    """Return runs of a version, the last of them begun a while ago."""
    start = time.time_ns() - from_minutes * MINUTE_NANO
    return [
        Run(
            start + place * MINUTE_NANO,
            steps=3,
            version=version,
            first_tokens=first_tokens,
            growth_tokens=growth_tokens,
        )
        for place in range(RUNS)
    ]


def send(running, runs):
    for run in runs:
        assert post(running.addresses.http, protobuf_body(run.spans())) == 200


def test_a_release_whose_contexts_are_larger_is_told_by_a_signed_webhook(tmp_path):
    with webhook_sink() as sink:
        config = write_config(
            tmp_path,
            alerts=f'webhook_url = "{sink.url}"\nwebhook_secret = "{SECRET}"',
        )
        with service(config) as running:
            lean = {"first_tokens": 2_000, "growth_tokens": 500}
            send(running, runs_of("1.0", from_minutes=3 * 24 * 60, **lean))
            large = {"first_tokens": 6_000, "growth_tokens": 600}
            send(running, runs_of("2.0", from_minutes=25, **large))

            (delivery,) = sink.wait_for(1, seconds=180)

            found = wait_until(
                lambda: query(
                    running.lake,
                    "SELECT rule, scope, value, details FROM findings",
                ),
                what="the finding in the lake",
            )

    assert delivery.is_signed_with(KEY)
    assert delivery.json["type"] == "context.trend"
    told = delivery.json["data"]
    assert (told["state"], told["severity"], told["value"]) == ("firing", "warning", 3)
    assert told["scope"] == {
        "feature": "refund",
        "agent_name": "triage-agent",
        "agent_version": "2.0",
    }
    details = told["details"]
    assert details["versions_before"] == ["1.0"]
    assert (details["runs_before"], details["runs_after"]) == (RUNS, RUNS)
    assert details["floor_tokens_before"] == 2_000
    assert details["floor_tokens_after"] == 6_000
    ((rule, scope, value, in_lake),) = found
    assert (rule, value, json.loads(scope)) == ("context_trend", 3, told["scope"])
    assert json.loads(in_lake).items() <= details.items()
