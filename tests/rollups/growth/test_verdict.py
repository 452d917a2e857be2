"""What `judge_chains` promises about whole tables."""

from decimal import Decimal

import pyarrow as pa
from growth_rows import call_row, call_table, tool_table

from rollups.growth import judge_chains
from rollups.schema import CHAIN_SCHEMA, tool_call_schema


def chain_of(sizes, tools=(), *, out=0):
    """Build one chain: prompt sizes, and (call index, name, tokens) per result."""
    calls = [
        call_row(
            "trace",
            place,
            {"i": place, "c": "main", "in": size, "out": out, "cr": 0, "cw": 0},
        )
        for place, size in enumerate(sizes)
    ]
    rows = [
        {
            "timestamp": calls[at]["timestamp"] + 1000 + place,
            "trace_id": "trace",
            "span_id": f"tool{place:04}",
            "run_id": "trace",
            "chain_id": "main",
            "step": at,
            "tool_name": name,
            "tool_type": "tool",
            "arguments_hash": f"a{place}",
            "result_hash": f"r{place}",
            "result_tokens": tokens,
        }
        for place, (at, name, tokens) in enumerate(tools)
    ]
    return call_table(calls), tool_table(rows)


def test_the_worked_example_charges_fetch_with_what_it_made_others_carry():
    calls, tools = chain_of(
        [2000, 2500, 20_500, 20_600, 20_700],
        [(0, "search", 400), (1, "fetch", 17_900)],
    )

    chains, results = judge_chains(calls, tools)

    assert chains.column("jump_steps").to_pylist() == [[3]]
    assert chains.column("jump_tool").to_pylist() == ["fetch"]
    carried = dict(
        zip(
            results.column("tool_name").to_pylist(),
            results.column("carried_tokens").to_pylist(),
            strict=True,
        )
    )
    assert carried == {"search": 1200, "fetch": 35_800}
    assert results.column("carried_steps").to_pylist() == [3, 2]


def test_money_of_a_chain_is_exact():
    calls, tools = chain_of([1000, 2000, 3000], [(0, "read", 1000), (1, "read", 1000)])

    chains, results = judge_chains(calls, tools)

    assert chains.column("resent_tokens").to_pylist() == [1000]
    assert chains.column("resent_usd").to_pylist() == [Decimal("0.003")]
    assert results.column("carried_usd").to_pylist() == [Decimal("0.003"), Decimal(0)]


def test_output_has_the_schemas_of_the_contract():
    verdicts = judge_chains(*chain_of([1000, 2000], [(0, "read", 900)]))

    assert verdicts.chains.schema.equals(CHAIN_SCHEMA)
    assert verdicts.tool_calls.schema.equals(tool_call_schema())


def test_no_rows_give_no_verdicts():
    verdicts = judge_chains(*chain_of([]))

    assert verdicts.chains.num_rows == 0
    assert verdicts.tool_calls.num_rows == 0


def test_an_unknown_price_leaves_dollars_unknown_and_tokens_known():
    calls, tools = chain_of([1000, 2000, 3000], [(0, "read", 1000), (1, "read", 1000)])
    at = calls.schema.get_field_index("input_cost_usd")
    nulls = pa.nulls(3, calls.schema.field(at).type)

    chains, results = judge_chains(
        calls.set_column(at, calls.schema.field(at), nulls), tools
    )

    assert chains.column("resent_tokens").to_pylist() == [1000]
    assert chains.column("resent_usd").to_pylist() == [None]
    assert results.column("carried_usd").to_pylist() == [None, None]
