"""A lake with one agent run of two calls, told the way real senders tell it."""

from datetime import UTC, datetime, timedelta

from lake_builder import build_lake, spans
from ledger_rows import calls, excluded, runs, tool_calls

TRACE = "a" * 32
ROOT, FIRST, SECOND, TWIN, TOOL = ("0" * 15 + digit for digit in "12345")


def recent():
    """Return a moment a while ago, on the full second."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


def agent_tables(start):
    """
    Return the tables of the run.

    Only the root has ``app.feature``, no span has a cost. The first call was sent
    twice, the second has a twin that the ledger excludes.
    """
    here = {"trace_id": TRACE, "timestamp": start}
    chat = {**here, "parent_span_id": ROOT, "name": "chat claude", "is_call": True}
    first = {
        **chat,
        "span_id": FIRST,
        "attributes": {"gen_ai.agent.step": "0", "gen_ai.usage.input_tokens": "10"},
    }
    sent = [
        {
            **here,
            "span_id": ROOT,
            "name": "invoke_agent triage",
            "attributes": {"app.feature": "refund", "odd.key": "odd", "team": "blue"},
            "resource_attributes": {"service.name": "shop"},
        },
        first,
        {**first, "received_unix_nano": 10**18},
        {**here, "span_id": TOOL, "parent_span_id": ROOT, "name": "execute_tool fetch"},
        {**chat, "span_id": SECOND},
        {**chat, "span_id": TWIN, "parent_span_id": SECOND, "name": "POST /v1"},
    ]
    run = {**here, "run_id": ROOT, "feature": "refund"}
    ledger = {**run, "chain_id": ROOT}
    bill = {**ledger, "provider": "anthropic", "request_model": "claude"}
    return {
        "spans": spans(sent),
        "calls": calls(
            [
                {
                    **bill,
                    "span_id": FIRST,
                    "step": 0,
                    "input_tokens": 3500,
                    "uncached_input_tokens": 500,
                    "cache_read_tokens": 3000,
                    "output_tokens": 100,
                    "cost_usd": "0.25",
                    "input_cost_usd": "0.05",
                    "cache_read_cost_usd": "0.03",
                    "output_cost_usd": "0.17",
                    "price_version": "book1",
                },
                {
                    **bill,
                    "span_id": SECOND,
                    "step": 1,
                    "input_tokens": 4500,
                    "output_tokens": 100,
                    "cost_usd": "0.5",
                },
            ]
        ),
        "excluded": excluded(
            [
                {**here, "span_id": FIRST, "reason": "retransmitted"},
                {
                    **here,
                    "span_id": TWIN,
                    "reason": "twin",
                    "billed_trace_id": TRACE,
                    "billed_span_id": SECOND,
                },
            ]
        ),
        "runs": runs([{**run, "calls": 2}]),
        "tool_calls": tool_calls([{**ledger, "span_id": TOOL, "tool_name": "fetch"}]),
    }


def build_agent_lake(root, start=None):
    """Write the run's lake below *root*; return where."""
    return build_lake(root, **agent_tables(start or recent()))
