"""Rules of the user's own, which may read every view."""

import json
import time
from datetime import UTC, datetime

from agent_runs import Run
from otlp_requests import request
from workshop import Workshop

from collector.account.rebuild import rebuild
from collector.config import RuleSettings
from collector.query.rule_runs import try_rules
from collector.query.times import ALWAYS
from collector.query.views import view_names

HOUR_NANO = 3600 * 10**9
DAY_NANO = 24 * HOUR_NANO


def shop_with(folder, **texts):
    """Return a workshop with rules of the user's, by name."""
    rules = folder / "rules"
    rules.mkdir(parents=True)
    for name, text in texts.items():
        (rules / f"{name}.sql").write_text(text)
    shop = Workshop(folder / "data")
    shop.settings = shop.settings.model_copy(update={"rules": RuleSettings(dir=rules)})
    return shop


def found(shop, rule="mine"):
    """Return scope and value of what a rule found, as it is published."""
    rows = [row for row in shop.published()["findings"] if row["rule"] == rule]
    return [(json.loads(row["scope"]), row["value"]) for row in rows]


def counting(view):
    return f"""
        SELECT
            date_trunc('day', now()) AS timestamp,
            {{'view': '{view}'}} AS scope,
            count(*) AS value,
            0 AS threshold,
            'warning' AS severity,
            MAP {{'hours': $until - $since}} AS details
        FROM {view}
    """


EMPTY = {"excluded", "restatements", "tool_calls", "tool_daily"}


def test_rules_see_every_view(tmp_path):
    run = Run(time.time_ns() - HOUR_NANO, steps=2)
    rules = {view: counting(view) for view in view_names()}
    with shop_with(tmp_path, **rules) as shop:
        shop.run(request(*run.spans()))

        values = {view: found(shop, view) for view in rules}
        failed = found(shop, "rule_failed")

    assert failed == []
    assert all(len(rows) == 1 for rows in values.values())
    rows = {view: value for view, ((_, value),) in values.items()}
    assert {view for view, value in rows.items() if not value} - {"findings"} == EMPTY


WEEKLY = """
    SELECT
        $until AS timestamp,
        date_trunc('day', $until) AS window_start,
        $until AS window_end,
        {'feature': feature} AS scope,
        sum(calls) AS value,
        5 AS threshold,
        'warning' AS severity,
        {'days': count(DISTINCT window_start::DATE)} AS details
    FROM feature_hourly
    WHERE window_start >= $until - INTERVAL 7 DAY
    GROUP BY feature
    HAVING sum(calls) > 5
"""


def test_a_rule_over_rollups_sees_earlier_days_and_is_asked_when_they_are_there(
    tmp_path,
):
    now = time.time_ns()
    with shop_with(tmp_path, mine=WEEKLY) as shop:
        shop.run(request(*Run(now - 3 * DAY_NANO, steps=4).spans()))
        assert found(shop) == []
        shop.run(request(*Run(now - HOUR_NANO, steps=4).spans()))
        expected = found(shop)
        rebuild(shop.settings)
        rebuilt = found(shop)

    assert expected == rebuilt == [({"feature": "refund"}, 8)]


CALLS = """
    SELECT
        {'feature': feature} AS scope,
        count(*) AS value,
        0 AS threshold,
        'warning' AS severity,
        {'days': count(DISTINCT date)} AS details
    FROM calls
    GROUP BY feature
"""


def test_a_rule_sees_the_newest_calls_before_they_are_published(tmp_path):
    now = time.time_ns()
    with shop_with(tmp_path, mine=CALLS) as shop:
        shop.run(request(*Run(now - 3 * DAY_NANO, steps=4).spans()))
        shop.run(request(*Run(now - HOUR_NANO, steps=4).spans()))
        shop.send(request(*Run(now, steps=3).spans()))
        shop.drain_all()
        shop.account.tick(publish=False)
        shop.account._windows.look(datetime.now(UTC), changed=True, at_once=True)
        rows = shop.account.store.window_findings.to_pylist()

    (mine,) = [row for row in rows if row["rule"] == "mine"]
    assert (mine["value"], json.loads(mine["details"])) == (11, {"days": 2})


def test_a_rule_that_is_wrong_is_off_and_the_others_go_on(tmp_path):
    wrong = "SELECT nonsense FROM calls"
    with shop_with(tmp_path, mine=wrong, right=CALLS) as shop:
        shop.run(request(*Run(time.time_ns() - HOUR_NANO, steps=4).spans()))

        rules = found(shop, "right"), found(shop, "rule_failed")
        tried = try_rules(shop.settings, ["mine"], ALWAYS)

    assert rules == ([({"feature": "refund"}, 4)], [({"rule": "mine"}, None)])
    assert len(tried.failures) == 1


def test_a_rule_cannot_read_files_beside_the_lake(tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("value\n1\n")
    prying = f"SELECT * FROM read_csv('{secret}')"
    with shop_with(tmp_path, mine=prying) as shop:
        shop.run(request(*Run(time.time_ns() - HOUR_NANO, steps=4).spans()))

        assert found(shop, "rule_failed") == [({"rule": "mine"}, None)]


def test_a_folder_of_rules_that_is_not_there_is_a_finding(tmp_path):
    shop = shop_with(tmp_path)
    (tmp_path / "rules").rmdir()
    with shop:
        shop.run(request(*Run(time.time_ns() - HOUR_NANO, steps=2).spans()))

        assert found(shop, "rule_failed") == [({"rule": "rules.dir"}, None)]
