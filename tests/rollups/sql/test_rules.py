import json
from datetime import timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from budgets import DAILY
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rows import at, calls, chains, connect, feature_hours, runs

from rollups.engine import RuleError, budget_table, run_rule
from rollups.registry import RULES, Rule, find_rules

BY_NAME = {rule.name: rule for rule in RULES}


def findings(name, *, budgets=(), parameters=None, since=None, until=None, **ledger):
    connection = connect(**ledger)
    connection.register("budgets", budget_table(budgets))
    given = {"since": since or at(), "until": until or at(hours=24)}
    found = run_rule(connection, BY_NAME[name], {**given, **(parameters or {})})
    return [
        {
            **row,
            "scope": json.loads(row["scope"]),
            "details": json.loads(row["details"]),
        }
        for row in found.to_pylist()
    ]


def spend(*amounts, **also):
    return calls(
        [
            {
                "timestamp": at(minutes=10 * index),
                "trace_id": f"t{index}",
                "feature": "refund",
                "cost_usd": amount,
                **also,
            }
            for index, amount in enumerate(amounts)
        ]
    )


def growing(**also):
    return {
        "quadratic": True,
        "severity": "warning",
        "growth_exponent": 1.97,
        "growth_shape": "accreting",
        "slope_tokens_per_step": 1510.0,
        "calls": 12,
        "resent_usd": Decimal("0.1842"),
        "waste_usd": Decimal("0.01"),
        **also,
    }


def test_a_growing_run_is_found_with_who_and_how_much():
    run = {
        "timestamp": at(hours=2, minutes=30),
        "feature": "refund",
        "agent_name": "triage-agent",
        "duration_ms": 60_000.0,
    }

    (found,) = findings("context_growth", runs=runs([run]), chains=chains([growing()]))

    assert found["scope"] == {
        "agent_name": "triage-agent",
        "feature": "refund",
        "run_id": "run",
        "trace_id": "0" * 31 + "1",
    }
    assert (found["value"], found["threshold"]) == (1.97, 1.4)
    assert found["severity"] == "warning"
    assert found["details"]["steps"] == 12
    assert found["details"]["slope_tokens_per_step"] == 1510
    assert found["details"]["wasted_usd"] == "0.184200000000"
    assert found["details"]["wasted_usd_is"] == "resent_usd"
    assert found["timestamp"] == at(hours=2, minutes=31)
    assert (found["window_start"], found["window_end"]) == (at(hours=2), at(hours=3))
    assert found["run_id"] == "run"


@pytest.mark.parametrize(
    ("named", "service"),
    [({}, "shop"), ({"feature": "refund"}, None), ({"agent_name": "triage"}, None)],
    ids=["before the root", "feature", "agent"],
)
@pytest.mark.parametrize(
    "rule", ["context_growth", "context_jump", "runaway_loop", "run_too_long"]
)
def test_a_run_without_a_name_is_told_by_its_service(rule, named, service):
    tables = lengths(*[10] * 20, 40)
    chain = growing(**looping(), jump_steps=[3], jump_tokens=9000, **named)
    *_, last = tables["chains"].select(["timestamp", "trace_id", "run_id"]).to_pylist()
    judged = tables["chains"].to_pylist()
    judged = [{**row, "feature": named.get("feature")} for row in judged]
    judged = [{**row, "agent_name": named.get("agent_name")} for row in judged]
    judged[-1] |= chain | last | {"calls": 40}
    run = {**last, **named, "service_name": "shop"}

    (found,) = findings(rule, runs=runs([run]), chains=chains(judged))

    assert found["scope"].get("service_name") == service


@pytest.mark.parametrize(
    "harmless",
    [
        {"quadratic": False},
        {"severity": "info"},
        {"severity": "none"},
        {"growth_exponent": 1.3},
        {"quadratic": None, "severity": None},
    ],
    ids=["not quadratic", "info", "none", "below the threshold", "not judged"],
)
def test_a_harmless_run_is_not_found(harmless):
    chain = growing(**harmless)

    assert findings("context_growth", runs=runs([{}]), chains=chains([chain])) == []


