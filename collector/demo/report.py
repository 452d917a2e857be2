"""The demo's pages: what it did, what it cost, what was found."""

from collections.abc import Sequence

from collector.demo.checks import BUDGET, Check, pico_usd
from collector.demo.endpoint import Webhook
from collector.demo.lake import Row, Seen
from collector.demo.paper import Paper
from collector.demo.workload import AGENTS, usd
from collector.running import Service


def show_title(paper: Paper) -> None:
    """Say what comes."""
    calls = sum(len(agent.steps) for agent in AGENTS)
    spans = sum(agent.spans for agent in AGENTS)
    paper.line(paper.style("spanledger demo", "bold"))
    paper.line(
        f"  workload   {len(AGENTS)} agents, {calls} LLM calls, {spans} spans"
        " by the OpenTelemetry SDK, no cost on any of them"
    )


def show_service(paper: Paper, service: Service) -> None:
    """Say where the service listens."""
    paper.line(f"  service    OTLP/gRPC {service.grpc}, OTLP/HTTP {service.http}")


def show_lake(paper: Paper, seen: Seen) -> None:
    """Show the rollups and the verdicts."""
    _show_features(paper, seen.features)
    _show_steps(paper, seen.steps)
    _show_traces(paper, seen.traces)
    _show_verdicts(paper, seen.verdicts)


def _money(row: Row, column: str = "cost_usd") -> str:
    amount = pico_usd(row[column])
    return "unknown" if amount is None else usd(amount)


def _show_features(paper: Paper, rows: list[Row]) -> None:
    paper.heading("Cost by feature", "lake/rollups/feature_hourly")
    paper.table(
        ("feature", "calls", "input", "of it cached", "output", "cost"),
        [
            (
                row["feature"] or "none",
                f"{row['calls']}",
                f"{row['input_tokens']:,}",
                f"{row['cache_read_tokens'] or 0:,}",
                f"{row['output_tokens']:,}",
                _money(row),
            )
            for row in rows
        ],
    )


def _show_steps(paper: Paper, rows: list[Row]) -> None:
    paper.heading("Input tokens by agent step", "lake/rollups/step_daily")
    most = max((row["input_tokens"] for row in rows), default=1)
    names = list(dict.fromkeys(row["agent_name"] for row in rows))
    for name in names:
        own = [row for row in rows if row["agent_name"] == name]
        paper.line(f"  {name}")
        for row in own:
            bar = paper.bar(row["input_tokens"] / most)
            paper.line(
                f"    step {row['step']:>2}  {row['input_tokens']:>7,}"
                f"  {_money(row):>8}  {bar}"
            )


def _show_traces(paper: Paper, rows: list[Row]) -> None:
    paper.heading("Cost by trace", "lake/rollups/trace")
    paper.table(
        ("trace", "agent", "calls", "input", "cost"),
        [
            (
                row["trace_id"],
                row["agent_name"] or "none",
                f"{row['calls']}",
                f"{row['input_tokens']:,}",
                _money(row),
            )
            for row in rows
        ],
    )


def _show_verdicts(paper: Paper, rows: list[Row]) -> None:
    paper.heading("Context growth", "lake/runs")
    for row in rows:
        if not row["quadratic"]:
            shape = row["growth_shape"] or "insufficient"
            paper.line(f"  {row['agent_name']}: {paper.style(shape, 'green')}")
            continue
        share = row["resent_tokens"] / row["input_tokens"]
        verdict = paper.style(f"quadratic, {row['growth_shape']}", "red", "bold")
        paper.line(
            f"  {row['agent_name']}: {verdict}"
            f" (exponent {row['growth_exponent']:.2f},"
            f" {row['slope_tokens_per_step']:,.0f} tokens more with every step)"
        )
        paper.line(
            f"    {share:.0%} of its input is history sent again:"
            f" {_money(row, 'resent_usd')} of {_money(row)}"
        )


def show_webhooks(paper: Paper, webhooks: Sequence[Webhook]) -> None:
    """Show what arrived at the endpoint."""
    paper.heading("Webhooks received", "Standard Webhooks, signature verified")
    for webhook in sorted(webhooks, key=lambda item: str(item.body.get("type"))):
        mark = (
            paper.style("signed", "green")
            if webhook.is_signed
            else paper.style("NOT SIGNED", "red")
        )
        paper.line(f"  {mark}  {webhook.body['type']}  {_summary(webhook)}")


def _summary(webhook: Webhook) -> str:
    data = webhook.body["data"]
    scope, details = data["scope"], data["details"]
    if webhook.body["type"] == BUDGET:
        return (
            f"{data['severity']}: budget {scope['budget']} at {data['value']:.0f} %"
            f" of ${float(details['limit']):.2f} a {details['period']}"
        )
    subject = scope.get("agent_name") or scope.get("trace_id", "")
    return f"{data['severity']}: {subject} after {details.get('steps')} steps"


def show_end(paper: Paper, checks: Sequence[Check], seconds: float) -> None:
    """Say that every number is right."""
    total = sum(agent.total_cost for agent in AGENTS)
    paper.line()
    paper.line(
        paper.style("All right: ", "green", "bold")
        + f"{len(checks)} numbers equal the workload's own arithmetic to the"
        f" pico-dollar, {usd(total)} in all; {seconds:.0f} s."
    )
