"""One round of killing parts of a service under load, and what must hold after it."""

from collections import Counter

from lake_queries import pico_usd, query, stored_spans
from load import Load
from service import wait_until

VICTIMS = ("receive", "drain", "account", "tree")


def kill_round(running, dice, *, seed: int) -> Load:
    """
    Kill every part once, in any order, each while requests are coming in.

    Args:
        running: A service that is up; it is up and has accounted all afterwards.

        dice: Decides who dies when.

        seed: Of the load.

    Returns:
        The load: all of it acknowledged.
    """
    with Load(lambda: running.addresses, seed=seed) as load:
        for victim in dice.sample(VICTIMS, len(VICTIMS)):
            load.wait_for_requests(dice.randint(1, 40))
            if victim == "tree":
                running.kill_tree()
                running.start()
            else:
                wait_until(lambda v=victim: running.kill_role(v), what=f"{victim} runs")
        load.wait_for_requests(dice.randint(1, 40))
        load.finish()
    traces = [run.trace_id for run in load.runs]
    wait_until(
        lambda: not missing_traces(running.lake, traces),
        what="all runs are in the ledger",
    )
    return load


def check_everything_once(lake: str, loads: list[Load]) -> None:
    """Check that lake and ledger have what was sent, each span and dollar once."""
    stored = stored_spans(lake)
    repeats = sum(count > 1 for count in Counter(stored).values())
    assert not repeats, f"{repeats} spans are stored more than once"
    assert sorted(stored) == sorted(i for load in loads for i in load.acknowledged)
    runs = [run for load in loads for run in load.runs]
    assert ledger_totals(lake) == expected_totals(runs)


def missing_traces(lake: str, traces: list[str]) -> set[str]:
    """Return which *traces* have no closed run in the ledger."""
    found = query(lake, "SELECT trace_id FROM runs WHERE closed")
    return set(traces) - {row[0] for row in found}


def ledger_totals(lake: str):
    """Return calls, input tokens and cost by feature and trace; costs in pico-USD."""
    rows = query(
        lake,
        "SELECT trace_id, feature, count(*), sum(input_tokens)::BIGINT, sum(cost_usd)"
        " FROM calls GROUP BY ALL",
    )
    return {
        trace_id: (feature, calls, tokens, pico_usd(cost))
        for trace_id, feature, calls, tokens, cost in rows
    }


def expected_totals(runs):
    """Return what `ledger_totals` must be."""
    return {
        run.trace_id: (run.feature, run.steps, sum(run.input_tokens), run.cost)
        for run in runs
    }
