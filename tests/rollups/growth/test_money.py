"""Dollars of history at each call's own rates, exact to the pico-dollar."""

import itertools
from decimal import Decimal
from pathlib import Path

import pytest
from growth_rows import one_chain, read_runs, tables_of
from hypothesis import given, settings
from hypothesis import strategies as st

from rollups.growth import judge_chains

RUNS = read_runs(Path(__file__).parents[2] / "fixtures" / "growth" / "runs.jsonl.gz")
KINDS = ("result", "output", "other")
COUNTS = st.one_of(st.none(), st.integers(0, 50_000))
USD = st.one_of(st.none(), st.decimals(0, 10, places=12))


@st.composite
def chains(draw):
    """Return one chain whose counts, prices and results may be anything or unknown."""
    sizes = draw(st.lists(COUNTS, min_size=1, max_size=12))
    results = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "at": st.integers(0, len(sizes) - 1),
                    "result_tokens": COUNTS,
                    "result_bytes": COUNTS,
                }
            ),
            max_size=12,
        )
    )
    changes = draw(
        st.dictionaries(
            st.integers(0, len(sizes) - 1),
            st.fixed_dictionaries(
                {
                    "cache_read_tokens": COUNTS,
                    "cache_write_tokens": COUNTS,
                    "input_cost_usd": USD,
                    "cache_read_cost_usd": USD,
                    "cache_write_cost_usd": USD,
                    "error_type": st.sampled_from([None, None, "timeout"]),
                }
            ),
        )
    )
    return one_chain(sizes, results, out=draw(st.integers(0, 3000)), changes=changes)


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


def by_chain(rows, column):
    """Return the sum of a column per chain; unknown if one row's is."""
    sums = {}
    for row in rows:
        key = (row["trace_id"], row["run_id"], row["chain_id"])
        value, total = row[column], sums.get(key, 0)
        sums[key] = None if value is None or total is None else total + value
    return sums


def assert_balanced(tables):
    """Assert that what chains, results and calls say adds up to the last unit."""
    verdicts = judge_chains(*tables)
    chains = verdicts.chains.to_pylist()
    counted = [
        row for row in verdicts.calls.to_pylist() if row["new_tokens"] is not None
    ]
    for unit in ("tokens", "usd"):
        of_results = by_chain(verdicts.tool_calls.to_pylist(), f"carried_{unit}")
        of_calls = by_chain(counted, f"resent_{unit}")
        for chain in chains:
            key = (chain["trace_id"], chain["run_id"], chain["chain_id"])
            total = chain[f"resent_{unit}"]
            parts = [chain[f"carried_{kind}_{unit}"] for kind in KINDS]
            assert of_calls.get(key) == total
            assert (total is None) == any(part is None for part in parts)
            if total is not None:
                assert sum(parts) == total
                assert min(parts) >= 0
                assert of_results.get(key, 0) == chain[f"carried_result_{unit}"]
    for row in counted:
        assert row["new_tokens"] + row["resent_tokens"] <= row["input_tokens"]
    known = [
        row
        for row in verdicts.tool_calls.to_pylist()
        if row["first_sent_tokens"] is not None
    ]
    first = by_chain(known, "first_sent_tokens")
    for key, new in by_chain(counted, "new_tokens").items():
        assert first.get(key, 0) <= new


@pytest.mark.parametrize("run", RUNS, ids=[run["run_id"] for run in RUNS])
def test_the_books_of_recorded_runs_balance(run):
    assert_balanced(tables_of([run]))


def test_the_books_of_many_runs_balance_at_once():
    assert_balanced(tables_of(RUNS))


@settings(max_examples=60, deadline=None)
@given(chains())
def test_the_books_of_any_chain_balance_to_the_token_and_the_pico_dollar(tables):
    assert_balanced(tables)


def test_results_that_explain_everything_carry_all_tokens_and_dollars():
    sizes = [1000, 1333, 2000, 2777, 3999]
    results = [
        {"at": at, "result_tokens": after - before}
        for at, (before, after) in enumerate(itertools.pairwise(sizes))
    ]

    chains, rows, _ = judge_chains(*one_chain(sizes, results))

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

    chains, results, _ = judge_chains(*tables)

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


def test_what_a_result_cost_first_and_again_is_what_its_tokens_cost():
    sizes = [2000, 2500, 20_500, 20_600, 20_700]
    tables = one_chain(
        sizes,
        [{"at": 0, "result_tokens": 400}, {"at": 1, "result_tokens": 17_900}],
        out=100,
    )

    search, fetch = judge_chains(*tables).tool_calls.to_pylist()

    rate = Decimal("0.000003")
    assert (search["first_sent_tokens"], search["carried_tokens"]) == (400, 1200)
    assert (fetch["first_sent_tokens"], fetch["carried_tokens"]) == (17_900, 35_800)
    assert fetch["first_sent_usd"] == 17_900 * rate
    assert fetch["carried_usd"] == 35_800 * rate


def test_a_result_that_is_written_to_the_cache_costs_what_writes_cost():
    changes = {1: cached(read=1000, written=1000, plain=0)}

    _, tools, _ = judge_chains(
        *one_chain([1000, 2000], [{"at": 0, "result_tokens": 1000}], changes=changes)
    )

    assert tools["first_sent_usd"].to_pylist() == [1000 * Decimal("0.00000375")]


def test_a_result_before_the_first_call_is_in_the_first_prompt():
    before = {"at": 0, "result_tokens": 600, "timestamp": 0, "step": None}

    _, tools, _ = judge_chains(*one_chain([1000, 1500], [before]))

    row = tools.to_pylist()[0]
    assert (row["first_sent_tokens"], row["carried_tokens"]) == (600, 0)
    assert row["first_sent_usd"] == 600 * Decimal("0.000003")


def test_what_a_result_of_unknown_size_is_of_the_first_prompt_is_unknown():
    before = {"at": 0, "timestamp": 0, "step": None}

    _, tools, _ = judge_chains(*one_chain([1000, 1500], [before]))

    row = tools.to_pylist()[0]
    assert (row["result_tokens"], row["first_sent_tokens"]) == (None, None)
    assert (row["first_sent_usd"], row["carried_tokens"]) == (None, 0)


def test_a_result_that_no_call_has_sent_yet_cost_nothing():
    _, tools, _ = judge_chains(*one_chain([1000], [{"at": 0, "result_tokens": 600}]))

    row = tools.to_pylist()[0]
    assert (row["first_sent_tokens"], row["first_sent_usd"]) == (0, 0)


def test_calls_say_what_they_sent_first_and_again():
    failed = {"error_type": "timeout", "step": None}
    tables = one_chain([1000, 1500, 1500, 2100], changes={1: failed})

    calls = judge_chains(*tables).calls.to_pylist()

    sent = [(row["new_tokens"], row["resent_tokens"]) for row in calls]
    assert sent == [(1000, 0), (None, None), (500, 0), (600, 500)]
    assert calls[3]["resent_usd"] == 500 * Decimal("0.000003")
    assert [row["waste_reason"] for row in calls] == [None, "failed", None, None]


def test_calls_say_why_they_bought_nothing():
    loop = [
        {"at": at, "arguments_hash": "a", "result_hash": "a", "result_tokens": 0}
        for at in range(5)
    ]
    again = {"step": 5, "step_source": "own"}

    calls = judge_chains(
        *one_chain([1000] * 7, loop, changes={6: again, 5: again})
    ).calls.to_pylist()

    assert [row["waste_reason"] for row in calls] == [
        *[None] * 2,
        *["loop"] * 3,
        None,
        "repeat",
    ]