def test_a_run_with_two_growing_chains_is_found_once_by_the_worse():
    two = chains(
        [
            growing(chain_id="run/1", resent_usd=Decimal(9)),
            growing(chain_id="run/2", severity="critical", growth_exponent=2.0),
        ]
    )

    (found,) = findings("context_growth", runs=runs([{}]), chains=two)

    assert found["severity"] == "critical"
    assert found["details"]["chain_id"] == "run/2"


def test_the_window_of_a_growing_run_stays_while_the_run_goes_on():
    windows = {
        (found["window_start"], found["window_end"])
        for minutes in (1, 30, 300)
        for found in findings(
            "context_growth",
            runs=runs([{"duration_ms": 60_000.0 * minutes}]),
            chains=chains([growing()]),
        )
    }

    assert windows == {(at(), at(hours=1))}


def looping(**also):
    return {
        "is_loop": True,
        "loop_period": 2,
        "loop_start": 3,
        "loop_rounds": 4,
        "severity": "warning",
        "calls": 11,
        "waste_tokens": 5000,
        "waste_usd": Decimal("0.02"),
        **also,
    }


def test_a_loop_is_found_with_where_it_begins_and_what_it_wasted():
    run = {"feature": "refund", "closed": False, "duration_ms": 60_000.0}

    (found,) = findings("runaway_loop", runs=runs([run]), chains=chains([looping()]))

    assert (found["value"], found["threshold"]) == (4, 3)
    assert found["scope"]["run_id"] == found["run_id"] == "run"
    details = found["details"]
    assert (details["loop_start"], details["loop_period"]) == (3, 2)
    assert (details["closed"], details["wasted_usd"]) == (False, "0.020000000000")
    assert found["timestamp"] == at(minutes=1)


@pytest.mark.parametrize(
    "harmless",
    [{"is_loop": False}, {"loop_rounds": 2}, {"severity": "info"}],
    ids=["no loop", "few rounds", "info"],
)
def test_a_run_that_does_not_loop_is_not_found(harmless):
    chain = looping(**harmless)

    assert findings("runaway_loop", runs=runs([{}]), chains=chains([chain])) == []


def jumped(tokens, **also):
    return {
        "jump_steps": [4],
        "jump_tool": "fetch_page",
        "jump_tokens": tokens,
        "severity": "info",
        **also,
    }


@pytest.mark.parametrize(
    ("tokens", "of_chain", "expected"),
    [
        (2999, "critical", None),
        (3000, "critical", "info"),
        (20_000, "info", "warning"),
        (20_000, "critical", "critical"),
    ],
)
def test_a_jump_is_as_severe_as_it_is_large(tokens, of_chain, expected):
    chain = jumped(tokens, severity=of_chain)

    found = findings("context_jump", runs=runs([{}]), chains=chains([chain]))

    assert [row["severity"] for row in found] == ([expected] if expected else [])


def test_a_run_is_found_once_by_its_largest_jump():
    two = chains([jumped(9000, chain_id="run/1"), jumped(50_000, chain_id="run/2")])

    (found,) = findings("context_jump", runs=runs([{}]), chains=two)

    assert (found["value"], found["details"]["jump_tool"]) == (50_000, "fetch_page")
    assert found["details"]["jump_steps"] == [4]


def test_each_threshold_of_a_budget_is_found_once_at_the_call_that_crossed_it():
    found = findings("budget", budgets=[DAILY], calls=spend("4.9", "0.1", "2", "9"))

    assert [(row["threshold"], row["trace_id"]) for row in found] == [
        (50, "t1"),
        (80, "t3"),
        (100, "t3"),
    ]
    assert found[0]["timestamp"] == at(minutes=10)
    assert found[0]["scope"] == {
        "budget": "spend",
        "feature": "refund",
        "threshold_percent": "50",
    }
    assert found[0]["details"]["spent"] == "5.000000000000"
    assert found[0]["value"] == 50.0
    assert [row["severity"] for row in found] == ["warning", "warning", "critical"]


def test_an_amount_that_is_just_reached_is_reached():
    found = findings("budget", budgets=[DAILY], calls=spend("5"))

    assert [row["threshold"] for row in found] == [50]


def test_a_pico_dollar_below_a_threshold_is_below_it():
    found = findings("budget", budgets=[DAILY], calls=spend("4.999999999999"))

    assert found == []


