import itertools
import json
import sqlite3
from datetime import timedelta

import pytest
from findings import NOON, budget, growth, spike
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from collector.alerts import outbox
from collector.alerts.alert import Notice
from collector.alerts.database import AlertStoreError, connected
from collector.alerts.formats import render
from collector.alerts.listing import list_alerts, list_deliveries, silence, unsilence
from collector.alerts.store import AlertStore
from collector.alerts.webhook import load_endpoints
from collector.config import AlertSettings, WebhookSettings
from collector.errors import ConfigError

URL = "http://127.0.0.1:9/hook"
SETTINGS = AlertSettings(webhook_url=URL)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class Watch:
    """A store that is looked at in simulated time."""

    def __init__(self, path, settings=SETTINGS):
        self.path = path / "state" / "alerts.sqlite"
        self.settings = settings
        self.store = AlertStore.open(self.path)

    def look(self, *findings, at=NOON, **options):
        changed = self.store.observe(
            findings, now=at, settings=self.settings, **options
        )
        return [(it.change, it.severity, it.webhook_id is not None) for it in changed]

    def notices(self):
        with connected(self.path) as connection:
            rows = connection.execute("SELECT notice FROM outbox ORDER BY sequence")
            return [json.loads(row["notice"]) for row in rows]

    def told(self):
        return [(it["state"], it["severity"]) for it in self.notices()]

    def reopen(self):
        self.store.close()
        self.store = AlertStore.open(self.path)


@pytest.fixture
def watch(tmp_path):
    watch = Watch(tmp_path)
    yield watch
    watch.store.close()


def test_a_growing_run_is_told_at_the_first_look(watch):
    assert watch.look(growth()) == [("firing", "warning", True)]

    (notice,) = watch.notices()
    assert (notice["type"], notice["state"]) == ("run.context_growth", "firing")


def test_looking_again_at_the_same_finding_tells_nothing(watch):
    watch.look(growth())

    assert watch.look(growth(), at=NOON + MINUTE) == []
    assert len(watch.notices()) == 1


def test_a_run_that_goes_on_growing_is_told_once(watch):
    for step in range(6, 200):
        watch.look(growth(steps=step), at=NOON + step * MINUTE)

    assert watch.told() == [("firing", "warning")]


def test_a_run_that_says_nothing_new_for_the_cooldown_is_resolved(watch):
    watch.look(growth())

    assert watch.look(growth(), at=NOON + 14 * MINUTE) == []
    assert watch.look(growth(), at=NOON + 15 * MINUTE) == [
        ("resolved", "warning", True)
    ]


def test_a_resolved_run_does_not_fire_again(watch):
    watch.look(growth())
    watch.look(growth(), at=NOON + 15 * MINUTE)

    assert watch.look(growth(steps=13), at=NOON + 16 * MINUTE) == []
    assert watch.look(at=NOON + 17 * MINUTE) == []
    assert watch.look(growth(steps=14), at=NOON + 90 * MINUTE) == []


def test_a_resolved_run_that_became_critical_fires_again(watch):
    watch.look(growth())
    watch.look(growth(), at=NOON + 15 * MINUTE)

    watch.look(growth(severity="critical"), at=NOON + 16 * MINUTE)
    watch.look(growth(severity="critical"), at=NOON + 31 * MINUTE)

    assert watch.told() == [
        ("firing", "warning"),
        ("resolved", "warning"),
        ("firing", "critical"),
        ("resolved", "critical"),
    ]
    assert len({notice["webhook_id"] for notice in watch.notices()}) == 4


def test_a_verdict_that_flickers_is_told_once(watch):
    for minute in range(60):
        finding = [growth(steps=minute)] if minute % 3 == 0 else []
        watch.look(*finding, at=NOON + minute * MINUTE)

    assert watch.told() == [("firing", "warning")]


def test_a_run_whose_finding_is_gone_for_the_cooldown_is_resolved(watch):
    watch.look(growth())
    watch.look(at=NOON + MINUTE)

    assert watch.look(at=NOON + 15 * MINUTE) == []
    assert watch.look(at=NOON + 16 * MINUTE) == [("resolved", "warning", True)]


