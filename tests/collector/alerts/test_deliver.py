import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from findings import NOON, growth, spike
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from webhook_sink import KEY, SECRET, webhook_sink

from collector.alerts.attempt import (
    MAX_ANSWER_BYTES,
    MAX_DELAY_SECONDS,
    read_retry_after,
    retry_delay_seconds,
)
from collector.alerts.database import connected
from collector.alerts.deliver import Deliverer
from collector.alerts.listing import list_deliveries, retry_dead, send_test
from collector.alerts.store import AlertStore
from collector.config import AlertSettings, WebhookSettings

ALL = ("waiting", "delivered", "dead")


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.now = NOON.timestamp()

    def __call__(self):
        return self.now


class Service:
    """A store and a deliverer in simulated time."""

    def __init__(self, path, settings, **options):
        self.path = path
        self.settings = settings
        self.clock = Clock()
        self.store = AlertStore.open(path)
        self.deliverer = Deliverer(
            path, settings, clock=self.clock, jitter=lambda: 0.5, **options
        )

    def __enter__(self):
        self.deliverer.start()
        return self

    def __exit__(self, *_error):
        self.deliverer.stop(20)
        self.store.close()

    def look(self, *findings):
        now = datetime.fromtimestamp(self.clock.now, UTC)
        self.store.observe(findings, now=now, settings=self.settings)
        self.deliverer.wake()

    def pass_seconds(self, seconds):
        self.clock.now += seconds
        self.deliverer.wake()

    def letters(self):
        return list_deliveries(self.path, states=ALL).to_pylist()[::-1]

    def wait_for(self, *expected):
        """Wait until the letters are as expected: (state, attempts)."""
        deadline = time.monotonic() + 120
        tick = threading.Event()
        while True:
            found = [(it["state"], it["attempts"]) for it in self.letters()]
            if found == list(expected):
                return self.letters()
            assert time.monotonic() < deadline, found
            tick.wait(0.005)


@pytest.fixture
def sink():
    with webhook_sink() as sink:
        yield sink


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alerts.sqlite"


def settings_for(sink, **options):
    return AlertSettings(webhook_url=sink.url, webhook_secret=SECRET, **options)


def test_an_alert_arrives_signed_with_the_documented_body(sink, path):
    with Service(path, settings_for(sink)) as service:
        service.look(growth())
        (delivery,) = sink.wait_for(1)
        service.wait_for(("delivered", 1))

    assert delivery.is_signed_with(KEY)
    assert delivery.headers["content-type"] == "application/json"
    assert int(delivery.headers["webhook-timestamp"]) == int(NOON.timestamp())
    assert delivery.json["type"] == "run.context_growth"
    assert delivery.id == service.letters()[0]["webhook_id"]


def test_delivery_is_woken_by_the_commit_and_not_by_the_clock(sink, path):
    with Service(path, settings_for(sink), look_seconds=3600.0) as service:
        for number in range(5):
            service.look(growth(trace_id=f"{number:032x}"))
            sink.wait_for(number + 1)


def test_without_a_secret_there_is_no_signature(sink, path):
    with Service(path, AlertSettings(webhook_url=sink.url)) as service:
        service.look(growth())
        (delivery,) = sink.wait_for(1)

    assert "webhook-signature" not in delivery.headers


def test_a_failed_delivery_is_repeated_with_the_same_id_and_body_signed_anew(
    sink, path
):
    sink.answers = [500, 404]
    with Service(path, settings_for(sink)) as service:
        service.look(growth())
        service.wait_for(("waiting", 1))
        service.pass_seconds(1)
        service.wait_for(("waiting", 2))
        service.pass_seconds(4)
        service.wait_for(("delivered", 3))

    first, second, third = sink.deliveries
    assert first.id == second.id == third.id
    assert first.body == second.body == third.body
    assert all(delivery.is_signed_with(KEY) for delivery in sink.deliveries)
    stamps = [int(it.headers["webhook-timestamp"]) for it in sink.deliveries]
    assert [stamp - stamps[0] for stamp in stamps] == [0, 1, 5]