def test_later_calls_do_not_change_what_a_budget_found():
    before = findings("budget", budgets=[DAILY], calls=spend("6"))
    after = findings("budget", budgets=[DAILY], calls=spend("6", "0.5", "0.5"))

    assert before == after


@given(
    amounts=st.lists(st.integers(0, 10**13), min_size=1, max_size=12),
    limit=st.integers(1, 3 * 10**13),
    gap_minutes=st.sampled_from([1, 25, 61]),
)
@settings(max_examples=25, deadline=None)
def test_a_budget_agrees_with_adding_up_call_by_call(amounts, limit, gap_minutes):
    pico = Decimal("0.000000000001")
    spent = calls(
        [
            {
                "timestamp": at(minutes=gap_minutes * index),
                "trace_id": f"t{index:02}",
                "feature": "refund",
                "cost_usd": amount * pico,
            }
            for index, amount in enumerate(amounts)
        ]
    )
    budget = {**DAILY, "limit": format(limit * pico, "f")}
    expected = []
    for percent in budget["thresholds"]:
        running = 0
        for index, amount in enumerate(amounts):
            running += amount
            if running * 100 >= limit * percent:
                expected.append((percent, f"t{index:02}", running))
                break

    found = findings("budget", budgets=[budget], calls=spent)

    assert sorted(
        (
            row["threshold"],
            row["trace_id"],
            int(Decimal(row["details"]["spent"]) / pico),
        )
        for row in found
    ) == sorted(expected)


def test_a_budget_starts_anew_with_each_period():
    spent = calls(
        [
            {"timestamp": at(hours=23), "feature": "refund", "cost_usd": "6"},
            {"timestamp": at(hours=25), "feature": "refund", "cost_usd": "6"},
        ]
    )

    found = findings("budget", budgets=[DAILY], calls=spent, until=at(hours=48))

    assert [row["window_start"] for row in found] == [at(), at(hours=24)]
    assert [row["window_end"] for row in found] == [at(hours=24), at(hours=48)]


def test_a_budget_looks_back_to_the_start_of_its_period():
    monthly = {**DAILY, "period": "month", "thresholds": (100,)}
    spent = calls(
        [
            {"timestamp": at(hours=-24 * 18), "feature": "refund", "cost_usd": "6"},
            {"timestamp": at(hours=1), "feature": "refund", "cost_usd": "6"},
        ]
    )

    (found,) = findings("budget", budgets=[monthly], calls=spent)

    assert found["timestamp"] == at(hours=1)
    assert (found["window_start"].day, found["window_end"].month) == (1, 12)


def test_a_budget_of_one_value_leaves_the_others_alone():
    spent = calls(
        [
            {"feature": "refund", "cost_usd": "20"},
            {"feature": "search", "cost_usd": "20"},
            {"feature": None, "cost_usd": "20"},
        ]
    )

    found = findings("budget", budgets=[{**DAILY, "value": "refund"}], calls=spent)

    assert {row["scope"]["feature"] for row in found} == {"refund"}


def test_the_total_is_a_budget_too():
    spent = calls([{"feature": None, "cost_usd": "5"}, {"cost_usd": "5"}])

    found = findings("budget", budgets=[{**DAILY, "dimension": "total"}], calls=spent)

    assert [row["threshold"] for row in found] == [50, 80, 100]


def test_a_configured_dimension_has_budgets():
    connection = connect(calls=calls([{"team": "blue", "cost_usd": "9"}], ("team",)))
    connection.register("budgets", budget_table([{**DAILY, "dimension": "team"}]))

    found = run_rule(
        connection, BY_NAME["budget"], {"since": at(), "until": at(hours=24)}
    )

    assert json.loads(found["scope"][0].as_py())["team"] == "blue"


def test_a_budget_of_an_unknown_dimension_leaves_the_others_running():
    budgets = [{**DAILY, "name": "odd", "dimension": "planet"}, DAILY]

    found = findings("budget", budgets=budgets, calls=spend("5"))

    assert [row["scope"]["budget"] for row in found] == ["spend"]


def test_tokens_have_budgets():
    budget = {**DAILY, "measure": "output_tokens", "limit": "1000"}
    spent = calls([{"feature": "refund", "output_tokens": 500}])

    (found,) = findings("budget", budgets=[budget], calls=spent)

    assert found["details"]["spent"] == "500.000000000000"