def test_a_run_whose_feature_becomes_known_late_is_told_once(watch):
    watch.look(growth(feature=None))
    watch.look(at=NOON + MINUTE)

    assert watch.look(growth(feature="refund"), at=NOON + 2 * MINUTE) == []


def test_a_run_whose_agent_span_arrives_late_is_told_once(watch):
    trace = "0af7651916cd43dd8448eb211c80319c"
    watch.look(growth(trace, trace_id=trace))

    assert watch.look(growth("b7ad6b7169203331"), at=NOON + MINUTE) == []
    watch.reopen()
    watch.look(growth("b7ad6b7169203331"), at=NOON + 17 * MINUTE)

    firing, resolved = watch.notices()
    assert resolved["state"] == "resolved"
    assert resolved["dedup_key"] == firing["dedup_key"]


def test_two_runs_of_one_trace_are_told_apart(watch):
    watch.look(growth("1111111111111111"))
    watch.look(growth("1111111111111111"), growth("2222222222222222"))

    assert watch.told() == [("firing", "warning")] * 2


def test_a_run_is_not_taken_for_one_of_its_trace_that_was_gone_before(watch):
    watch.look(growth("1111111111111111"))
    watch.look(at=NOON + MINUTE)

    changes = watch.look(growth("2222222222222222"), at=NOON + 2 * MINUTE)

    assert changes == [("firing", "warning", True)]


def test_two_runs_that_were_one_until_their_agents_arrived_are_both_told(watch):
    trace = "0af7651916cd43dd8448eb211c80319c"
    watch.look(growth(trace))
    watch.look(growth("1111111111111111"), growth("2222222222222222"))

    assert watch.told() == [("firing", "warning")] * 2


def test_a_severity_that_rises_is_told_once_more(watch):
    watch.look(growth())

    changes = watch.look(growth(severity="critical"), at=NOON + MINUTE)
    watch.look(growth(severity="warning"), at=NOON + 2 * MINUTE)
    watch.look(growth(severity="critical"), at=NOON + 3 * MINUTE)

    assert changes == [("escalated", "critical", True)]
    assert watch.told() == [("firing", "warning"), ("firing", "critical")]


def test_each_budget_threshold_is_told_once_a_period(watch):
    watch.look(budget(50))
    watch.look(budget(50), budget(80), at=NOON + MINUTE)
    watch.look(budget(50), budget(80), at=NOON + 6 * HOUR)

    assert watch.told() == [("firing", "warning")] * 2


def test_a_budget_is_resolved_when_its_period_is_over_and_told_again_in_the_next(watch):
    tomorrow = NOON + timedelta(days=1)
    watch.look(budget(50))

    watch.look(budget(50), at=tomorrow.replace(hour=0, minute=3))
    watch.look(budget(50), budget(50, day=tomorrow), at=tomorrow)

    assert watch.told() == [
        ("firing", "warning"),
        ("resolved", "warning"),
        ("firing", "warning"),
    ]
    assert len({notice["webhook_id"] for notice in watch.notices()}) == 3


def test_a_threshold_crossed_in_the_last_minute_of_a_period_is_still_told(watch):
    midnight = NOON.replace(hour=0) + timedelta(days=1)

    assert watch.look(budget(50), at=midnight + 5 * MINUTE) == [
        ("firing", "warning", True)
    ]


def test_a_condition_is_resolved_after_the_cooldown_without_it(watch):
    watch.look(spike())
    watch.look(at=NOON + MINUTE)
    watch.look(at=NOON + 15 * MINUTE)
    assert watch.told() == [("firing", "warning")]

    watch.look(at=NOON + 16 * MINUTE)

    assert watch.told() == [("firing", "warning"), ("resolved", "warning")]


def test_a_condition_about_a_window_that_is_over_does_not_go_on_firing(watch):
    watch.look(spike(start=NOON), at=NOON + 50 * MINUTE)

    watch.look(spike(start=NOON), at=NOON + 63 * MINUTE)
    watch.look(spike(start=NOON), at=NOON + 78 * MINUTE)
    watch.look(spike(start=NOON), at=NOON + 79 * MINUTE)

    assert watch.told() == [("firing", "warning"), ("resolved", "warning")]