def test_a_failed_delivery_is_not_repeated_before_it_is_due(sink, path):
    sink.answers = [500]
    with Service(path, settings_for(sink)) as service:
        service.look(growth())
        service.wait_for(("waiting", 1))
        service.pass_seconds(0.9)
        service.look(spike())
        service.wait_for(("waiting", 1), ("delivered", 1))

    assert [it.json["type"] for it in sink.deliveries] == [
        "run.context_growth",
        "cost.spike",
    ]


def test_an_alert_that_cannot_be_delivered_is_kept_as_a_dead_letter(sink, path):
    sink.answers = [500, 500]
    sink.answer_body = b"no\nroom"
    with (
        capture_logs() as lines,
        Service(path, settings_for(sink, max_attempts=2)) as service,
    ):
        service.look(growth())
        service.wait_for(("waiting", 1))
        service.pass_seconds(1)
        (letter,) = service.wait_for(("dead", 2))

    assert letter["last_error"] == "HTTP 500 no room"
    assert letter["endpoint"] == f"1 {sink.url.removesuffix('/hook')}"
    failed = [line for line in lines if line["event"] == "webhook_failed"]
    assert len(failed) == 1
    assert "/hook" not in json.dumps(lines)


def test_a_dead_letter_is_delivered_when_it_is_retried_by_hand(sink, path):
    sink.answers = [500]
    with Service(path, settings_for(sink, max_attempts=1)) as service:
        service.look(growth())
        service.wait_for(("dead", 1))

        assert retry_dead(path, now=NOON) == 1
        service.wait_for(("delivered", 1))

    assert len({delivery.id for delivery in sink.deliveries}) == 1


def test_retrying_all_leaves_out_what_a_later_notice_has_overtaken(sink, path):
    sink.answers = [500]
    with Service(path, settings_for(sink, max_attempts=1)) as service:
        service.look(growth())
        service.wait_for(("dead", 1))
        service.pass_seconds(16 * 60)
        service.look(growth())
        dead, _ = service.wait_for(("dead", 1), ("delivered", 1))

        assert retry_dead(path, now=NOON) == 0
        assert retry_dead(path, now=NOON, webhook_ids=[dead["webhook_id"]]) == 1
        service.wait_for(("delivered", 1), ("delivered", 1))


def test_a_recovery_waits_for_the_alarm_it_takes_back(sink, path):
    sink.answers = [500] * 6
    with Service(path, settings_for(sink)) as service:
        service.look(growth())
        service.wait_for(("waiting", 1))
        for attempts, seconds in enumerate([1, 4, 16, 64, 256], start=2):
            service.pass_seconds(seconds)
            service.wait_for(("waiting", attempts))
        service.clock.now = NOON.timestamp() + 16 * 60
        service.look(growth(), spike())
        service.wait_for(("waiting", 6), ("waiting", 0), ("delivered", 1))
        service.pass_seconds(10 * 60)
        service.wait_for(("delivered", 7), ("delivered", 1), ("delivered", 1))

    told = [
        (it.json["data"]["rule"], it.json["data"]["state"]) for it in sink.deliveries
    ]
    assert told[6:] == [
        ("cost_spike", "firing"),
        ("context_growth", "firing"),
        ("context_growth", "resolved"),
    ]


def test_a_slow_endpoint_does_not_delay_another(sink, path):
    with webhook_sink() as slow:
        slow.gate.clear()
        hooks = (WebhookSettings(url=slow.url), WebhookSettings(url=sink.url))
        with Service(path, AlertSettings(webhooks=hooks)) as service:
            for number in range(30):
                service.look(growth(trace_id=f"{number:032x}"))
            arrived = sink.wait_for(30)
            held = slow.wait_for(1)
            slow.gate.set()

    assert len({delivery.id for delivery in arrived}) == 30
    assert len(held) <= 4


def test_an_endpoint_that_does_not_answer_in_time_is_tried_again(sink, path):
    sink.gate.clear()
    with Service(path, settings_for(sink), attempt_seconds=0.2) as service:
        service.look(growth())
        (letter,) = service.wait_for(("waiting", 1))
        sink.gate.set()
        service.pass_seconds(1)
        service.wait_for(("delivered", 2))

    assert letter["last_error"].startswith(("no answer in 0.2", "ReadTimeout"))