def test_a_subscription_spends_no_budget():
    spent = spend("20", cost_status="subscription")

    assert findings("budget", budgets=[DAILY], calls=spent) == []


def test_an_unpriced_model_is_found_once_a_day():
    spent = calls(
        [
            {
                "timestamp": at(hours=hour),
                "provider": "openai",
                "request_model": "gpt-9",
                "cost_status": "unpriced",
                "cost_reason": "unknown_model",
            }
            for hour in (3, 5, 26)
        ]
    )

    found = findings("unpriced_model", calls=spent, until=at(hours=48))

    assert [row["value"] for row in found] == [2, 1]
    assert [row["timestamp"] for row in found] == [at(hours=3), at(hours=26)]
    assert found[0]["scope"] == {"model": "gpt-9", "provider": "openai"}
    assert found[0]["details"]["reasons"] == ["unknown_model"]


@pytest.mark.parametrize(
    "fine",
    [
        {"cost_usd": "1"},
        {"cost_status": "unpriced", "cost_reason": "no_usage"},
        {"cost_status": "unpriced", "cost_reason": "out_of_range"},
        {"cost_status": "unpriced", "cost_reason": "gpu_hour_open"},
        {"cost_status": "not_billed"},
    ],
    ids=["priced", "no usage", "absurd", "waits for its hour", "failed attempt"],
)
def test_a_call_that_is_not_the_models_fault_is_not_found(fine):
    assert findings("unpriced_model", calls=calls([fine])) == []


def test_a_parameter_of_the_settings_replaces_the_default():
    spent = calls([{"cost_status": "unpriced", "cost_reason": "unknown_model"}])

    found = findings("unpriced_model", calls=spent, parameters={"min_calls": 2.0})

    assert found == []


def own_rule(tmp_path, text):
    path = tmp_path / "mine.sql"
    path.write_text(text)
    return find_rules(tmp_path)[-1]


def run_own(tmp_path, text):
    rule = own_rule(tmp_path, text)
    return run_rule(connect(), rule, {"since": at(), "until": at(hours=1)})


def test_a_rule_of_the_user_needs_five_columns_only(tmp_path):
    found = run_own(
        tmp_path,
        'SELECT \'{"b": 1, "a": null}\' AS scope, 2 AS value, 1.5 AS threshold,'
        " NULL AS severity, MAP {'usd': 1.10::DECIMAL(9, 2)} AS details",
    ).to_pylist()

    assert found == [
        {
            "timestamp": at(hours=1),
            "rule": "mine",
            "severity": "warning",
            "scope": '{"b":1}',
            "window_start": at(),
            "window_end": at(hours=1),
            "value": 2.0,
            "threshold": 1.5,
            "run_id": None,
            "trace_id": None,
            "details": '{"usd":"1.10"}',
        }
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SELECT 1 AS scope", "no column value, threshold, severity, details"),
        ("SELECT nothing FROM calls", "nothing"),
        ("SELECT * FROM calls WHERE step = $depth", "no value for parameter \\$depth"),
        ("DROP TABLE calls", "not one SELECT"),
        ("SELECT 1; SELECT 2", "not one SELECT"),
        (
            "SELECT 1 scope, 1 AS value, 1 AS threshold, 'bad' AS severity, 1 details",
            "severity 'bad'",
        ),
        ("SELEC 1", "mine"),
    ],
    ids=["columns", "unknown column", "parameter", "ddl", "two", "severity", "syntax"],
)
def test_a_rule_that_cannot_run_says_why_in_one_line(tmp_path, text, says):
    with pytest.raises(RuleError, match=says) as caught:
        run_own(tmp_path, text)

    assert "\n" not in str(caught.value)


def test_a_file_of_the_user_takes_the_place_of_the_built_in_rule(tmp_path):
    (tmp_path / "budget.sql").write_text("SELECT 1")

    found = find_rules(tmp_path)

    others = [rule.name for rule in RULES if rule.name != "budget"]
    assert [rule.name for rule in found] == [*others, "budget"]
    assert found[-1] == Rule("budget", path=tmp_path / "budget.sql")


def test_a_rule_cannot_change_the_ledger(tmp_path):
    connection = connect(calls=calls([{}]))

    with pytest.raises(RuleError):
        run_rule(
            connection,
            own_rule(tmp_path, "DELETE FROM calls"),
            {"since": at(), "until": at(hours=1)},
        )

    assert connection.sql("SELECT count(*) FROM calls").fetchall() == [(1,)]


