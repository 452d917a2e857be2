import base64
import json
from datetime import timedelta

import pytest
from findings import NOON, growth, spike
from hypothesis import given
from hypothesis import strategies as st
from webhook_sink import KEY, SECRET

from collector.alerts.alert import EVENT_TYPES, event_type, read_finding, unix_us
from collector.alerts.formats import render, summary
from collector.alerts.lifecycle import Policy, advance
from collector.alerts.webhook import load_endpoints, sign
from collector.config import AlertSettings, WebhookSettings
from rollups.registry import RULES

URL = "https://user:pw@hooks.example.com:8443/T0/B0/token?key=secret"
POLICY = Policy.of(AlertSettings())


def endpoint(form, url=URL):
    secret = {"generic": SECRET, "pagerduty": "routing-key"}.get(form)
    hook = WebhookSettings(url=url, secret=secret, format=form)
    (loaded,) = load_endpoints(AlertSettings(webhooks=(hook,)))
    return loaded


def notices(*looks):
    alert = None
    told = []
    for finding, minutes in looks:
        step = advance(
            alert,
            read_finding(finding) if finding else None,
            now_us=unix_us(NOON + timedelta(minutes=minutes)),
            policy=POLICY,
        )
        alert = step.alert
        told += [step.notice] if step.notice else []
    return told


def rendered(notice, form):
    return json.loads(render(notice, endpoint(form)))


def test_a_generic_body_has_the_documented_shape():
    (notice,) = notices((growth(), 0))

    assert rendered(notice, "generic") == {
        "type": "run.context_growth",
        "timestamp": "2026-11-22T12:00:00Z",
        "data": {
            "rule": "context_growth",
            "state": "firing",
            "severity": "warning",
            "scope": {
                "agent_name": "triage-agent",
                "feature": "refund",
                "run_id": "b7ad6b7169203331",
                "trace_id": "0af7651916cd43dd8448eb211c80319c",
            },
            "value": 1.97,
            "threshold": 1.6,
            "details": {"steps": 12, "wasted_usd": "0.184200000000"},
        },
    }


def test_a_recovery_says_resolved():
    _, notice = notices((growth(), 0), (growth(), 15))

    body = rendered(notice, "generic")
    assert body["timestamp"] == "2026-11-22T12:15:00Z"
    assert body["data"]["state"] == "resolved"


def test_a_value_that_json_does_not_have_is_null():
    (notice,) = notices((growth(value=float("inf")), 0))

    assert rendered(notice, "generic")["data"]["value"] is None


def test_a_rule_without_a_type_of_its_own_is_custom():
    assert event_type("night_shift") == "custom.night_shift"


def test_every_built_in_rule_with_a_type_in_the_contract_has_it():
    untyped = {rule.name for rule in RULES} - EVENT_TYPES.keys()

    assert untyped <= {"embedding_duplicates"}


def test_types_are_those_of_the_contract():
    assert sorted(EVENT_TYPES.values()) == [
        "budget.threshold_crossed",
        "cache.hit_rate_drop",
        "context.trend",
        "cost.spike",
        "errors.rate",
        "latency.p95",
        "price.unpriced_model",
        "retry.amplification",
        "run.context_growth",
        "run.context_jump",
        "run.loop",
        "run.too_long",
    ]


def test_slack_gets_blocks_within_its_limits_and_escaped():
    finding = growth(feature="<!channel> & " + "x" * 3000)
    finding["details"] = json.dumps(
        {f"key {number}": "<" * 900 for number in range(90)}
    )
    (notice,) = notices((finding, 0))

    body = rendered(notice, "slack")

    header, *sections, context = body["blocks"]
    assert header["type"] == "header"
    assert len(header["text"]["text"]) <= 150
    assert context["type"] == "context"
    assert 1 <= len(sections) <= 48
    assert all(len(section["fields"]) <= 10 for section in sections)
    fields = [field["text"] for section in sections for field in section["fields"]]
    assert all(len(text) <= 2000 for text in fields)
    assert "<" not in "".join([body["text"], *fields])