@pytest.mark.parametrize(
    ("rule", "type_"),
    [
        ("cost_spike", "cost.spike"),
        ("cache_hit_drop", "cache.hit_rate_drop"),
        ("latency_p95", "latency.p95"),
        ("error_rate", "errors.rate"),
    ],
)
def test_rules_about_hours_tell_that_it_began_and_that_it_is_over(watch, rule, type_):
    found = {**spike(), "rule": rule}

    watch.look(found)
    watch.look(at=NOON + MINUTE)
    watch.look(at=NOON + 16 * MINUTE)

    assert [(it["type"], it["state"]) for it in watch.notices()] == [
        (type_, "firing"),
        (type_, "resolved"),
    ]


def test_a_window_that_was_over_before_anyone_saw_it_is_still_told(watch):
    watch.look(spike(start=NOON), at=NOON)
    watch.look(at=NOON + MINUTE)
    watch.look(at=NOON + 16 * MINUTE)
    late = spike(start=NOON + HOUR)

    assert watch.look(late, at=NOON + 5 * HOUR) == [("firing", "warning", True)]
    watch.look(late, at=NOON + 5 * HOUR + MINUTE)
    watch.look(late, at=NOON + 5 * HOUR + 16 * MINUTE)
    assert watch.look(late, at=NOON + 5 * HOUR + 17 * MINUTE) == []
    assert watch.told()[2:] == [("firing", "warning"), ("resolved", "warning")]


def test_a_condition_that_holds_over_several_windows_is_one_alert(watch):
    for minutes in range(50, 200, 10):
        at = NOON + minutes * MINUTE
        hours = [NOON + hour * HOUR for hour in range(4) if NOON + hour * HOUR <= at]
        watch.look(*(spike(start=hour) for hour in reversed(hours)), at=at)

    assert watch.told() == [("firing", "warning")]


def test_a_condition_that_comes_back_is_told_again_under_another_id(watch):
    watch.look(spike())
    watch.look(at=NOON + MINUTE)
    watch.look(at=NOON + 16 * MINUTE)

    watch.look(spike(), at=NOON + 20 * MINUTE)

    ids = [notice["webhook_id"] for notice in watch.notices()]
    assert watch.told()[-1] == ("firing", "warning")
    assert len(set(ids)) == 3


def test_a_condition_that_lasts_is_told_again_every_four_hours(watch):
    for hour in range(10):
        watch.look(spike(start=NOON + hour * HOUR), at=NOON + hour * HOUR)

    assert watch.told() == [("firing", "warning")] * 3
    assert len({notice["webhook_id"] for notice in watch.notices()}) == 3


def test_a_condition_may_have_to_hold_for_a_while_before_it_fires(tmp_path):
    settings = AlertSettings(webhook_url=URL, pending_seconds=300)
    watch = Watch(tmp_path, settings)

    first = watch.look(spike(), growth())
    early = watch.look(spike(), growth(), at=NOON + 4 * MINUTE)
    late = watch.look(spike(), growth(), at=NOON + 5 * MINUTE)

    assert first == [("pending", "warning", False), ("firing", "warning", True)]
    assert early == []
    assert late == [("firing", "warning", True)]


def test_a_pending_condition_that_goes_away_is_never_told(tmp_path):
    watch = Watch(tmp_path, AlertSettings(webhook_url=URL, pending_seconds=300))

    watch.look(spike())
    assert watch.look(at=NOON + MINUTE) == [("dropped", "info", False)]
    assert watch.look(spike(), at=NOON + 6 * MINUTE) == [("pending", "warning", False)]

    assert watch.notices() == []


def test_states_survive_a_restart(watch):
    watch.look(growth(), budget(50), spike())
    watch.reopen()

    assert watch.look(growth(), budget(50), spike(), at=NOON + MINUTE) == []
    watch.look(at=NOON + 2 * MINUTE)
    watch.reopen()
    assert len(watch.look(at=NOON + 17 * MINUTE)) == 3


def test_a_new_store_gives_the_same_ids(tmp_path):
    ids = []
    for name in ("a", "b"):
        watch = Watch(tmp_path / name)
        watch.look(growth(), budget(50), spike())
        ids.append([notice["webhook_id"] for notice in watch.notices()])

    assert ids[0] == ids[1]


