"""What `judge_chains` promises about whole tables."""

from decimal import Decimal

import pyarrow as pa
import pytest
from growth_rows import one_chain

from rollups.growth import judge_chains
from rollups.growth.chains import SIDE_OPERATIONS, TOTAL_OPERATION
from rollups.ledger.rows import AGGREGATE_OPERATION
from rollups.ledger.steps import ASIDE_OPERATIONS
from rollups.schema import CHAIN_SCHEMA, tool_call_schema


def test_the_worked_example_charges_fetch_with_what_it_made_others_carry():
    calls, tools = one_chain(
        [2000, 2500, 20_500, 20_600, 20_700],
        [
            {"at": 0, "tool_name": "search", "result_tokens": 400},
            {"at": 1, "tool_name": "fetch", "result_tokens": 17_900},
        ],
    )

    chains, results, _ = judge_chains(calls, tools)

    assert chains["jump_steps"].to_pylist() == [[3]]
    assert chains["jump_tool"].to_pylist() == ["fetch"]
    assert results["tool_name"].to_pylist() == ["search", "fetch"]
    assert results["carried_tokens"].to_pylist() == [1200, 35_800]
    assert results["carried_steps"].to_pylist() == [3, 2]


def test_money_of_a_chain_is_exact():
    calls, tools = one_chain(
        [1000, 2000, 3000],
        [{"at": 0, "result_tokens": 1000}, {"at": 1, "result_tokens": 1000}],
    )

    chains, results, _ = judge_chains(calls, tools)

    assert chains["resent_tokens"].to_pylist() == [1000]
    assert chains["resent_usd"].to_pylist() == [Decimal("0.003")]
    assert results["carried_usd"].to_pylist() == [Decimal("0.003"), Decimal(0)]


def test_output_has_the_schemas_of_the_contract():
    verdicts = judge_chains(*one_chain([1000, 2000], [{"at": 0, "result_tokens": 9}]))

    assert verdicts.chains.schema.equals(CHAIN_SCHEMA)
    assert verdicts.tool_calls.schema.equals(tool_call_schema())


def test_no_rows_give_no_verdicts():
    verdicts = judge_chains(*one_chain([]))

    assert verdicts.chains.num_rows == 0
    assert verdicts.tool_calls.num_rows == 0


def test_columns_beyond_the_schema_pass_through():
    calls, tools = one_chain([1000, 2000], [{"at": 0, "result_tokens": 9}])
    tools = tools.append_column("team", pa.array(["search"]))

    verdicts = judge_chains(calls, tools)

    assert verdicts.tool_calls["team"].to_pylist() == ["search"]


def test_chains_come_in_the_order_of_their_keys():
    calls, tools = one_chain([1000] * 4)
    at = calls.schema.get_field_index("chain_id")
    field = calls.schema.field(at)
    named = calls.set_column(at, field, pa.array(["b", "a", "c", "a"]))

    chains = judge_chains(named, tools).chains

    assert chains["chain_id"].to_pylist() == ["a", "b", "c"]
    assert chains["calls"].to_pylist() == [2, 1, 1]


def test_a_chain_without_counts_has_a_row_and_unknown_tokens():
    calls, tools = one_chain([None, None], [{"at": 0, "result_tokens": 9}])

    chains, results, _ = judge_chains(calls, tools)

    row = chains.to_pylist()[0]
    assert (row["calls"], row["growth_shape"]) == (2, "insufficient")
    assert row["resent_tokens"] is None
    assert row["resent_usd"] is None
    assert row["growth_exponent"] is None
    assert results["carried_tokens"].to_pylist() == [None]


def test_a_tool_of_no_chain_has_no_carry():
    calls, tools = one_chain([1000, 2000], [{"at": 0, "chain_id": "elsewhere"}])

    results = judge_chains(calls, tools).tool_calls

    assert results["carried_tokens"].to_pylist() == [None]
    assert results["carried_usd"].to_pylist() == [None]


@pytest.mark.parametrize("operation", ["embeddings", "aggregate"])
def test_embeddings_and_run_totals_are_no_part_of_the_conversation(operation):
    sizes = [1000, 50, 2000, 50, 3000]
    aside = {"operation": operation, "step": None, "step_source": None}

    chains = judge_chains(*one_chain(sizes, changes={1: aside, 3: aside})).chains

    alone = judge_chains(*one_chain([1000, 2000, 3000])).chains
    assert chains["calls"].to_pylist() == [3]
    assert chains["excess_tokens"].to_pylist() == alone["excess_tokens"].to_pylist()


def test_a_booked_run_total_is_on_no_curve():
    total = {"operation": "aggregate", "step": None, "step_source": None}

    (row,) = judge_chains(
        *one_chain([90_000, 1000, 2000], changes={0: total})
    ).chains.to_pylist()

    assert (row["calls"], row["first_input_tokens"]) == (2, 1000)
    assert (row["excess_tokens"], row["waste_tokens"]) == (1000, 0)


def test_a_chain_has_the_identity_of_its_first_call_in_any_order():
    names = {0: {"agent_name": "first", "feature": "refund"}, 1: {"agent_name": "b"}}
    calls, tools = one_chain([1000, 2000, 3000], changes=names)

    (row,) = judge_chains(calls.take([2, 1, 0]), tools).chains.to_pylist()

    assert (row["agent_name"], row["feature"]) == ("first", "refund")


def test_the_ledger_and_the_detector_agree_on_what_is_aside():
    assert SIDE_OPERATIONS == ASIDE_OPERATIONS
    assert TOTAL_OPERATION == AGGREGATE_OPERATION


def test_absurd_counts_and_costs_do_not_raise():
    huge = {
        "input_tokens": 2**62,
        "output_tokens": 2**62,
        "cache_read_tokens": 2**62,
        "cost_usd": Decimal("999999.999999999999"),
        "input_cost_usd": Decimal("999999.999999999999"),
    }
    tools = [
        {"at": 0, "result_tokens": 2**62},
        {"at": 1, "result_bytes": 2**62},
        {"at": 2},
    ]
    tables = one_chain([0] * 20, tools, changes=dict.fromkeys(range(1, 20, 2), huge))

    chains = judge_chains(*tables).chains

    assert chains["calls"].to_pylist() == [20]


def test_dollars_beyond_the_range_of_integers_are_unknown():
    cost = {"input_cost_usd": Decimal(900_000), "cost_usd": Decimal(900_000)}
    tables = one_chain([1000, *[9000] * 20], changes=dict.fromkeys(range(21), cost))

    chains = judge_chains(*tables).chains

    assert chains["resent_tokens"].to_pylist() == [19 * 8000]
    assert chains["resent_usd"].to_pylist() == [None]