def test_an_endpoint_that_is_not_there_is_tried_again(path):
    with webhook_sink() as sink:
        settings = settings_for(sink)
    with Service(path, settings) as service:
        service.look(growth())
        (letter,) = service.wait_for(("waiting", 1))

    assert letter["last_error"].startswith("ConnectError")


def test_a_redirect_is_a_failure_and_not_followed(sink, path):
    with webhook_sink() as other:
        sink.answers = [(302, {"location": other.url})]
        with Service(path, settings_for(sink)) as service:
            service.look(growth())
            (letter,) = service.wait_for(("waiting", 1))

        assert other.deliveries == []
    assert letter["last_error"].startswith("HTTP 302")


def test_an_endpoint_that_is_gone_is_left_alone_until_a_restart(sink, path):
    sink.answers = [410]
    with capture_logs() as lines, Service(path, settings_for(sink)) as service:
        service.look(growth())
        service.wait_for(("dead", 1))
        service.look(spike())
        service.wait_for(("dead", 1), ("dead", 0))
    assert len(sink.deliveries) == 1
    assert "endpoint_disabled" in [line["event"] for line in lines]

    retry_dead(path, now=NOON)
    with Service(path, settings_for(sink)) as service:
        service.wait_for(("delivered", 1), ("delivered", 1))


def test_a_chat_service_that_refuses_the_body_is_not_asked_again(sink, path):
    sink.answers = [400]
    hook = WebhookSettings(url=sink.url, format="slack")
    with Service(path, AlertSettings(webhooks=(hook,))) as service:
        service.look(growth())
        service.wait_for(("dead", 1))


@pytest.mark.parametrize("answer", [429, 503])
def test_retry_after_holds_back_everything_for_that_endpoint(sink, path, answer):
    sink.answers = [(answer, {"retry-after": "60"})]
    with webhook_sink() as other:
        hooks = (WebhookSettings(url=sink.url), WebhookSettings(url=other.url))
        with Service(path, AlertSettings(webhooks=hooks)) as service:
            service.look(growth())
            service.wait_for(("waiting", 1), ("delivered", 1))
            service.pass_seconds(59)
            service.look(spike())
            other.wait_for(2)
            assert len(sink.deliveries) == 1
            service.pass_seconds(1.1)
            sink.wait_for(3)


def test_what_waits_for_an_endpoint_that_was_removed_becomes_a_dead_letter(sink, path):
    settings = settings_for(sink)
    store = AlertStore.open(path)
    store.observe([growth()], now=NOON, settings=settings)
    store.close()

    with Service(path, AlertSettings()) as service:
        (letter,) = service.wait_for(("dead", 0))

    assert "not in the settings" in letter["last_error"]


def test_a_letter_that_cannot_be_read_does_not_stop_the_others(sink, path):
    with Service(path, settings_for(sink)) as service:
        service.store.observe([growth()], now=NOON, settings=service.settings)
        with connected(path) as connection:
            connection.execute("UPDATE outbox SET notice = '{}', state = 'waiting'")
        service.look(spike())
        service.wait_for(("dead", 1), ("delivered", 1))


def test_stopping_delivers_what_is_due(sink, path):
    service = Service(path, settings_for(sink))
    with service:
        findings = [growth(trace_id=f"{number:032x}") for number in range(25)]
        now = datetime.fromtimestamp(service.clock.now, UTC)
        service.store.observe(findings, now=now, settings=service.settings)

    assert len(sink.deliveries) == 25


def test_stopping_does_not_wait_for_an_endpoint_beyond_the_deadline(sink, path):
    sink.gate.clear()
    service = Service(path, settings_for(sink))
    service.deliverer.start()
    service.look(growth())
    sink.wait_for(1)

    service.deliverer.stop(0.1)

    assert [(it["state"], it["attempts"]) for it in service.letters()] == [
        ("waiting", 0)
    ]
    service.store.close()


def test_stopping_twice_or_before_the_start_does_nothing(path):
    deliverer = Deliverer(path, AlertSettings())
    deliverer.stop(1)
    deliverer.wake()
    deliverer.start()
    deliverer.stop(5)
    deliverer.stop(5)


