import json
from datetime import timedelta

import pytest
from findings import NOON, budget, growth

from collector.alerts import listing
from collector.alerts.store import AlertStore
from collector.config import AlertSettings

SETTINGS = AlertSettings(webhook_url="http://127.0.0.1:9/secret-path")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "alerts.sqlite"
    store = AlertStore.open(path)
    store.observe([growth(), budget(80)], now=NOON, settings=SETTINGS)
    later = NOON + timedelta(minutes=15)
    store.observe([growth(), budget(80)], now=later, settings=SETTINGS)
    store.close()
    return path


def test_alerts_are_listed_with_what_they_are_about_and_since_when(path):
    (alert,) = listing.list_alerts(path, now=NOON).to_pylist()

    assert (alert["rule"], alert["state"], alert["value"]) == ("budget", "firing", 81.0)
    assert json.loads(alert["scope"])["feature"] == "refund"
    assert alert["fired_at"] == alert["notified_at"] == NOON
    assert alert["resolved_at"] is None


def test_resolved_alerts_are_listed_when_asked_for(path):
    (alert,) = listing.list_alerts(path, now=NOON, states=["resolved"]).to_pylist()

    assert alert["rule"] == "context_growth"
    assert alert["resolved_at"] == NOON + timedelta(minutes=15)


def test_deliveries_are_listed_without_secrets_the_newest_first(path):
    letters = listing.list_deliveries(path).to_pylist()

    assert [it["alert_state"] for it in letters] == ["resolved", "firing", "firing"]
    assert {it["endpoint"] for it in letters} == {"1 http://127.0.0.1:9"}
    assert letters[0]["type"] == "run.context_growth"


def test_silences_are_listed_while_they_hold(path):
    number = listing.silence(
        path,
        now=NOON,
        until=NOON + timedelta(hours=1),
        rule="budget",
        scope={"feature": "refund"},
        comment="migration",
    )

    (row,) = listing.list_silences(path, now=NOON).to_pylist()
    after = listing.list_silences(path, now=NOON + timedelta(hours=1))

    assert row == {
        "id": number,
        "rule": "budget",
        "scope": '{"feature": "refund"}',
        "created_at": NOON,
        "until": NOON + timedelta(hours=1),
        "comment": "migration",
    }
    assert after.num_rows == 0


def test_a_silence_that_is_not_there_cannot_be_ended(path):
    assert not listing.unsilence(path, 99)


def test_a_service_that_never_ran_has_empty_lists_and_stays_untouched(tmp_path):
    path = tmp_path / "state" / "alerts.sqlite"

    assert listing.list_alerts(path, now=NOON).schema == listing.ALERT_SCHEMA
    assert listing.list_deliveries(path).schema == listing.DELIVERY_SCHEMA
    assert listing.list_silences(path, now=NOON).schema == listing.SILENCE_SCHEMA
    assert listing.retry_dead(path, now=NOON) == 0
    assert not path.parent.exists()
