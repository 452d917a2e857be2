"""Rules about hours and quarters of an hour, from spans to a webhook."""

import shutil
import time
from datetime import UTC, datetime

import pytest
from otlp_requests import request, span
from webhook_sink import SECRET, webhook_sink
from workshop import Workshop

from collector.account.rebuild import rebuild
from collector.alerts import Deliverer
from collector.config import AlertSettings

HOUR_NANO = 3600 * 10**9
DAY_NANO = 24 * HOUR_NANO
SHORT = {name: {"min_hours": 3.0} for name in ("cost_spike", "cache_hit_drop")}
"""Parameters with which a week may be short."""


def call(number, start_unix_nano, *, sent=1000, cached=0, seconds=1, error=None):
    """Return the only span of a trace: a call of the feature ``refund``."""
    told = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "app.feature": "refund",
    }
    if error is None:
        told |= {
            "gen_ai.usage.input_tokens": sent,
            "gen_ai.usage.cache_read.input_tokens": cached,
            "gen_ai.usage.cache_creation.input_tokens": 0,
            "gen_ai.usage.output_tokens": 10,
        }
    else:
        told["error.type"] = error
    return span(
        number,
        trace=number,
        name="chat claude-sonnet-4-5",
        start_time_unix_nano=start_unix_nano,
        end_time_unix_nano=start_unix_nano + seconds * 10**9,
        attributes=told,
    )


def usual(now, **also):
    """Return a call an hour of the three hours before today."""
    today = now // DAY_NANO * DAY_NANO
    return [call(1000 + hour, today - hour * HOUR_NANO, **also) for hour in range(1, 4)]


def failing(now):
    answers = [call(n, now) for n in range(1, 31)]
    return [], [*answers, *(call(n, now, error="529") for n in range(31, 41))]


def slow(now):
    return [], [call(n, now, seconds=40) for n in range(1, 21)]


def costly(now):
    # $0.03 an hour as a rule, then $3.
    earlier = usual(now, sent=10_000)
    return earlier, [call(n, now, sent=100_000) for n in range(1, 11)]


def uncached(now):
    earlier = usual(now, sent=20_000, cached=18_000)
    return earlier, [call(n, now, sent=20_000, cached=1000) for n in range(1, 11)]


@pytest.mark.parametrize(
    ("calls", "type_", "scope"),
    [
        (failing, "errors.rate", {"provider": "anthropic"}),
        (slow, "latency.p95", {"provider": "anthropic", "model": "claude-sonnet-4-5"}),
        (costly, "cost.spike", {"feature": "refund"}),
        (uncached, "cache.hit_rate_drop", {"feature": "refund"}),
    ],
    ids=["error_rate", "latency_p95", "cost_spike", "cache_hit_drop"],
)
def test_what_an_hour_shows_is_told_by_a_webhook(tmp_path, calls, type_, scope):
    earlier, new = calls(time.time_ns())
    with webhook_sink() as sink:
        alerts = AlertSettings(webhook_url=sink.url, webhook_secret=SECRET)
        with Workshop(tmp_path, parameters=SHORT, alerts=alerts) as shop:
            if earlier:
                shop.run(request(*earlier))
            shop.run(request(*new))
            deliverer = Deliverer(
                shop.settings.state_dir / "alerts.sqlite", shop.settings.alerts
            )
            deliverer.start()
            deliveries = sink.wait_for(1)
            deliverer.stop(20)

    told = {delivery.json["type"]: delivery.json["data"] for delivery in deliveries}
    assert told[type_]["state"] == "firing"
    assert told[type_]["scope"] == scope


def test_ordinary_hours_are_told_to_nobody(tmp_path):
    now = time.time_ns()
    with Workshop(tmp_path, parameters=SHORT) as shop:
        shop.run(request(*usual(now, sent=30_000, cached=27_000)))
        shop.run(
            request(*(call(n, now, sent=30_000, cached=27_000) for n in range(1, 25)))
        )

        assert shop.published()["findings"] == []


def of_history(shop):
    """Return what is published of the rules that compare with earlier days."""
    names = ("cost_spike", "cache_hit_drop")
    return [row for row in shop.published()["findings"] if row["rule"] in names]


@pytest.mark.parametrize("calls", [costly, uncached], ids=["cost", "cache"])
def test_an_hour_is_the_same_whenever_its_week_arrives_and_after_a_rebuild(
    tmp_path, calls
):
    earlier, new = calls(time.time_ns())
    with Workshop(tmp_path / "in order", parameters=SHORT) as shop:
        shop.run(request(*earlier))
        shop.run(request(*new))
        expected = of_history(shop)
    with Workshop(tmp_path / "at once", parameters=SHORT) as shop:
        shop.run(request(*new, *earlier))
        at_once = of_history(shop)
        shutil.rmtree(shop.settings.data_dir / "lake" / "rollups")
        rebuild(shop.settings)
        rebuilt = of_history(shop)
    with Workshop(tmp_path / "late", parameters=SHORT) as shop:
        shop.run(request(*new))
        shop.run(request(*earlier))
        late = of_history(shop)

    assert len(expected) == 1
    assert at_once == rebuilt == late == expected


def look(shop):
    shop.account._windows.look(datetime.now(UTC), changed=True, at_once=True)


def test_an_hour_is_looked_at_again_when_its_week_was_published_later(tmp_path):
    last_hour = time.time_ns() // DAY_NANO * DAY_NANO - HOUR_NANO
    week = [call(1000 + n, last_hour - DAY_NANO - n * HOUR_NANO) for n in range(3)]
    with Workshop(tmp_path, parameters=SHORT) as shop:
        shop.run(request(*(call(n, last_hour, sent=100_000) for n in range(1, 11))))
        shop.send(request(*week))
        shop.drain_all()
        shop.account.tick(publish=False)
        look(shop)
        before = shop.account.store.window_findings.column("rule").to_pylist()
        shop.account.publish_now()
        look(shop)
        after = shop.account.store.window_findings.column("rule").to_pylist()

    assert (before, after) == ([], ["cost_spike"])