def attempts(answered, failed, **also):
    """Return calls of one hour, a second apart, the failed ones first."""
    sent = {"provider": "p", "request_model": "m", "feature": "refund", **also}
    rows = [{"error_type": "429", "cost_status": "not_billed"}] * failed
    rows += [{"cost_usd": "1"}] * answered
    return [
        {**sent, **row, "timestamp": at(seconds=second)}
        for second, row in enumerate(rows)
    ]


def test_attempts_that_fail_amplify_the_requests_of_an_hour():
    (found,) = findings("retry_amplification", calls=calls(attempts(10, 5)))

    assert (found["value"], found["threshold"]) == (1.5, 1.5)
    assert found["scope"] == {"feature": "refund", "provider": "p", "model": "m"}
    assert found["details"]["errors"] == {"429": 5}
    assert (found["window_start"], found["window_end"]) == (at(), at(hours=1))
    assert found["timestamp"] == at(seconds=4)


def test_few_failures_and_low_rates_amplify_nothing():
    assert findings("retry_amplification", calls=calls(attempts(2, 4))) == []
    assert findings("retry_amplification", calls=calls(attempts(11, 5))) == []


def test_attempts_inside_an_sdk_and_repeated_calls_amplify_too():
    hidden = [{"attempt": 3, "request_model": "m", "timestamp": at(seconds=1)}]
    again = [
        {"waste_reason": "repeat", "request_model": "m", "cost_usd": "0.5"}
        for _ in range(3)
    ]

    (found,) = findings("retry_amplification", calls=calls([*hidden, *again]))

    assert found["value"] == 6
    assert found["details"]["hidden_attempts"] == 2
    assert found["details"]["billed_usd"] == "1.500000000000"


def test_attempts_that_were_told_and_failed_are_not_hidden_as_well():
    told = attempts(0, 5) + attempts(1, 0, attempt=6, trace_id="t")

    (found,) = findings("retry_amplification", calls=calls(told))

    assert found["details"]["hidden_attempts"] == 0
    assert found["value"] == 6


def test_requests_that_are_never_answered_are_compared_with_one():
    (found,) = findings("retry_amplification", calls=calls(attempts(0, 7)))

    assert (found["value"], found["details"]["answered"]) == (7, 0)


def embedded(hashes, **also):
    sent = {"operation": "embeddings", "request_model": "e", "cost_usd": "0.5", **also}
    return calls(
        [
            {**sent, "input_hash": text, "timestamp": at(seconds=second)}
            for second, text in enumerate(hashes)
        ]
    )


def test_inputs_embedded_again_on_the_same_day_are_found():
    few = {"min_duplicates": 2.0}

    (found,) = findings("embedding_duplicates", parameters=few, calls=embedded("abcab"))

    assert (found["value"], found["threshold"]) == (0.4, 0.2)
    assert found["details"]["wasted_usd"] == "1.000000000000"
    assert found["timestamp"] == at(seconds=4)


@pytest.mark.parametrize(
    "made",
    [
        embedded("abcdefghia"),
        embedded("abca"),
        embedded([None] * 9),
        embedded("aaaaa", operation="chat"),
        embedded("aaaaa", error_type="429"),
    ],
    ids=["small share", "too few", "no hash", "no embedding", "failed"],
)
def test_what_is_no_repeated_embedding_is_not_found(made):
    few = {"min_duplicates": 2.0}

    assert findings("embedding_duplicates", parameters=few, calls=made) == []


def released(version, *, first, count=20, floor=2000, slope=300.0, **also):
    """Return chains of one version, a minute apart."""
    return [
        {
            "timestamp": at(hours=first, minutes=place),
            "trace_id": f"{version}{place}",
            "agent_name": "triage",
            "feature": "refund",
            "agent_version": version,
            "calls": 8,
            "first_input_tokens": floor + place,
            "slope_tokens_per_step": slope,
            **also,
        }
        for place in range(count)
    ]


def trend(*versions, **also):
    rows = [row for version in versions for row in version]
    return findings("context_trend", chains=chains(rows), **also)