def test_nothing_is_recorded_when_the_outbox_cannot_be_written(watch, monkeypatch):
    def fail(*_args, **_options):
        raise sqlite3.OperationalError("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "put", fail)
        with pytest.raises(sqlite3.OperationalError):
            watch.look(growth())

    watch.reopen()
    assert watch.look(growth(), at=NOON + MINUTE) == [("firing", "warning", True)]


def test_a_notice_that_is_put_into_the_outbox_again_changes_nothing(watch):
    watch.look(growth())
    (endpoint,) = load_endpoints(SETTINGS)
    with connected(watch.path) as connection:
        (letter,) = outbox.due_letters(connection, endpoint, now_us=1 << 62, limit=9)
        outbox.mark_delivered(connection, letter, now_us=1)

        added = outbox.put(connection, [letter.read_notice()], [endpoint], now_us=2)

    assert added == 0
    delivered = list_deliveries(watch.path, states=["delivered"])
    assert delivered.num_rows == 1


def test_alerts_of_rules_that_were_not_looked_at_stay_as_they_are(watch):
    watch.look(growth(), spike())

    watch.look(at=NOON + MINUTE, rules={"budget", "cost_spike"})
    changes = watch.look(at=NOON + 20 * MINUTE, rules={"budget", "cost_spike"})

    assert changes == [("resolved", "warning", True)]
    assert watch.notices()[-1]["rule"] == "cost_spike"


@pytest.mark.parametrize(
    "change",
    [
        {"severity": "loud"},
        {"scope": "not json"},
        {"scope": "[1]"},
        {"window_start": None},
        {"value": "much"},
    ],
    ids=["severity", "scope", "list", "window", "value"],
)
def test_a_bad_finding_is_left_out_and_the_others_go_on(watch, change):
    with capture_logs() as lines:
        changes = watch.look({**growth(), **change}, spike())

    assert changes == [("firing", "warning", True)]
    assert watch.notices()[0]["rule"] == "cost_spike"
    assert "alert_changed" in [line["event"] for line in lines]


def test_findings_that_nobody_wants_to_hear_of_are_no_alerts(watch):
    assert watch.look(growth(severity="info")) == []


def test_an_endpoint_gets_what_is_severe_enough_for_it(tmp_path):
    hooks = (
        WebhookSettings(url=f"{URL}/all", min_severity="info"),
        WebhookSettings(url=f"{URL}/worst", min_severity="critical"),
        WebhookSettings(url=f"{URL}/cost", rules=("cost_spike",)),
    )
    watch = Watch(tmp_path, AlertSettings(webhooks=hooks))

    watch.look(growth(severity="info"), spike())
    watch.look(growth(severity="critical"), spike(), at=NOON + MINUTE)

    letters = list_deliveries(watch.path).to_pylist()
    with connected(watch.path) as connection:
        rows = connection.execute("SELECT endpoint, notice FROM outbox").fetchall()
    seen = {}
    for row in rows:
        notice = json.loads(row["notice"])
        told = (notice["rule"], notice["severity"])
        seen.setdefault(row["endpoint"], []).append(told)
    assert len(letters) == 5
    assert sorted(seen.values()) == [
        [("context_growth", "critical")],
        [
            ("context_growth", "info"),
            ("cost_spike", "warning"),
            ("context_growth", "critical"),
        ],
        [("cost_spike", "warning")],
    ]


def test_a_silenced_alert_is_told_when_the_silence_ends_and_it_still_fires(watch):
    silence(
        watch.path,
        now=NOON,
        until=NOON + HOUR,
        rule="context_growth",
        scope={"feature": "refund"},
    )

    first = watch.look(growth(steps=1), spike(feature="refund"))
    muted = list_alerts(watch.path, now=NOON).column("silenced").to_pylist()
    watch.look(growth(steps=50), spike(feature="refund"), at=NOON + 50 * MINUTE)
    after = watch.look(growth(steps=60), at=NOON + HOUR)

    assert first == [("firing", "warning", False), ("firing", "warning", True)]
    assert muted == [True, False]
    assert after == [("firing", "warning", True)]


def test_a_silence_covers_only_what_it_names(watch):
    silence(
        watch.path, now=NOON, until=NOON + HOUR, scope={"feature": "refund", "x": "y"}
    )

    assert watch.look(growth()) == [("firing", "warning", True)]


def test_what_was_told_before_a_silence_is_taken_back_during_it(watch):
    watch.look(growth())
    silence(watch.path, now=NOON, until=NOON + HOUR)

    watch.look(growth(), at=NOON + 16 * MINUTE)

    assert watch.told() == [("firing", "warning"), ("resolved", "warning")]


def test_an_alert_that_was_silenced_all_its_life_is_not_taken_back(watch):
    number = silence(watch.path, now=NOON, until=NOON + HOUR)
    watch.look(growth())

    watch.look(growth(), at=NOON + 16 * MINUTE)
    assert unsilence(watch.path, number)
    watch.look(growth(), at=NOON + 17 * MINUTE)

    assert watch.notices() == []


def test_a_quiet_finding_is_recorded_and_not_told(watch):
    changes = watch.look({**growth(), "quiet": True})
    later = watch.look({**growth(), "quiet": True}, at=NOON + 16 * MINUTE)

    assert changes == [("firing", "warning", False)]
    assert later == [("resolved", "warning", False)]


def test_a_resolved_run_is_remembered_for_a_week(watch):
    watch.look(growth())
    watch.look(growth(), at=NOON + 20 * MINUTE)
    watch.look(at=NOON + 21 * MINUTE)

    watch.look(at=NOON + timedelta(days=6))
    assert watch.look(growth(), at=NOON + timedelta(days=6)) == []
    watch.look(at=NOON + timedelta(days=6, minutes=1))
    watch.look(at=NOON + timedelta(days=14))
    states = ("firing", "pending", "resolved")
    assert list_alerts(watch.path, now=NOON, states=states).num_rows == 0


@pytest.mark.parametrize(
    "settings",
    [
        AlertSettings(webhook_url=URL, webhook_secret="whsec_hunter2"),
        AlertSettings(webhook_url=URL, webhook_secret="whsec_hunter2!AAAAA"),
        AlertSettings(webhook_url=URL, webhook_secret="hunter2hunter2AA"),
        AlertSettings(webhook_url=URL, webhook_secret="whsec_"),
        AlertSettings(webhook_url="ftp://host/hunter2"),
        AlertSettings(webhook_url="http://host:port/hunter2"),
        AlertSettings(webhooks=(WebhookSettings(url=URL, format="pagerduty"),)),
    ],
    ids=["base64", "letters", "prefix", "empty", "scheme", "port", "routing key"],
)
def test_bad_settings_are_refused_in_one_line_that_shows_no_secret(watch, settings):
    with pytest.raises(ConfigError) as refused:
        watch.store.observe([growth()], now=NOON, settings=settings)

    line = refused.value.line()
    assert line.startswith("settings: alerts: webhook 1: ")
    assert "hunter2" not in line
    assert "\n" not in line


def test_a_store_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "alerts.sqlite"
    AlertStore.open(path).close()
    with connected(path) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(AlertStoreError, match="newer version"):
        AlertStore.open(path)


@pytest.mark.parametrize("damage", [b"garbage" * 999, None], ids=["whole", "pages"])
def test_a_damaged_store_is_moved_aside_and_alerts_go_on(tmp_path, damage):
    watch = Watch(tmp_path)
    for number in range(50):
        watch.look(growth(f"{number:016x}"))
    watch.store.close()
    content = bytearray(watch.path.read_bytes())
    content[4096:] = b"\xff" * len(content[4096:])
    watch.path.write_bytes(damage or bytes(content))

    with capture_logs() as lines:
        watch.store = AlertStore.open(watch.path)

    assert [line["event"] for line in lines] == ["alert_store_damaged"]
    assert watch.look(growth()) == [("firing", "warning", True)]
    assert len(list(watch.path.parent.glob("*.damaged-*"))) == 1


MAKERS = {
    "run": lambda start: growth(start=start),
    "worse": lambda start: growth(start=start, severity="critical"),
    "budget": lambda start: budget(80, day=start),
    "spike": lambda start: spike(start=start),
}
looks = st.lists(
    st.tuples(
        st.sets(st.sampled_from(sorted(MAKERS))),
        st.sampled_from([0, 1, 60, 899, 900, 901, 3600, 4 * 3600, 30 * 3600]),
        st.sampled_from(["go on", "restart", "repeat"]),
    ),
    max_size=25,
)


@given(looks)
def test_notices_of_an_alert_alternate_and_have_ids_of_their_own(
    tmp_path_factory, looks
):
    watch = Watch(tmp_path_factory.mktemp("watch"))
    at = NOON
    for names, seconds, how in looks:
        at += timedelta(seconds=seconds)
        findings = [MAKERS[name](at) for name in sorted(names - {"run"})]
        if "run" in names:
            findings.append(MAKERS["run"](NOON))
        watch.look(*findings, at=at)
        if how == "restart":
            watch.reopen()
        if how == "repeat":
            assert watch.look(*findings, at=at) == []
    notices = watch.notices()
    watch.store.close()

    assert len({it["webhook_id"] for it in notices}) == len(notices)
    by_alert = {}
    for it in notices:
        by_alert.setdefault(it["dedup_key"], []).append(it["state"])
    for states in by_alert.values():
        assert states[0] == "firing"
        assert all(
            later == "firing"
            for earlier, later in itertools.pairwise(states)
            if earlier == "resolved"
        )


def many(count, *, trace="0af7651916cd43dd8448eb211c80319c"):
    return [growth(f"{number:016x}", trace_id=trace) for number in range(count)]


def test_five_thousand_growing_runs_are_sixty_letters_and_one_digest(watch):
    watch.look(*many(5_000))

    *single, last = watch.notices()
    assert [it["type"] for it in single] == ["run.context_growth"] * 60
    assert (last["type"], last["value"]) == ("alerts.digest", 4_940.0)
    assert json.loads(last["details"])["rules"] == {"context_growth": 4_940}
    assert len(list_alerts(watch.path, now=NOON)) == 5_000


def test_a_budget_is_told_by_itself_however_many_runs_grow(watch):
    watch.look(*many(100), budget(100), budget(80))

    told = [it["type"] for it in watch.notices()]
    assert told.count("budget.threshold_crossed") == 2


def test_a_digest_gathers_until_its_minute_is_over_and_is_due_then(watch):
    watch.look(*many(70))
    watch.look(*many(75), at=NOON + timedelta(seconds=59))
    watch.look(*many(79), at=NOON + timedelta(seconds=61))

    digests = [it for it in watch.notices() if it["type"] == "alerts.digest"]
    assert [it["value"] for it in digests] == [15.0]
    with connected(watch.path) as connection:
        query = "SELECT due_us FROM outbox WHERE notice ->> '$.rule' = 'digest'"
        (due,) = connection.execute(query).fetchone()
    assert due == int((NOON + MINUTE).timestamp()) * 1_000_000


def test_recoveries_beyond_the_limit_are_one_digest_too(watch):
    watch.look(*many(100))
    later = NOON + HOUR
    watch.look(at=later)
    watch.look(at=later + HOUR)

    last = watch.notices()[-1]
    assert last["type"] == "alerts.digest"
    assert json.loads(last["details"])["states"] == {"resolved": 40}
    assert last["state"] == "resolved"


def test_an_outbox_keeps_only_so_many_letters(watch, monkeypatch):
    monkeypatch.setattr(outbox, "MAX_WAITING", 70)
    monkeypatch.setattr(outbox, "MAX_FINISHED", 10)
    watch.look(*many(60))
    watch.look(*many(120), at=NOON + 2 * MINUTE)
    with connected(watch.path) as connection:
        connection.execute(
            "UPDATE outbox SET state = 'dead', finished_us = ? WHERE sequence <= 60",
            (int(NOON.timestamp()) * 1_000_000,),
        )
    waiting = watch.notices()[60:]

    watch.look(*many(120), at=NOON + 2 * HOUR)

    assert [it["rule"] for it in waiting] == ["context_growth"] * 10 + ["digest"]
    assert len(list_deliveries(watch.path, states=["dead"])) == 10


def test_a_digest_can_be_rendered_in_every_format(watch):
    webhooks = tuple(
        WebhookSettings(url=URL, format=name, secret="whsec_c2VjcmV0")
        for name in ("generic", "slack", "pagerduty", "alertmanager")
    )
    notice = outbox_digest(watch)

    bodies = [
        render(notice, endpoint)
        for endpoint in load_endpoints(AlertSettings(webhooks=webhooks))
    ]

    assert all(b"40" in body for body in bodies)


def outbox_digest(watch):
    watch.look(*many(100))
    return Notice(**watch.notices()[-1])
