import json
import os
from decimal import Decimal

import pyarrow as pa
import pytest
from agent_lake import FIRST, TRACE, build_agent_lake
from starlette.applications import Starlette
from web_server import served

from collector.config import Settings
from collector.errors import QueryError
from collector.query import api
from collector.query.api import api_routes
from collector.query.ask import ask_report, ask_sql, ask_trace
from collector.query.times import ALWAYS, parse_period
from collector.query.wire import ARROW_TYPE
from collector.running import Service, announce


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    build_agent_lake(data_dir / "lake")
    return Settings(data_dir=data_dir)


@pytest.fixture(scope="module")
def client(settings):
    with served(Starlette(routes=api_routes(settings))) as client:
        yield client


def post(client, body, **headers):
    return client.post("/api/sql", json=body, headers=headers)


def test_sql_answers_json_with_exact_money(client):
    answer = post(client, {"sql": "SELECT sum(cost_usd) AS usd FROM calls"})

    assert answer.status_code == 200
    assert answer.json() == {"columns": ["usd"], "rows": [{"usd": "0.750000000000"}]}


def test_sql_answers_arrow_to_who_wants_it(client):
    asked = {"sql": "SELECT sum(cost_usd) AS usd FROM calls"}

    answer = post(client, asked, accept=ARROW_TYPE)

    table = pa.ipc.open_stream(answer.content).read_all()
    assert table["usd"].to_pylist() == [Decimal("0.75")]


def test_sql_answers_csv_to_who_wants_it(client):
    answer = post(client, {"sql": "SELECT 1 AS one"}, accept="text/csv")

    assert answer.text == "one\n1\n"


def test_sql_keeps_to_the_period(client):
    asked = {"sql": "SELECT count(*) AS n FROM calls", "until": "2020-01-01"}

    assert post(client, asked).json()["rows"] == [{"n": 0}]


def test_more_rows_than_sent_are_said_to_be_more(client, monkeypatch):
    monkeypatch.setattr(api, "MAX_ROWS", 5)

    whole = post(client, {"sql": "FROM range(5)"})
    cut = post(client, {"sql": "FROM range(6)"})

    assert (len(whole.json()["rows"]), whole.headers["x-truncated"]) == (5, "false")
    assert (len(cut.json()["rows"]), cut.headers["x-truncated"]) == (5, "true")


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"SELECT 1", 400, "body must be JSON"),
        (b"[]", 400, "body must be JSON"),
        (b'"SELECT 1"', 400, "body must be JSON"),
        (b'{"sql": 1}', 400, "must be text"),
        (b'{"sql": "SELECT 1", "since": 7}', 400, "must be text"),
        (b'{"sql": "SELECT 1", "since": "soon"}', 400, "ISO 8601"),
        (b'{"sql": "DROP VIEW calls"}', 400, "is not allowed"),
        (b'{"sql": "' + b"-" * (1 << 20) + b'"}', 413, "more than"),
    ],
    ids=["text", "list", "json text", "number", "since", "time", "drop", "large"],
)
def test_a_bad_question_is_answered_in_one_line(client, body, status, says):
    headers = {"content-type": "application/json"}
    answer = client.post("/api/sql", content=body, headers=headers)

    assert answer.status_code == status
    assert says in answer.json()["error"]


def test_a_form_of_another_site_cannot_ask(client):
    headers = {"content-type": "text/plain"}
    answer = client.post("/api/sql", content=b'{"sql": "SELECT 1"}', headers=headers)

    assert answer.status_code == 415


def test_a_report_has_its_summary(client):
    document = client.get("/api/report/features", params={"since": "7d"}).json()

    assert document["summary"]["cost_usd"] == "0.750000000000"
    assert document["rows"][0]["feature"] == "refund"


def test_an_unknown_report_is_not_found(client):
    answer = client.get("/api/report/bills")

    assert answer.status_code == 404
    assert "features" in answer.json()["error"]


@pytest.mark.parametrize("limit", ["x", "-1", "100001"])
def test_a_limit_that_is_none_is_refused(client, limit):
    answer = client.get("/api/report/features", params={"limit": limit})

    assert answer.status_code == 400


