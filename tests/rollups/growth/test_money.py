"""Dollars of history at each call's own rates, exact to the pico-dollar."""

import itertools
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from growth_rows import one_chain, read_runs, tables_of

from rollups.growth import judge_chains
from rollups.growth.carry import attribute, measure_resent
from rollups.growth.chains import read_conversations
from rollups.growth.money import carried_usd, price_resent, resent_usd
from rollups.growth.results import match_results, size_results
from rollups.growth.shape import find_steps

RUNS = read_runs(Path(__file__).parents[2] / "fixtures" / "growth" / "runs.jsonl.gz")


def judge(sizes, results=(), **options):
    return judge_chains(*one_chain(sizes, results, **options)).chains.to_pylist()[0]


def cached(*, read, written=0, plain):
    return {
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "input_cost_usd": plain * Decimal("0.000003"),
        "cache_read_cost_usd": read * Decimal("0.0000003"),
        "cache_write_cost_usd": written * Decimal("0.00000375"),
    }


def test_items_of_every_chain_add_up_to_what_it_sent_again():
    calls, tools = tables_of(RUNS)
    conversations = read_conversations(calls, tools)
    curve = conversations.curve
    asked = match_results(calls, tools, conversations.keys, curve)
    sizes = size_results(tools, asked, curve)
    steps = find_steps(curve.segments, curve.input_tokens, sizes.known)
    resent = measure_resent(curve, steps.change, sizes)

    carried = attribute(curve, resent, asked, sizes)
    usd = resent_usd(curve, price_resent(calls, curve, resent))
    by_result = carried_usd(curve, asked, carried, usd)

    items = carried.items.segments
    total = curve.segments.sums(resent.resent)
    assert items.sums(carried.shares).tolist() == total.tolist()
    assert (carried.shares >= 0).all()
    spread = np.bincount(
        curve.segments.owner[asked.enters[asked.enters >= 0]],
        by_result.pico_usd[asked.enters >= 0],
        minlength=len(total),
    )
    assert (spread <= usd.pico_usd).all()


def test_results_that_explain_everything_carry_all_tokens_and_dollars():
    sizes = [1000, 1333, 2000, 2777, 3999]
    results = [
        {"at": at, "result_tokens": after - before}
        for at, (before, after) in enumerate(itertools.pairwise(sizes))
    ]

    chains, rows = judge_chains(*one_chain(sizes, results))

    chain = chains.to_pylist()[0]
    assert sum(rows["carried_tokens"].to_pylist()) == chain["resent_tokens"]
    assert sum(rows["carried_usd"].to_pylist()) == chain["resent_usd"]


def test_history_read_from_the_cache_costs_what_reads_cost():
    changes = {2: cached(read=2000, plain=1000)}

    row = judge([1000, 2000, 3000], changes=changes)

    assert row["resent_tokens"] == 1000
    assert row["resent_usd"] == 1000 * Decimal("0.0000003")


def test_history_may_be_read_written_and_plain_in_one_call():
    changes = {2: cached(read=1400, written=300, plain=1300)}

    row = judge([1000, 2000, 3000], changes=changes)

    expected = (
        400 * Decimal("0.0000003")
        + 300 * Decimal("0.00000375")
        + 300 * Decimal("0.000003")
    )
    assert row["resent_usd"] == expected


def test_dollars_that_do_not_divide_are_rounded_down_to_a_pico_dollar():
    third = {"input_cost_usd": Decimal("0.000000000001"), "cost_usd": Decimal("1e-12")}

    row = judge([1000, 2000, 3000], changes={2: third})

    assert row["resent_usd"] == 0


def test_an_unknown_price_leaves_dollars_unknown_and_tokens_known():
    tables = one_chain(
        [1000, 2000, 3000],
        [{"at": 0, "result_tokens": 1000}, {"at": 1, "result_tokens": 1000}],
        changes={2: {"input_cost_usd": None}},
    )

    chains, results = judge_chains(*tables)

    assert chains["resent_tokens"].to_pylist() == [1000]
    assert chains["resent_usd"].to_pylist() == [None]
    assert results["carried_usd"].to_pylist() == [None, None]


def test_an_unknown_price_of_a_call_without_history_does_not_matter():
    row = judge([1000, 2000, 3000], changes={0: {"input_cost_usd": None}})

    assert row["resent_usd"] == Decimal("0.003")


@pytest.mark.parametrize("parts", [None, Decimal(0)])
def test_a_lump_sum_does_not_tell_what_history_cost(parts):
    lump = {
        "input_cost_usd": parts,
        "output_cost_usd": parts,
        "other_cost_usd": Decimal("0.5"),
        "cost_usd": Decimal("0.5"),
    }

    assert judge([1000, 2000, 3000], changes={2: lump})["resent_usd"] is None


def test_wasted_dollars_are_those_of_the_wasted_calls():
    failed = {"error_type": "timeout", "step": None, "cost_usd": Decimal("0.25")}

    row = judge([1000, 2000, 2000], changes={1: failed})

    assert row["waste_usd"] == Decimal("0.25")


def test_wasted_dollars_are_unknown_if_a_wasted_call_has_no_price():
    failed = {"error_type": "timeout", "step": None, "cost_usd": None}

    row = judge([1000, 2000, 2000], changes={1: failed | {"cost_status": "unpriced"}})

    assert (row["waste_tokens"], row["waste_usd"]) == (2000, None)


def test_a_jump_wastes_what_its_result_made_later_calls_carry():
    sizes = [2000, 2500, 20_500, 20_600, 20_700]
    results = [{"at": 1, "result_tokens": 17_900}]

    row = judge(sizes, results)

    assert row["waste_tokens"] == 2 * 17_900
    assert row["waste_usd"] == 2 * 17_900 * Decimal("0.000003")


def test_a_jump_in_a_loop_is_not_wasted_twice():
    loop = [
        {"at": at, "arguments_hash": "a", "result_hash": "a", "result_tokens": 0}
        for at in range(1, 8)
    ]
    jump = {"at": 0, "arguments_hash": "b", "result_hash": "b", "result_tokens": 50_000}

    row = judge([1000, *[51_000] * 8], [jump, *loop])

    looping = 5 * 51_000
    assert row["is_loop"] is True
    assert row["waste_tokens"] == looping + 2 * 50_000
