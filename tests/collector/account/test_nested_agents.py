"""Agents below agents, whose spans arrive one by one and in any order."""

import random

import pytest
from otlp_requests import request, span
from workshop import Workshop

from collector.account.rebuild import rebuild

SONNET = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
}


def agent(span_id, parent, name):
    told = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}
    return span(span_id, parent, name=f"invoke_agent {name}", attributes=told)


def chat(span_id, parent, input_tokens):
    told = {
        "gen_ai.usage.input_tokens": input_tokens,
        "gen_ai.usage.output_tokens": 10,
    }
    return span(span_id, parent, name="chat", attributes=SONNET | told)


SPANS = [
    agent(1, None, "lead"),
    chat(2, 1, 100),
    agent(3, 1, "web"),
    chat(4, 3, 1000),
    agent(5, 3, "reader"),
    chat(6, 5, 3000),
    agent(7, 1, "files"),
    chat(8, 7, 2000),
]


@pytest.mark.parametrize("seed", range(3))
def test_trees_of_agents_cost_the_same_in_whatever_order_their_spans_arrive(
    tmp_path, seed
):
    shuffled = SPANS[:]
    random.Random(seed).shuffle(shuffled)
    with Workshop(tmp_path / "whole", rollups=False, rules=False) as shop:
        shop.run(request(*SPANS))
        expected = shop.published()["runs"]
    with Workshop(tmp_path / "one by one", rollups=False, rules=False) as shop:
        for one in shuffled:
            shop.send(request(one))
            shop.drain_all()
            shop.account.tick(publish=False)
        shop.account_all()
        one_by_one = shop.published()["runs"]
        rebuild(shop.settings)
        rebuilt = shop.published()["runs"]

    assert one_by_one == rebuilt == expected
    cost = {row["agent_name"]: row["cost_usd"] for row in expected}
    whole = {row["agent_name"]: row["subtree_cost_usd"] for row in expected}
    assert whole["web"] == cost["web"] + cost["reader"]
    assert whole["lead"] == sum(cost.values())
