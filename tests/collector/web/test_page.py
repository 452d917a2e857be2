import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import ledger_rows
import pytest
from findings import NOON, growth
from hypothesis import given
from hypothesis import strategies as st
from lake_builder import build_lake
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from web_server import served

from collector.alerts.store import AlertStore
from collector.config import AlertSettings, Settings
from collector.query.reports import REPORTS
from collector.telemetry import write_status
from collector.web import cells
from collector.web.app import build_app
from collector.web.panels import PANELS

TRACE = "0af7651916cd43dd8448eb211c80319c"
ATTACK = "<script>alert('&\"')</script>"


class Reader(HTMLParser):
    """Text of the page by section, its tags, and whether they are balanced."""

    VOID = frozenset({"meta", "link"})

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.words.append(data.strip())


def call(number, **values):
    now = datetime.now(UTC) - timedelta(hours=1)
    return {
        "timestamp": now,
        "trace_id": TRACE,
        "step": number,
        "provider": "anthropic",
        "response_model": "claude-sonnet-4-5",
        "input_tokens": 1000,
        "output_tokens": 100,
        "feature": "refund",
        "agent_name": "triage-agent",
        "cost_usd": Decimal("1.50"),
        **values,
    }


def fill(settings, *calls, **run):
    now = datetime.now(UTC) - timedelta(hours=1)
    row = {
        "timestamp": now,
        "trace_id": TRACE,
        "feature": "refund",
        "agent_name": "triage-agent",
        "subtree_cost_usd": Decimal("3.00"),
        "growth_shape": "accreting",
        "severity": "critical",
        **run,
    }
    build_lake(
        settings.data_dir / "lake",
        calls=ledger_rows.calls(calls),
        runs=ledger_rows.runs([row]),
    )


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path)


@pytest.fixture
def client(settings):
    with served(build_app(settings)) as client:
        yield client


def test_the_page_shows_costs_runs_alerts_and_what_has_no_price(client, settings):
    fill(
        settings,
        call(0),
        call(1),
        call(
            2,
            response_model="in-house",
            cost_usd=None,
            cost_status="unpriced",
            cost_reason="unknown_model",
            input_tokens=2000,
            output_tokens=200,
        ),
    )
    store = AlertStore.open(settings.state_dir / "alerts.sqlite")
    store.observe([growth()], now=NOON, settings=AlertSettings())
    store.close()
    for role in ("receive", "drain"):
        write_status(settings.state_dir, role, ready=True)
    settled = datetime.now(UTC).timestamp() - 600
    write_status(settings.state_dir, "account", ready=True, settled_unix=settled)

    answer = client.get("/")

    words = Reader(answer.text).words
    assert answer.status_code == 200
    tiles = dict(reversed(list(itertools.pairwise(words))))
    assert tiles["cost"] == "$3.00"
    assert tiles["calls"] == "3"
    assert tiles["tokens with a price"] == "50 %"
    assert tiles["alerts firing"] == "1"
    assert tiles["age of the data"] == "10 min"
    assert "last call 60 min ago" in words
    for word in ("refund", "accreting", "critical", "context_growth", "unknown_model"):
        assert word in words
    assert "triage-agent" in words
    assert "is not ready" not in answer.text


def test_the_page_of_a_new_service_says_that_nothing_is_there_yet(client, settings):
    build_lake(settings.data_dir / "lake")

    words = Reader(client.get("/").text).words

    assert "No alert fires." in words
    for panel in PANELS:
        assert panel.empty in words


def test_without_a_lake_the_page_names_the_trouble(client):
    answer = client.get("/")

    assert answer.status_code == 200
    assert any("no such directory" in word for word in Reader(answer.text).words)


def test_roles_that_are_not_ready_are_named(client, settings):
    build_lake(settings.data_dir / "lake")
    write_status(settings.state_dir, "receive", ready=False, reason="journal full")

    words = Reader(client.get("/").text).words

    assert "receive: journal full" in words
    assert "drain: has not said anything yet" in words


