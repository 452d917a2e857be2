"""An agent run, from the exporters that apps use to every way its cost is read."""

import json
import subprocess
import time
from typing import NamedTuple

import httpx2
import pytest
from agent_runs import Run, json_body
from lake_queries import pico_usd, query
from load import post
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcExporter,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter as HttpExporter,
)
from sdk_agent import run_agent
from service import Service, command, service, wait_until, write_config
from webhook_sink import KEY, SECRET, WebhookSink, webhook_sink

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]

TRANSPORTS = ("grpc", "http-protobuf", "http-json")

BY_FEATURE = """
SELECT attributes['app.feature'] AS feature, count(DISTINCT trace_id) AS runs, sum(attributes['gen_ai.usage.cost']) AS usd
FROM spans WHERE name LIKE 'chat %' AND timestamp >= now() - INTERVAL 7 DAY GROUP BY feature ORDER BY usd DESC;
"""  # noqa: E501
BY_STEP = """
SELECT attributes['gen_ai.agent.step'] AS step, count(*) AS calls, avg(attributes['gen_ai.usage.input_tokens']) AS avg_in_tokens,
       sum(attributes['gen_ai.usage.cost']) AS usd FROM spans WHERE name LIKE 'chat %' GROUP BY step ORDER BY step;
"""  # noqa: E501


class Story(NamedTuple):
    """A service that has accounted one run per transport, and told of them."""

    service: Service
    sink: WebhookSink
    runs: dict[str, Run]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    with webhook_sink() as sink:
        config = write_config(
            tmp_path_factory.mktemp("story"),
            alerts=f'webhook_url = "{sink.url}"\nwebhook_secret = "{SECRET}"',
        )
        with service(config) as running:
            runs = {name: _send(running, name) for name in TRANSPORTS}
            calls = sum(run.steps for run in runs.values())
            wait_until(
                lambda: (
                    query(
                        running.lake,
                        "SELECT count(*) FROM calls WHERE feature IS NOT NULL",
                    )[0][0]
                    == calls
                ),
                what=f"{calls} calls in the ledger",
            )
            yield Story(running, sink, runs)


def _send(running: Service, transport: str) -> Run:
    addresses = running.addresses
    if transport == "grpc":
        exporter = GrpcExporter(f"http://{addresses.grpc}", insecure=True)
        return run_agent(exporter, transport)
    if transport == "http-protobuf":
        exporter = HttpExporter(f"http://{addresses.http}/v1/traces")
        return run_agent(exporter, transport)
    run = Run(time.time_ns() - 10**10, feature=transport)
    assert post(addresses.http, json_body(run.spans()), "application/json") == 200
    return run


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_plain_duckdb_reads_what_a_run_cost_whatever_transport_it_took(
    story, transport
):
    run = story.runs[transport]

    rows = query(
        story.service.lake,
        "SELECT step, input_tokens, cost_usd, cost_status, agent_name, service_name"
        f" FROM calls WHERE feature = '{transport}' ORDER BY step",
    )

    assert [
        (step, tokens, pico_usd(cost), status, agent, name)
        for step, tokens, cost, status, agent, name in rows
    ] == [
        (step, tokens, cost, "priced", run.agent, "shop")
        for step, (tokens, cost) in enumerate(
            zip(run.input_tokens, run.step_costs, strict=True)
        )
    ]


def test_rollups_and_runs_have_the_same_dollars_as_the_calls(story):
    expected = {name: run.cost for name, run in story.runs.items()}

    for table in ("calls", "runs", "feature_hourly", "step_daily", "trace"):
        text = f"SELECT feature, sum(cost_usd) FROM {table} GROUP BY feature"

        # Rollups are published after the calls that they add up.
        wait_until(
            lambda text=text: (
                {
                    feature: pico_usd(cost)
                    for feature, cost in query(story.service.lake, text)
                }
                == expected
            ),
            what=f"{table} adds up to {expected}",
        )


def _sql(story: Story, text: str):
    done = subprocess.run(
        command("sql", "--config", str(story.service.config), "--format", "json", text),
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_the_query_by_feature_runs_verbatim(story):
    rows = _sql(story, BY_FEATURE)

    found = {row["feature"]: (row["runs"], f"{float(row['usd']):.6f}") for row in rows}
    assert found == {
        name: (1, f"{run.cost / 1e12:.6f}") for name, run in story.runs.items()
    }


def test_the_query_by_step_runs_verbatim(story):
    rows = _sql(story, BY_STEP)

    found = [
        (
            int(row["step"]),
            row["calls"],
            row["avg_in_tokens"],
            f"{float(row['usd']):.6f}",
        )
        for row in rows
    ]
    run = story.runs["grpc"]
    assert found == [
        (step, 3, float(tokens), f"{3 * cost / 1e12:.6f}")
        for step, (tokens, cost) in enumerate(
            zip(run.input_tokens, run.step_costs, strict=True)
        )
    ]


def test_every_growing_run_is_told_once_by_a_signed_webhook(story):
    deliveries = story.sink.wait_for(len(TRANSPORTS), seconds=180)

    assert all(delivery.is_signed_with(KEY) for delivery in deliveries)
    assert {delivery.json["type"] for delivery in deliveries} == {"run.context_growth"}
    told = [delivery.json["data"] for delivery in deliveries]
    assert sorted(data["scope"]["feature"] for data in told) == sorted(TRANSPORTS)
    assert {data["details"]["steps"] for data in told} == {8}
    assert {round(data["value"], 6) for data in told} == {2.0}


def test_a_gateway_that_asks_is_warned_of_features_whose_runs_grow(story):
    def ask(feature):
        url = f"http://{story.service.addresses.web}/v1/decisions"
        return httpx2.get(url, params={"feature": feature}).json()

    warned = wait_until(
        lambda: (said := ask("grpc"))["decision"] != "allow" and said, what="a warning"
    )

    assert warned["decision"] == "warn"
    assert [reason["rule"] for reason in warned["reasons"]] == ["context_growth"]
    assert ask("some other feature")["decision"] == "allow"


def test_the_plain_query_of_the_lake_needs_nothing_of_ours(story):
    lake = story.service.lake

    rows = query(
        lake,
        f"SELECT feature, sum(cost_usd) FROM read_parquet('{lake}/calls/**/*.parquet',"
        " union_by_name=true) GROUP BY 1",
    )

    assert {feature: pico_usd(cost) for feature, cost in rows} == {
        name: run.cost for name, run in story.runs.items()
    }