def test_a_release_that_begins_with_more_context_is_found():
    (found,) = trend(released("1", first=1), released("2", first=5, floor=4000))

    assert found["scope"] == {
        "agent_name": "triage",
        "agent_version": "2",
        "feature": "refund",
    }
    assert found["value"] == pytest.approx(2, abs=0.01)
    assert found["details"]["versions_before"] == ["1"]
    assert found["details"]["floor_tokens_after"] == 4009.5
    assert (found["window_start"], found["window_end"]) == (at(hours=5), at(hours=29))


def test_a_release_whose_context_grows_faster_is_found():
    (found,) = trend(released("1", first=1), released("2", first=5, slope=900.0))

    assert found["value"] == 3
    assert found["details"]["slope_tokens_per_step_before"] == 300


@pytest.mark.parametrize(
    "after",
    [
        {"floor": 2400},
        {"floor": 4000, "count": 19},
        {"slope": 380.0},
        {"floor": 4000, "feature": "search"},
        {"floor": 4000, "agent_version": None},
    ],
    ids=["a little more", "few runs", "a little faster", "other feature", "no version"],
)
def test_a_release_that_changes_little_is_not_found(after):
    assert trend(released("1", first=1), released("2", first=5, **after)) == []


def test_a_version_that_ran_within_a_week_is_no_release():
    again = released("2", first=-48, count=1)

    found = trend(again, released("1", first=1), released("2", first=5, floor=4000))

    assert found == []


def test_what_comes_a_day_after_a_release_does_not_change_what_was_found():
    versions = [released("1", first=1), released("2", first=5, floor=4000)]
    before = trend(*versions)

    later = released("2", first=30, floor=90_000)

    assert trend(*versions, later) == before


def lengths(*calls):
    """Return runs and chains half an hour apart that made so many calls."""
    rows = [
        {"timestamp": at(minutes=30 * k), "trace_id": f"t{k:02}", "run_id": f"r{k:02}"}
        for k in range(len(calls))
    ]
    named = {"agent_name": "triage", "feature": "refund"}
    return {
        "runs": runs(rows),
        "chains": chains(
            [
                {**row, **named, "calls": count}
                for row, count in zip(rows, calls, strict=True)
            ]
        ),
    }


def test_a_run_far_longer_than_those_before_it_is_found():
    (found,) = findings("run_too_long", **lengths(*[10] * 20, 19, 18))

    assert (found["run_id"], found["value"], found["threshold"]) == ("r20", 19, 18)
    assert found["details"]["p95_calls"] == 10
    assert found["details"]["runs_before"] == 20


def test_too_few_earlier_runs_say_nothing_about_length():
    assert findings("run_too_long", **lengths(*[10] * 19, 90)) == []


def test_runs_that_began_in_the_same_hour_are_not_earlier():
    tables = lengths(*[10] * 20, 90)
    moments = [[at(minutes=2 * k) for k in range(21)]]
    same = tables["chains"].set_column(0, "timestamp", moments)

    found = findings("run_too_long", runs=tables["runs"], chains=same)

    assert found == []


def test_later_runs_do_not_change_whether_a_run_was_too_long():
    before = findings("run_too_long", **lengths(*[10] * 20, 40))
    after = findings("run_too_long", **lengths(*[10] * 20, 40, *[50] * 20))

    assert before[0] == after[0]


def test_a_provider_that_fails_often_in_a_quarter_of_an_hour_is_found():
    (found,) = findings("error_rate", calls=calls(attempts(75, 25)))

    assert (found["value"], found["threshold"]) == (0.25, 0.05)
    assert found["scope"] == {"provider": "p"}
    assert (found["window_start"], found["window_end"]) == (at(), at(minutes=15))
    assert found["timestamp"] == at(seconds=24)
    assert found["details"] == {
        "calls": 100,
        "failed_calls": 25,
        "errors": {"429": 25},
        "models": ["m"],
        "features": ["refund"],
    }


@pytest.mark.parametrize(
    ("answered", "failed"),
    [(100, 5), (14, 5), (60, 4), (0, 0)],
    ids=["low rate", "few calls", "few failures", "no calls"],
)
def test_few_failures_and_low_rates_are_no_error_rate(answered, failed):
    assert findings("error_rate", calls=calls(attempts(answered, failed))) == []


