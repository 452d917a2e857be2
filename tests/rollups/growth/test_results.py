"""Which call asked for a result, how large it is, and how long it was carried."""

import itertools

import pytest
from growth_rows import one_chain

from rollups.growth import judge_chains


def results_of(sizes, results, **options):
    return judge_chains(*one_chain(sizes, results, **options)).tool_calls.to_pylist()


def test_a_reported_size_is_taken_as_it_is():
    (row,) = results_of([1000, 1500], [{"at": 0, "result_tokens": 400}])

    assert (row["result_tokens"], row["result_tokens_source"]) == (400, "reported")


def measured(sizes):
    return [{"at": at, "result_bytes": size} for at, size in enumerate(sizes)]


def contexts(changes, first=1000):
    return list(itertools.accumulate(changes, initial=first))


BYTES = [300 * (1 + 7 * k % 10) for k in range(20)]


def test_bytes_become_tokens_by_the_chains_own_ratio():
    rows = results_of(
        contexts(size // 3 + 10 for size in BYTES), measured(BYTES), out=10
    )

    assert [row["result_tokens"] for row in rows] == pytest.approx(
        [size / 3 for size in BYTES], rel=0.02
    )
    assert {row["result_tokens_source"] for row in rows} == {"size"}


def test_what_is_added_or_dropped_at_every_step_does_not_change_the_ratio():
    for beside in (500, -500):
        changes = [size // 3 + beside for size in BYTES]
        rows = results_of(contexts(changes, 99_000), measured(BYTES))

        assert rows[0]["result_tokens"] == pytest.approx(BYTES[0] / 3, rel=0.02)


def test_fluctuations_do_not_make_results_larger():
    noisy = [size // 4 + 5000 * (-1) ** k for k, size in enumerate(BYTES)]

    rows = results_of(contexts(noisy, 9000), measured(BYTES))

    assert [row["result_tokens"] for row in rows] == pytest.approx(
        [size / 4 for size in BYTES], rel=0.4
    )


def test_results_that_are_all_that_prompts_grow_by_tell_the_ratio_in_sum():
    state = [0, *(120 * (-1) ** k for k in range(19)), 0]
    sizes = [
        size + part
        for size, part in zip(
            contexts((size // 3 for size in BYTES), 9000), state, strict=True
        )
    ]

    rows = results_of(sizes, measured(BYTES))

    assert [row["result_tokens"] for row in rows] == pytest.approx(
        [size / 3 for size in BYTES], rel=0.05
    )


def test_one_result_of_another_kind_of_text_does_not_change_the_ratio():
    sizes = [7000, *[6000] * 12]

    rows = results_of(contexts([1400, *[1500] * 12]), measured(sizes))

    assert [row["result_tokens"] for row in rows] == pytest.approx(
        [1750, *[1500] * 12], rel=0.02
    )


def test_two_results_tell_little_about_the_ratio():
    (row, _) = results_of([1000, 2000, 2001], measured([1000, 1500]))

    assert row["result_tokens"] == pytest.approx(250, rel=0.5)


def test_bytes_become_tokens_by_reported_results_before_growth():
    rows = results_of(
        [1000, 9000, 9400],
        [
            {"at": 0, "result_bytes": 1000, "result_tokens": 200},
            {"at": 1, "result_bytes": 2000},
        ],
    )

    assert rows[1]["result_tokens"] == 400


def test_bytes_of_a_chain_that_tells_nothing_are_four_to_a_token():
    (row,) = results_of([1000], [{"at": 0, "result_bytes": 1000}])

    assert (row["result_tokens"], row["result_tokens_source"]) == (250, "size")


def test_results_without_a_size_share_what_the_prompt_grew_by():
    rows = results_of(
        [1000, 1511], [{"at": 0, "result_tokens": 100}, {"at": 0}, {"at": 0}], out=10
    )

    assert [row["result_tokens"] for row in rows] == [100, 201, 200]
    assert rows[1]["result_tokens_source"] == "difference"


def test_a_result_without_a_size_is_unknown_until_the_next_prompt():
    (row,) = results_of([1000], [{"at": 0}])

    assert (row["result_tokens"], row["result_tokens_source"]) == (None, None)
    assert (row["carried_tokens"], row["carried_steps"]) == (0, 0)


def test_a_tool_belongs_to_the_last_call_that_started_before_it():
    late = {"at": 0, "result_tokens": 100, "step": None}
    calls, tools = one_chain([1000, 1000, 1100, 1100, 1100], [late])
    start = calls["timestamp"].to_pylist()[1]
    at = tools.schema.get_field_index("timestamp")
    moved = tools.set_column(at, tools.schema.field(at), [[start]])

    (row,) = judge_chains(calls, moved).tool_calls.to_pylist()

    assert (row["carried_steps"], row["carried_tokens"]) == (2, 200)


def test_the_step_of_a_tool_goes_before_its_time():
    late = {"at": 2, "result_tokens": 100, "step": 0}

    (row,) = results_of([1000, 1100, 1100, 1100], [late])

    assert (row["carried_steps"], row["carried_tokens"]) == (2, 200)


def test_what_came_before_the_first_call_is_part_of_the_first_prompt():
    early = {"at": 0, "result_tokens": 100, "timestamp": 0, "step": None}

    (row,) = results_of([1000, 1100, 1200], [early])

    assert (row["result_tokens"], row["carried_tokens"]) == (100, 0)


def test_what_came_before_the_first_call_belongs_to_no_other_chain():
    own = {"at": 0, "result_tokens": 100, "result_bytes": 1000}
    early = {"at": 2, "result_bytes": 1000, "timestamp": 0, "step": None}
    changes = {key: {"chain_id": "next"} for key in (2, 3)}

    rows = results_of([1000, 1100, 2000, 2000], [own, early], changes=changes)

    assert [row["result_tokens"] for row in rows] == [100, 250]


def test_hidden_reasoning_does_not_come_back():
    thinking = {0: {"output_tokens": 900, "reasoning_tokens": 800}}
    tables = one_chain([1000, 1600, 1600], [{"at": 0}], changes=thinking)

    (row,) = judge_chains(*tables).tool_calls.to_pylist()

    assert row["result_tokens"] == 500


@pytest.mark.parametrize(
    ("after_cut", "calls_carried"), [(5000, 6), (3000, 6), (1400, 2)]
)
def test_a_result_is_carried_while_half_of_it_lives(after_cut, calls_carried):
    sizes = [1000, 5000, 5000, 5000, *[after_cut] * 4]

    (row,) = results_of(sizes, [{"at": 0, "result_tokens": 4000}])

    assert row["carried_steps"] == calls_carried


def test_a_cut_shrinks_every_result_alike():
    sizes = [1000, 5000, 9000, 9000, 3000, 3000]
    rows = results_of(
        sizes, [{"at": 0, "result_tokens": 4000}, {"at": 1, "result_tokens": 4000}]
    )

    first, second = (row["carried_tokens"] for row in rows)
    assert first == 4000 + 4000 + 1000 + 1000
    assert second == 4000 + 1000 + 1000
