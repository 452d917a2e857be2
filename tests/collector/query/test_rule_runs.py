import json
from decimal import Decimal

import pytest
from lake_builder import build_lake
from ledger_rows import at, calls, chains, runs

from collector.config import BudgetSettings, RuleSettings, Settings
from collector.errors import QueryError
from collector.query.rule_runs import list_rules, try_rules
from collector.query.times import ALWAYS, Period
from rollups.registry import RULES


@pytest.fixture
def data_dir(tmp_path):
    build_lake(
        tmp_path / "lake",
        calls=calls([{"feature": "refund", "cost_usd": "6"}]),
        runs=runs([{"feature": "refund"}]),
        chains=chains(
            [
                {
                    "quadratic": True,
                    "severity": "warning",
                    "growth_exponent": 2.0,
                    "resent_usd": Decimal(1),
                }
            ]
        ),
    )
    return tmp_path


def budget():
    return BudgetSettings(name="spend", limit="10")


def test_rules_are_tried_on_the_lake(data_dir):
    settings = Settings(data_dir=data_dir, budgets=(budget(),))

    tried = try_rules(settings, [], ALWAYS)

    assert tried.findings["rule"].to_pylist() == ["context_growth", "budget"]
    assert tried.failures == ()


def test_only_the_rules_that_are_named_are_tried(data_dir):
    settings = Settings(data_dir=data_dir, budgets=(budget(),))

    tried = try_rules(settings, ["budget"], ALWAYS)

    (scope,) = tried.findings["scope"].to_pylist()
    assert json.loads(scope)["budget"] == "spend"


def test_rules_keep_to_the_period(data_dir):
    period = Period(at(hours=48), at(hours=72))

    assert try_rules(Settings(data_dir=data_dir), [], period).findings.num_rows == 0


def test_a_rule_that_fails_leaves_the_others_running(data_dir):
    folder = data_dir / "rules"
    folder.mkdir()
    (folder / "mine.sql").write_text("SELECT nope FROM calls")
    settings = Settings(data_dir=data_dir, rules=RuleSettings(dir=folder))

    tried = try_rules(settings, [], ALWAYS)

    assert tried.findings["rule"].to_pylist() == ["context_growth"]
    assert len(tried.failures) == 1
    assert tried.failures[0].startswith("rule mine: ")


def test_an_unknown_rule_is_one_line(data_dir):
    with pytest.raises(QueryError, match="no rule 'odd'"):
        try_rules(Settings(data_dir=data_dir), ["odd"], ALWAYS)


def test_the_list_has_parameters_as_they_are_in_force(tmp_path):
    own = RuleSettings(
        disabled=("budget",), parameters={"context_growth": {"threshold": 1.8}}
    )

    listed = list_rules(Settings(rules=own)).to_pylist()

    by_name = {row["rule"]: row for row in listed}
    assert by_name.keys() == {rule.name for rule in RULES}
    assert not by_name["budget"]["enabled"]
    assert dict(by_name["context_growth"]["parameters"]) == {"threshold": 1.8}