def test_an_answer_that_does_not_end_is_read_only_as_far_as_needed(sink, path):
    sink.answers = [500]
    sink.answer_body = b"x" * (2 * MAX_ANSWER_BYTES)
    sink.missing_bytes = 1 << 30
    with Service(path, settings_for(sink), attempt_seconds=10) as service:
        service.look(growth())
        (letter,) = service.wait_for(("waiting", 1))

    assert letter["last_error"] == "HTTP 500 " + "x" * 200


CHILD = """
import structlog, sys
from datetime import datetime
from pathlib import Path
from findings import growth
from collector.alerts.store import AlertStore
from collector.config import AlertSettings
settings = AlertSettings(webhook_url=sys.argv[2], webhook_secret=sys.argv[3])
store = AlertStore.open(Path(sys.argv[1]))
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
store.observe([growth()], now=datetime.fromisoformat(sys.argv[4]), settings=settings)
print("observed", flush=True)
sys.stdin.read()
"""


def test_an_alert_recorded_before_a_kill_is_delivered_once_after_the_restart(
    sink, path
):
    support = os.pathsep.join(["tests/support", *sys.path])
    command = [sys.executable, "-P", "-c", CHILD, str(path), sink.url, SECRET]
    with subprocess.Popen(
        [*command, NOON.isoformat()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": support},
    ) as child:
        assert child.stdout.readline() == b"observed\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert sink.deliveries == []

    for _ in range(2):
        with Service(path, settings_for(sink)) as service:
            service.look(growth())
            (letter,) = service.wait_for(("delivered", 1))

    (delivery,) = sink.deliveries
    assert delivery.id == letter["webhook_id"]
    assert delivery.is_signed_with(KEY)


def test_an_alert_is_sent_again_under_the_same_id_when_a_kill_hid_the_answer(
    sink, path
):
    sink.gate.clear()
    service = Service(path, settings_for(sink))
    service.deliverer.start()
    service.look(growth())
    sink.wait_for(1)
    service.deliverer.stop(0)
    service.store.close()
    sink.gate.set()

    with Service(path, settings_for(sink)) as service:
        service.wait_for(("delivered", 1))

    first, second = sink.deliveries
    assert (first.id, first.body) == (second.id, second.body)


def test_a_test_alert_goes_to_every_endpoint_with_its_recovery(sink):
    with webhook_sink() as broken:
        broken.answers = [500]
        hooks = (
            WebhookSettings(url=sink.url, secret=SECRET),
            WebhookSettings(url=broken.url, format="slack"),
        )

        good, bad = send_test(AlertSettings(webhooks=hooks))

    assert (good.delivered, good.status, good.error) == (True, 200, "")
    assert (bad.delivered, bad.status, bad.error) == (False, 500, "HTTP 500 ok")
    states = [delivery.json["data"]["state"] for delivery in sink.deliveries]
    assert states == ["firing", "resolved"]
    assert sink.deliveries[0].is_signed_with(KEY)


def test_twelve_attempts_take_about_a_day():
    delays = [retry_delay_seconds(failures, jitter=0.5) for failures in range(1, 12)]

    assert delays[:4] == [1, 4, 16, 64]
    assert 20 <= sum(delays) / 3600 <= 28


@given(
    failures=st.integers(1, 500),
    jitter=st.floats(0, 1, exclude_max=True),
    asked=st.none() | st.floats(0, 86400),
)
def test_a_delay_is_bounded_and_never_sooner_than_asked(failures, jitter, asked):
    delay = retry_delay_seconds(failures, jitter=jitter, retry_after_seconds=asked)

    assert delay >= (asked or 0.5)
    assert delay <= max(1.5 * MAX_DELAY_SECONDS, asked or 0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 0 ", 0.0),
        (format_datetime(NOON + timedelta(minutes=5), usegmt=True), 300.0),
        (format_datetime(NOON - timedelta(minutes=5), usegmt=True), 0.0),
        ("99999999", 86400.0),
        ("soon", None),
        ("-5", None),
        ("\u00b2", None),
    ],
    ids=["none", "seconds", "zero", "date", "past", "far", "word", "less", "odd"],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert read_retry_after(value, NOON.timestamp()) == seconds