def test_what_senders_chose_is_escaped_everywhere(client, settings):
    names = {
        "feature": ATTACK,
        "agent_name": ATTACK,
        "provider": ATTACK,
        "response_model": ATTACK,
        "cost_status": "partial",
        "cost_reason": ATTACK,
    }
    fill(
        settings,
        call(0, **names),
        feature=ATTACK,
        agent_name=ATTACK,
        growth_shape=ATTACK,
        severity=ATTACK,
        trace_id=ATTACK,
    )
    store = AlertStore.open(settings.state_dir / "alerts.sqlite")
    alert = {**growth(feature=ATTACK), "rule": ATTACK}
    store.observe([alert], now=NOON, settings=AlertSettings())
    store.close()

    page = client.get("/").text

    assert page.count("&lt;script&gt;") >= 10
    tags = {tag for tag, _ in Reader(page).tags}
    assert "script" not in tags


def test_the_page_needs_nothing_from_elsewhere_and_no_script(client, settings):
    fill(settings, call(0))

    answer = client.get("/")

    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    for tag, attributes in Reader(answer.text).tags:
        assert tag != "script"
        assert not [name for name in attributes if name.startswith("on")]
        assert "style" not in attributes
        for name in ("src", "href"):
            target = attributes.get(name, "")
            assert "//" not in target
            assert not target.startswith("javascript:")


def test_a_shorter_period_leaves_out_what_is_older(client, settings):
    old = datetime.now(UTC) - timedelta(days=3)
    fill(settings, call(0), call(1, timestamp=old, feature="old feature"))

    week = client.get("/", params={"since": "7d"}).text
    day = client.get("/", params={"since": "24h"}).text

    assert "old feature" in week
    assert "old feature" not in day
    current = [it for _, it in Reader(day).tags if it.get("aria-current")]
    assert [it["href"] for it in current] == ["?since=24h"]


def test_a_period_that_is_no_time_is_refused_in_one_line(client):
    answer = client.get("/", params={"since": "soon"})

    assert answer.status_code == 400
    assert answer.text.startswith("time: 'soon' is neither")


def test_the_page_is_only_read(client):
    assert client.post("/").status_code == 405


def test_routes_of_others_stand_beside_the_page(settings):
    route = Route("/api/hello", lambda _request: PlainTextResponse("hello"))

    with served(build_app(settings, query_routes=[route])) as client:
        answer = client.get("/api/hello")

    assert answer.text == "hello"


def test_readiness_may_be_judged_by_others(settings):
    app = build_app(settings, readiness=lambda: {"ready": False, "roles": {}})

    with served(app) as client:
        assert client.get("/readyz").status_code == 503
        assert client.get("/").status_code == 200


def test_panels_are_reports():
    assert {panel.id for panel in PANELS} <= {kind.name for kind in REPORTS}


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "$0.00"),
        ("1234567.891", "$1,234,567.89"),
        ("1", "$1.00"),
        ("0.5", "$0.500"),
        ("0.0123456", "$0.0123"),
        ("0.000000000012", "$0.0000000000120"),
        ("-2.5", "$-2.50"),
    ],
)
def test_dollars_are_cents_or_three_digits(amount, shown):
    assert cells.dollars(Decimal(amount)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1, "100 %"),
        (0.99999, "> 99.9 %"),
        (0.5, "50 %"),
        (0, "0 %"),
        (None, cells.MISSING),
    ],
)
def test_not_quite_all_is_not_shown_as_all(value, shown):
    assert cells.share(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(1.4, "1 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (864000, "10 days")],
)
def test_durations_are_in_the_largest_unit_that_suits(seconds, shown):
    assert cells.duration(seconds) == shown


SHOWN = (cells.text, cells.count, cells.average, cells.figure, cells.dollars)


@given(
    value=st.none()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.decimals(allow_nan=False, allow_infinity=False, places=12)
    | st.text()
    | st.datetimes(timezones=st.just(UTC)),
    show=st.sampled_from(
        [*SHOWN, cells.share, cells.moment, cells.duration, cells.short_id]
    ),
)
def test_any_value_can_be_shown(value, show):
    assert isinstance(show(value), str)
