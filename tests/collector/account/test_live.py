"""Verdicts on runs that go on, from their spans to a webhook."""

import json
import time

import pytest
from growth_spans import told
from otlp_requests import request
from webhook_sink import SECRET, webhook_sink
from workshop import Workshop

from collector.alerts import Deliverer
from collector.config import AlertSettings


def a_run(contexts, tools=(), *, feature="refund"):
    """Return a run that began a minute ago: prompt sizes, and the tool each asks."""
    begin = time.time() - 60
    asked = dict(enumerate(tools))
    steps = [
        {
            "i": at,
            "c": "main",
            "ts": begin + at,
            "in": tokens,
            "out": 100,
            "t": [asked[at]] if at in asked else [],
        }
        for at, tokens in enumerate(contexts)
    ]
    run = {"run_id": "live", "source": feature, "agent": "triage", "steps": steps}
    *children, root = told(1, run).spans
    return children, root


def growing(calls):
    return a_run([2000 + 6000 * at for at in range(calls)])


def looping(rounds):
    again = ["search", "the same question", 40, "the same answer"]
    return a_run([2000] * (rounds + 1), [again] * rounds)


def jumping():
    page = ["fetch_page", "a page", 25_000, "its text"]
    return a_run([4000, 4200, 29_400, 29_600], [["look", "a", 9, "b"], page])


def take(shop, *spans):
    """Let the account role see spans, as a tick does; nothing is published."""
    shop.send(request(*spans, resource={"service.name": "shop"}))
    shop.drain_all()
    shop.account.tick(publish=False)


def findings(shop):
    rows = shop.account.store.rows("findings", since_hour=0).to_pylist()
    return {row["rule"]: row for row in rows}


@pytest.mark.parametrize(
    ("run", "rule"),
    [(looping(4), "runaway_loop"), (jumping(), "context_jump")],
    ids=["loop", "jump"],
)
def test_a_loop_or_a_jump_is_found_while_the_run_goes_on(tmp_path, run, rule):
    children, root = run
    with Workshop(tmp_path) as shop:
        take(shop, *children)
        before = findings(shop)[rule]
        take(shop, root)
        after = findings(shop)[rule]

    assert '"closed":false' in before["details"]
    assert '"closed":true' in after["details"]
    assert before["run_id"] == after["run_id"] == root.span_id.hex()


def test_a_loop_is_found_with_its_fourth_round(tmp_path):
    children, _ = looping(4)
    with Workshop(tmp_path) as shop:
        take(shop, *children[:7])
        assert findings(shop) == {}

        take(shop, *children[7:])

        assert set(findings(shop)) == {"runaway_loop"}


def test_growth_is_provisional_from_the_sixth_call_until_the_run_closes(tmp_path):
    children, root = growing(12)
    with Workshop(tmp_path) as shop:
        take(shop, *children[:5])
        assert "context_growth" not in findings(shop)

        take(shop, *children[5:8])
        provisional = findings(shop)["context_growth"]
        take(shop, *children[8:], root)
        settled = findings(shop)["context_growth"]

    assert '"closed":false' in provisional["details"]
    assert '"closed":true' in settled["details"]
    assert provisional["window_start"] == settled["window_start"]


def test_a_run_is_told_by_its_service_until_its_root_names_it(tmp_path):
    children, root = looping(5)
    ids = {"run_id": root.span_id.hex(), "trace_id": root.trace_id.hex()}
    with Workshop(tmp_path) as shop:
        take(shop, *children)
        before = json.loads(findings(shop)["runaway_loop"]["scope"])
        take(shop, root)
        after = json.loads(findings(shop)["runaway_loop"]["scope"])

    assert before == {"service_name": "shop", **ids}
    assert after == {"feature": "refund", "agent_name": "triage", **ids}


@pytest.mark.parametrize(
    ("run", "type_", "details"),
    [
        (growing(9), "run.context_growth", {"steps": 9, "growth_shape": "accreting"}),
        (looping(5), "run.loop", {"loop_start": 1, "loop_period": 1, "loop_rounds": 5}),
        (jumping(), "run.context_jump", {"jump_steps": [3], "jump_tool": "fetch_page"}),
    ],
    ids=["growth", "loop", "jump"],
)
def test_an_unfinished_run_is_told_by_a_webhook(tmp_path, run, type_, details):
    children, root = run
    with webhook_sink() as sink:
        alerts = AlertSettings(webhook_url=sink.url, webhook_secret=SECRET)
        with Workshop(tmp_path, alerts=alerts) as shop:
            take(shop, *children)
            deliverer = Deliverer(
                shop.settings.state_dir / "alerts.sqlite", shop.settings.alerts
            )
            deliverer.start()
            (delivery,) = sink.wait_for(1)
            deliverer.stop(20)

    body = delivery.json
    assert body["type"] == type_
    assert body["data"]["state"] == "firing"
    assert body["data"]["severity"] == "warning"
    assert body["data"]["scope"]["run_id"] == root.span_id.hex()
    assert body["data"]["scope"]["trace_id"] == root.trace_id.hex()
    assert details.items() <= body["data"]["details"].items()