def test_pagerduty_opens_and_closes_the_same_incident():
    opened, closed = notices((growth(severity="critical"), 0), (None, 1), (None, 16))

    trigger = rendered(opened, "pagerduty")
    resolve = rendered(closed, "pagerduty")

    assert trigger["routing_key"] == "routing-key"
    assert trigger["event_action"] == "trigger"
    assert trigger["payload"]["severity"] == "critical"
    assert trigger["payload"]["source"]
    assert trigger["payload"]["custom_details"]["value"] == 1.97
    assert resolve == {
        "routing_key": "routing-key",
        "event_action": "resolve",
        "dedup_key": trigger["dedup_key"],
    }


def test_pagerduty_gets_another_incident_for_another_episode():
    looks = [(spike(), 0), (None, 1), (None, 16), (spike(), 20)]

    first, _, second = notices(*looks)

    keys = [rendered(it, "pagerduty")["dedup_key"] for it in (first, second)]
    assert keys[0] != keys[1]


def test_alertmanager_knows_the_recovery_by_the_same_labels():
    opened, closed = notices(
        (growth(feature=None), 0), (growth(feature="late"), 1), (None, 2), (None, 17)
    )

    (fired,) = rendered(opened, "alertmanager")
    (ended,) = rendered(closed, "alertmanager")

    assert fired["labels"] == {
        "alertname": "context_growth",
        "severity": "warning",
        "agent_name": "triage-agent",
        "run_id": "b7ad6b7169203331",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }
    assert ended["labels"] == fired["labels"]
    assert fired["startsAt"] == ended["startsAt"] == "2026-11-22T12:00:00Z"
    assert fired["endsAt"] == "2026-11-23T12:00:00Z"
    assert ended["endsAt"] == "2026-11-22T12:17:00Z"


def test_alertmanager_is_told_that_the_lower_severity_ended_when_it_rises():
    _, notice = notices((growth(), 0), (growth(severity="critical"), 1))

    lower, higher = rendered(notice, "alertmanager")

    assert (lower["labels"]["severity"], lower["endsAt"]) == (
        "warning",
        "2026-11-22T12:01:00Z",
    )
    assert (higher["labels"]["severity"], higher["endsAt"]) == (
        "critical",
        "2026-11-23T12:01:00Z",
    )


@pytest.mark.parametrize(
    ("given_url", "used"),
    [
        ("http://am:9093", "http://am:9093/api/v2/alerts"),
        ("http://am:9093/", "http://am:9093/api/v2/alerts"),
        ("http://am/prefix/api/v2/alerts", "http://am/prefix/api/v2/alerts"),
    ],
)
def test_alertmanager_is_found_by_its_host(given_url, used):
    assert endpoint("alertmanager", given_url).url == used


def test_a_summary_names_who_and_what():
    (notice,) = notices((growth(), 0))

    assert summary(notice) == (
        "[warning] context grows with every step:"
        " agent_name triage-agent, feature refund"
    )


def test_the_name_of_an_endpoint_shows_no_secret():
    loaded = endpoint("generic")

    assert loaded.name == "1 https://hooks.example.com:8443"
    for word in ("pw", "token", "=secret", SECRET, base64.b64encode(KEY).decode()):
        assert word not in repr(loaded)


def test_a_signature_is_that_of_the_specification():
    # the example of the reference implementation (standard-webhooks 1.0.0, libraries)
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    signature = sign(
        key,
        webhook_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    scope=st.dictionaries(st.text(), JSON),
    details=st.dictionaries(st.text(), JSON),
    value=st.none() | st.floats(),
    form=st.sampled_from(["generic", "slack", "pagerduty", "alertmanager"]),
)
def test_any_finding_can_be_rendered_in_any_format(scope, details, value, form):
    finding = {**spike(), "scope": scope, "details": details, "value": value}

    (notice,) = notices((finding, 0))

    assert rendered(notice, form)