def test_a_report_takes_its_parameters(client):
    given = {"cut_results_to": "7"}

    document = client.get("/api/report/tools", params=given).json()

    assert document["parameters"] == {"cut_results_to": 7}


@pytest.mark.parametrize(
    "given", [{"cut_results_to": "x"}, {"cut_results_to": "0"}, {"size": "1"}], ids=str
)
def test_a_parameter_that_is_none_is_refused(client, given):
    answer = client.get("/api/report/tools", params=given)

    assert answer.status_code == 400
    assert "parameter" in answer.json()["error"] or "must be" in answer.json()["error"]


def test_a_trace_and_a_receipt_are_there(client):
    assert len(client.get(f"/api/trace/{TRACE}").json()["spans"]) == 5
    assert client.get(f"/api/explain/{TRACE}/{FIRST}").json()["counted"]
    assert client.get(f"/api/trace/{'b' * 32}").status_code == 400


def test_the_caller_may_bring_the_lake_up_to_date_before_each_answer(settings):
    refreshed = []
    routes = api_routes(settings, refresh=lambda: refreshed.append(1))

    with served(Starlette(routes=routes)) as client:
        client.get("/api/report/features")
        client.get("/api/report/steps")

    assert len(refreshed) == 2


@pytest.fixture(params=["service", "lake", "silent service"])
def asked(request, settings, client, tmp_path):
    """Return settings whose questions go to the service, the lake, or who answers."""
    state = settings.state_dir
    (state / "serve.json").unlink(missing_ok=True)
    if request.param != "lake":
        web = client.base_url.netloc.decode()
        if request.param == "silent service":
            web = "127.0.0.1:1"
        announce(state, Service(os.getpid(), grpc="", http="", web=web))
    yield settings
    (state / "serve.json").unlink(missing_ok=True)


def test_the_answer_is_the_same_whoever_gives_it(asked):
    sql = ask_sql(asked, "SELECT sum(cost_usd) AS usd FROM calls", ALWAYS)
    report = ask_report(asked, "features", parse_period("1d", None), 10)
    trace = ask_trace(asked, TRACE.upper())

    assert sql["usd"].to_pylist() == [Decimal("0.75")]
    assert report.summary["cost_usd"] == "0.750000000000"
    assert report.table["cost_usd"].to_pylist() == [Decimal("0.75")]
    assert report.table.schema.metadata is None
    assert trace.trace_id == TRACE
    assert trace.table.num_rows == 5


def test_a_parameter_reaches_whoever_answers(asked):
    report = ask_report(asked, "tools", ALWAYS, 10, parameters={"cut_results_to": 7})

    assert report.document()["parameters"] == {"cut_results_to": 7}


def test_a_refusal_is_the_same_whoever_gives_it(asked):
    with pytest.raises(QueryError, match="no parameter 'size'"):
        ask_report(asked, "tools", ALWAYS, 10, parameters={"size": 7})
    with pytest.raises(QueryError, match="DROP is not allowed"):
        ask_sql(asked, "DROP VIEW calls", ALWAYS)
    with pytest.raises(QueryError, match="no span in the lake"):
        ask_trace(asked, "b" * 32)


def test_the_service_is_asked_if_there_is_one(settings, tmp_path):
    elsewhere = Settings(data_dir=tmp_path, store={"url": str(tmp_path / "no lake")})
    with served(Starlette(routes=api_routes(settings))) as client:
        web = client.base_url.netloc.decode()
        announce(elsewhere.state_dir, Service(os.getpid(), grpc="", http="", web=web))

        table = ask_sql(elsewhere, "SELECT count(*) AS n FROM calls", ALWAYS)

    assert table["n"].to_pylist() == [2]


def test_a_cut_answer_is_an_error_to_who_asked_for_all(settings, client, monkeypatch):
    monkeypatch.setattr(api, "MAX_ROWS", 5)
    web = client.base_url.netloc.decode()
    announce(settings.state_dir, Service(os.getpid(), grpc="", http="", web=web))

    with pytest.raises(QueryError, match="rows") as caught:
        ask_sql(settings, "FROM range(6)", ALWAYS)

    assert "LIMIT" in caught.value.line()
    assert json.dumps(caught.value.line())
