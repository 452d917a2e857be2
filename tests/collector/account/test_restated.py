"""What budgets find when calls were priced again while the service runs, or before."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from otlp_requests import request, span
from priced_lake import book_with
from workshop import Workshop

from collector.account.rebuild import rebuild
from collector.config import BudgetSettings
from collector.query.rule_runs import try_rules
from collector.query.times import ALWAYS
from collector.repricing.reprice import reprice

OWN_HOUR = '[[price]]\nkind = "gpu_hour"\nprovider = "vllm"\nusd_per_hour = 10\n'
BUDGET = BudgetSettings(name="machines", limit="8", thresholds=(100,))


def call(number, start):
    nano = int(start.timestamp()) * 10**9
    return span(
        number,
        trace=number,
        name="chat qwen3",
        start_time_unix_nano=nano,
        end_time_unix_nano=nano + 10**9,
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "vllm",
            "gen_ai.request.model": "qwen3",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 10,
            "app.feature": "refund",
        },
    )


def budget_findings(shop):
    found = [row for row in shop.published()["findings"] if row["rule"] == "budget"]
    return [
        (row["timestamp"], row["window_start"], json.loads(row["details"])["spent"])
        for row in found
    ]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_budget_counts_an_hour_of_machines_when_reprice_has_shared_it(
    tmp_path, is_restarted
):
    now = datetime.now(UTC)
    yesterday = (now - timedelta(days=1)).replace(hour=12, minute=0, second=0)
    with Workshop(tmp_path, budgets=(BUDGET,)) as shop:
        book = book_with(tmp_path, OWN_HOUR)
        shop.books.adopt(book, since_unix_nano=0)
        shop.run(request(*(call(n, yesterday) for n in (1, 2, 3))))
        before = budget_findings(shop)
        done = reprice(shop.settings, ALWAYS, book)
        known_at = done.restatement.known_at
        if is_restarted:
            shop.reopen()
        shop.account_all()
        found = budget_findings(shop)
        shop.account_all()
        again = budget_findings(shop)
        tried = try_rules(shop.settings, ["budget"], ALWAYS).findings.to_pylist()
        rebuild(shop.settings)
        rebuilt = budget_findings(shop)

    day = yesterday.replace(hour=0, microsecond=0)
    assert before == []
    assert found == [(known_at, day, "10.000000000000")]
    assert again == rebuilt == found
    assert [(row["timestamp"], row["window_start"]) for row in tried] == [found[0][:2]]