def test_failures_of_two_quarters_and_two_providers_do_not_add_up():
    made = [
        {**row, "provider": provider, "timestamp": row["timestamp"] + offset}
        for provider in ("p", "q")
        for offset in (timedelta(0), timedelta(minutes=20))
        for row in attempts(20, 3)
    ]

    assert findings("error_rate", calls=calls(made)) == []


def answered_in(*seconds, **also):
    return calls(
        [
            {
                "provider": "p",
                "response_model": "m",
                "feature": "refund",
                "duration_ms": 1000.0 * duration,
                "timestamp": at(seconds=number),
                "trace_id": f"t{number}",
                **also,
            }
            for number, duration in enumerate(seconds)
        ]
    )


def test_a_model_whose_slowest_twentieth_takes_half_a_minute_is_found():
    slow = answered_in(*[2.0] * 18, 31.0, 45.0)

    (found,) = findings("latency_p95", calls=slow)

    assert (found["value"], found["threshold"]) == (31_000, 30_000)
    assert found["scope"] == {"provider": "p", "model": "m"}
    assert (found["window_start"], found["window_end"]) == (at(), at(hours=1))
    assert (found["timestamp"], found["trace_id"]) == (at(seconds=19), "t19")
    assert found["details"]["slow_calls"] == 2
    assert found["details"]["latency_p50_ms"] == 2000


@pytest.mark.parametrize(
    "made",
    [
        answered_in(*[2.0] * 19, 45.0),
        answered_in(*[45.0] * 19),
        answered_in(*[45.0] * 40, error_type="timeout"),
        answered_in(*[float("inf")] * 40),
    ],
    ids=["one outlier", "too few", "failed", "absurd"],
)
def test_what_is_no_slow_model_is_not_found(made):
    assert findings("latency_p95", calls=made) == []


def usual_hours(*, count=30, first_day=-3, **also):
    """Return hours of ``feature_hourly`` of the days before `at`, one after another."""
    return feature_hours(
        {
            "window_start": at(hours=24 * first_day + number),
            "feature": "refund",
            **also,
        }
        for number in range(count)
    )


def test_an_hour_that_costs_twice_the_usual_one_is_found_where_it_crossed():
    spent = spend("1", "1.5", "2", "0.5")

    (found,) = findings(
        "cost_spike", calls=spent, feature_hourly=usual_hours(cost_usd="1.25")
    )

    assert (found["value"], found["threshold"]) == (4.0, 2.0)
    assert found["scope"] == {"feature": "refund"}
    assert (found["window_start"], found["window_end"]) == (at(), at(hours=1))
    assert (found["timestamp"], found["trace_id"]) == (at(minutes=10), "t1")
    assert found["details"] == {
        "hour_usd": "5.000000000000",
        "usual_usd": "1.250000000000",
        "usual_of_hours": 30,
        "calls": 4,
        "unpriced_calls": 0,
        "usual_unpriced_calls": 0,
    }


def known_after_hours_without_a_price(cost_usd, *, count):
    unknown = usual_hours(first_day=-5, unpriced_calls=1)
    return pa.concat_tables([unknown, usual_hours(cost_usd=cost_usd, count=count)])


@pytest.mark.parametrize(
    ("spent", "usual"),
    [
        (spend("2", "0.49"), usual_hours(cost_usd="1.25")),
        (spend("0.9"), usual_hours(cost_usd="0.01")),
        (spend("5"), usual_hours(cost_usd="1.25", count=23)),
        (spend("5"), usual_hours(cost_usd="1.25", first_day=-9)),
        (spend("5"), usual_hours(cost_usd="1.25", tenant="other")),
        (spend("5", cost_status="subscription"), usual_hours(cost_usd="1.25")),
        (spend(None, cost_status="unpriced"), usual_hours(cost_usd="1.25")),
        (spend("5"), usual_hours()),
        (spend("2"), known_after_hours_without_a_price("1.25", count=30)),
        (spend("5"), known_after_hours_without_a_price("1.25", count=23)),
    ],
    ids=[
        "below twice",
        "little money",
        "short history",
        "old history",
        "of another tenant",
        "subscription",
        "unpriced",
        "history without prices",
        "history that got its price lately",
        "short history with a price",
    ],
)
def test_what_is_no_spike_is_not_found(spent, usual):
    assert findings("cost_spike", calls=spent, feature_hourly=usual) == []


