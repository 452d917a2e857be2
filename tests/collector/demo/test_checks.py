"""The demo's checks: nothing wrong passes, nothing right fails."""

import base64
import copy
import hashlib
import hmac
import io
from decimal import Decimal

import pytest

from collector.demo.checks import BUDGET, GROWTH, check_all
from collector.demo.endpoint import Endpoint, Webhook
from collector.demo.lake import Seen
from collector.demo.paper import Paper
from collector.demo.report import show_lake, show_webhooks
from collector.demo.workload import AGENTS, BUDGET_NAME, GROWING, resent_tokens

TRACES = {agent.name: f"{n:032x}" for n, agent in enumerate(AGENTS, start=1)}
INPUT_USD = Decimal("0.000003")


def usd(pico):
    return Decimal(pico).scaleb(-12)


def totals(agent):
    return {
        "calls": len(agent.steps),
        "input_tokens": sum(step.input_tokens for step in agent.steps),
        "cache_read_tokens": sum(step.cache_read_tokens for step in agent.steps),
        "output_tokens": sum(step.output_tokens for step in agent.steps),
        "cost_usd": usd(agent.total_cost),
    }


def perfect_lake():
    return Seen(
        features=[{"feature": a.feature, **totals(a)} for a in AGENTS],
        steps=[
            {
                "agent_name": agent.name,
                "step": number,
                "calls": 1,
                "input_tokens": step.input_tokens,
                "cost_usd": usd(agent.cost(step)),
            }
            for agent in AGENTS
            for number, step in enumerate(agent.steps)
        ],
        traces=[
            {"trace_id": TRACES[a.name], "agent_name": a.name, **totals(a)}
            for a in AGENTS
        ],
        verdicts=[
            {
                "agent_name": agent.name,
                "quadratic": agent is GROWING,
                "growth_shape": "accreting" if agent is GROWING else "flat",
                "growth_exponent": 2.0,
                "slope_tokens_per_step": 1510.0,
                "input_tokens": totals(agent)["input_tokens"],
                "resent_tokens": resent_tokens(agent),
                "resent_usd": resent_tokens(agent) * INPUT_USD,
                "cost_usd": usd(agent.total_cost),
            }
            for agent in AGENTS
        ],
        prompts=[{"spans": sum(a.spans for a in AGENTS), "with_prompt": 0}],
    )


def webhooks():
    growth = {
        "rule": "context_growth",
        "state": "firing",
        "severity": "warning",
        "scope": {"agent_name": GROWING.name, "trace_id": TRACES[GROWING.name]},
        "details": {"steps": 12},
    }
    budget = {
        "rule": "budget",
        "state": "firing",
        "severity": "critical",
        "scope": {"budget": BUDGET_NAME},
        "value": 120.0,
        "threshold": 100.0,
        "details": {"limit": "0.25", "period": "day"},
    }
    return [
        Webhook("1", True, {"type": GROWTH, "data": growth}),
        Webhook("2", True, {"type": BUDGET, "data": budget}),
    ]


def wrong_places(seen, arrived):
    return [c.place for c in check_all(seen, arrived, TRACES) if not c.is_right]


def test_the_workload_itself_passes():
    assert wrong_places(perfect_lake(), webhooks()) == []


@pytest.mark.parametrize(
    ("table", "row", "column"),
    [
        ("features", 0, "calls"),
        ("features", 1, "cache_read_tokens"),
        ("features", 2, "cost_usd"),
        ("steps", 5, "input_tokens"),
        ("steps", 20, "cost_usd"),
        ("traces", 0, "calls"),
        ("traces", 1, "cost_usd"),
        ("verdicts", 1, "growth_exponent"),
        ("verdicts", 1, "resent_tokens"),
        ("verdicts", 1, "resent_usd"),
        ("prompts", 0, "with_prompt"),
    ],
)
def test_a_number_that_is_off_by_the_least_is_noticed(table, row, column):
    seen = copy.deepcopy(perfect_lake())
    least = Decimal("1E-12") if column.endswith("_usd") else 1
    getattr(seen, table)[row][column] += least

    assert len(wrong_places(seen, webhooks())) == 1


def test_a_cost_that_is_unknown_is_noticed():
    seen = perfect_lake()
    seen.features[0]["cost_usd"] = None

    assert wrong_places(seen, webhooks()) == ["feature search: cost in pico-USD"]


def test_a_row_too_many_is_noticed():
    seen = perfect_lake()
    seen.traces.append({**seen.traces[0], "trace_id": "f" * 32})

    assert wrong_places(seen, webhooks()) == ["traces"]


def test_a_webhook_that_is_missing_doubled_or_not_signed_is_noticed():
    growth, budget = webhooks()

    assert "webhooks" in wrong_places(perfect_lake(), [growth])
    assert "webhooks" in wrong_places(perfect_lake(), [growth, budget, budget])
    unsigned = [growth, budget._replace(is_signed=False)]
    assert wrong_places(perfect_lake(), unsigned) == [
        "webhooks without a good signature"
    ]


def signature(secret, webhook_id, stamp, content):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{webhook_id}.{stamp}.".encode() + content
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def test_the_endpoint_believes_a_good_signature_among_several_and_no_other():
    endpoint = Endpoint()
    good = signature(endpoint.secret, "msg_1", "1700000000", b"{}")

    assert endpoint.take("msg_1", "1700000000", f"v1,old {good}", b"{}")
    assert not endpoint.take("msg_1", "1700000001", good, b"{}")
    assert not endpoint.take("msg_1", "1700000000", good, b"{ }")
    assert not endpoint.take("msg_1", "1700000000", "", b"{}")


def test_attempts_of_one_webhook_count_once():
    endpoint = Endpoint()
    for stamp in ("1", "2"):
        endpoint.take("msg_1", stamp, "", b'{"type": "x"}')

    assert len(endpoint.wait_for({"x"}, 0.0)) == 1


def test_what_is_not_shown_on_a_terminal_has_no_colour():
    page = io.StringIO()
    paper = Paper(page)

    show_lake(paper, perfect_lake())
    show_webhooks(paper, webhooks())

    assert "\x1b" not in page.getvalue()
    assert "quadratic, accreting" in page.getvalue()
    assert "$0.4088" in page.getvalue()
