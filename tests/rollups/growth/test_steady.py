"""What fluctuates in prompts is no history; what stays is."""

import itertools

import numpy as np
import pytest
from growth_rows import one_chain
from hypothesis import given
from hypothesis import strategies as st

from rollups.growth import judge_chains
from rollups.growth.segments import from_counts
from rollups.growth.steady import steady_prompts

RESULT = 400


def resent(sizes, results, **options):
    tables = one_chain(sizes, results, **options)
    return judge_chains(*tables).chains.to_pylist()[0]["resent_tokens"]


def of_results(sizes):
    return [
        {"at": at, "result_tokens": RESULT, "arguments_hash": f"{at}"}
        for at in range(len(sizes) - 1)
    ]


def replaced(first, calls=24, height=150):
    """Return prompts that accumulate results beside a part replaced at every call."""
    state = [first, *(height * (7 * at % 5 - 2) // 2 for at in range(1, calls))]
    return [3000 + RESULT * at + part for at, part in enumerate(state)]


@pytest.mark.parametrize("first", [-250, -100, 100, 250])
def test_a_first_prompt_above_or_below_the_usual_moves_no_history(first):
    sizes = replaced(first)
    history = sum(RESULT * max(0, at - 1) for at in range(len(sizes)))

    assert resent(sizes, of_results(sizes)) == pytest.approx(history, rel=0.01)


def test_what_is_added_once_after_the_first_prompt_is_history():
    sizes = [1000, 3000, *[3000] * 10]

    assert resent(sizes, []) == 10 * 2000


def test_what_a_user_adds_between_results_is_history():
    turns = {3: 900, 9: 1200, 14: 1000}
    added = [RESULT + turns.get(at, 0) for at in range(20)]
    sizes = list(itertools.accumulate(added, initial=1000))

    assert resent(sizes, of_results(sizes)) == sum(size - 1000 for size in sizes[:-1])


def test_a_cut_stays_where_it_is():
    sizes = [1000, 5000, 9000, 9000, 3000, 3000]
    tables = one_chain(sizes, [{"at": at, "result_tokens": 4000} for at in (0, 1)])

    (again,) = [judge_chains(*tables).calls["resent_tokens"].to_pylist()]

    assert again == [0, 0, 4000, 8000, 2000, 2000]


def test_what_is_added_once_among_fluctuations_is_history_at_once():
    sizes = replaced(0)
    added = [*sizes[:12], *(size + 9000 for size in sizes[12:])]
    before, after = (
        judge_chains(*one_chain(prompts, of_results(prompts))).calls
        for prompts in (sizes, added)
    )

    more = np.subtract(after["resent_tokens"], before["resent_tokens"])

    assert np.abs(more[:13]).max() < 200
    assert np.abs(more[13:] - 9000).max() < 200


def test_sizes_from_bytes_that_are_too_large_are_put_right_by_the_prompt():
    reported = {"at": 0, "result_tokens": 500, "result_bytes": 2000}
    others = [{"at": at, "result_bytes": 2000} for at in range(1, 20)]
    sizes = list(itertools.accumulate([500, *[RESULT] * 19], initial=1000))
    history = sum(size - 1000 for size in sizes[:-1])

    assert resent(sizes, [reported, *others]) == history


def test_first_again_and_new_tokens_fill_every_prompt():
    sizes = replaced(200)
    calls = judge_chains(*one_chain(sizes, of_results(sizes))).calls.to_pylist()

    opening = [
        row["input_tokens"] - row["new_tokens"] - row["resent_tokens"] for row in calls
    ]

    assert opening[0] == 0
    assert all(2600 < size < 3400 for size in opening[1:])


parts = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 900), st.integers(0, 900)),
    min_size=1,
    max_size=20,
)


@given(st.lists(parts, min_size=1, max_size=4))
def test_a_chain_is_as_steady_alone_as_among_others(chains):
    columns = np.array([row for chain in chains for row in chain]).T
    together = steady_prompts(
        from_counts(np.array([len(chain) for chain in chains])),
        columns[0],
        columns[1] + columns[2],
        columns[2],
    )
    alone = [
        steady_prompts(from_counts(np.array([len(chain)])), x, a + r, r)
        for chain in chains
        for x, a, r in [np.array(chain).T]
    ]

    assert together.tolist() == np.concatenate(alone).tolist()
    assert (together >= 0).all()


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=30))
def test_prompts_that_only_grow_as_known_parts_say_are_steady(added):
    known = np.array(added)
    tokens = 1000 + np.cumsum(known) - known[0]

    steady = steady_prompts(from_counts(np.array([len(added)])), tokens, known, known)

    assert steady.tolist() == tokens.tolist()