def test_calls_without_a_price_are_told_beside_a_spike():
    spent = calls(
        [
            {"feature": "refund", "cost_usd": "5"},
            {"feature": "refund", "cost_usd": None, "cost_status": "unpriced"},
        ]
    )

    usual = usual_hours(cost_usd="1.25", unpriced_calls=2)

    (found,) = findings("cost_spike", calls=spent, feature_hourly=usual)

    assert found["details"]["unpriced_calls"] == 1
    assert found["details"]["usual_unpriced_calls"] == 60


def prompts(read, *, sent=200_000, **also):
    counts = {"input_tokens": sent, "cache_read_tokens": read}
    return calls([{"feature": "refund", **counts, **also}])


def cached_hours(**also):
    """Return hours whose calls with cache counts read 800 of 1,000 from the cache."""
    told = {"cache_known_input_tokens": 1000, "cache_read_tokens": 800}
    return usual_hours(**{"input_tokens": 1000, **told, **also})


def test_a_feature_whose_cache_is_hit_less_than_half_as_often_is_found():
    (found,) = findings(
        "cache_hit_drop", calls=prompts(60_000), feature_hourly=cached_hours()
    )

    assert (found["value"], found["threshold"]) == (0.3, 0.4)
    assert found["scope"] == {"feature": "refund"}
    assert (found["window_start"], found["window_end"]) == (at(), at(hours=1))
    assert found["details"] == {
        "calls": 1,
        "input_tokens": 200_000,
        "cache_read_tokens": 60_000,
        "usual_rate": 0.8,
        "usual_of_hours": 30,
    }


def test_a_drop_is_found_where_other_calls_tell_no_cache_counts():
    silent = cached_hours(input_tokens=4000)

    (found,) = findings("cache_hit_drop", calls=prompts(60_000), feature_hourly=silent)

    assert (found["value"], found["threshold"]) == (0.3, 0.4)


@pytest.mark.parametrize(
    ("made", "usual"),
    [
        (prompts(80_000), cached_hours()),
        (prompts(0, sent=99_999), cached_hours()),
        (prompts(None), cached_hours()),
        (prompts(0), cached_hours(count=23)),
        (prompts(0), cached_hours(feature="other")),
        (prompts(0), cached_hours(cache_read_tokens=100)),
        (
            prompts(0),
            cached_hours(cache_read_tokens=None, cache_known_input_tokens=None),
        ),
    ],
    ids=[
        "half as often",
        "little input",
        "cache not told",
        "short history",
        "other feature",
        "never hit much",
        "history not told",
    ],
)
def test_what_is_no_drop_is_not_found(made, usual):
    assert findings("cache_hit_drop", calls=made, feature_hourly=usual) == []


@pytest.mark.parametrize(
    ("rule", "first", "more"),
    [
        ("error_rate", calls(attempts(75, 25)), calls(attempts(700, 0))),
        ("latency_p95", answered_in(*[45.0] * 20), answered_in(*[2.0] * 400)),
        ("cache_hit_drop", prompts(60_000), prompts(190_000)),
    ],
    ids=["error_rate", "latency_p95", "cache_hit_drop"],
)
def test_later_calls_of_the_window_take_back_what_was_found(rule, first, more):
    tables = {"feature_hourly": cached_hours()}
    both = pa.concat_tables([first, more])

    assert len(findings(rule, calls=first, **tables)) == 1
    assert findings(rule, calls=both, **tables) == []


@pytest.mark.parametrize(
    ("rule", "made"),
    [
        ("error_rate", calls(attempts(75, 25))),
        ("latency_p95", answered_in(*[45.0] * 20)),
        ("cost_spike", spend("1", "1.5", "2", "0.5")),
        ("cache_hit_drop", prompts(60_000)),
    ],
    ids=["error_rate", "latency_p95", "cost_spike", "cache_hit_drop"],
)
def test_the_order_of_calls_does_not_change_what_hours_show(rule, made):
    hours = cached_hours(cost_usd="1.25")
    turned = made.take(list(reversed(range(made.num_rows))))

    expected = findings(rule, calls=made, feature_hourly=hours)

    assert len(expected) == 1
    assert findings(rule, calls=turned, feature_hourly=hours) == expected
