from decimal import Decimal

import pyarrow as pa
import pytest
from ledger_spans import agent, call, costs_of, span_id_of, table_of, tool, trace_id_of

from rollups.ledger import draft_ledger, finish_ledger, required_fields
from rollups.schema import (
    ARRIVAL_FIELD,
    CHAIN_SCHEMA,
    COST_COLUMNS,
    EXCLUDED_SCHEMA,
    call_schema,
    run_schema,
    tool_call_schema,
)


def finished(*spans, dimensions=()):
    draft = draft_ledger(
        table_of(list(spans), dimensions=dimensions), dimensions=dimensions
    )
    return finish_ledger(draft, costs_of(draft.calls), dimensions=dimensions)


def usd(tokens):
    return Decimal(tokens).scaleb(-6)


SPANS = [
    agent(1, own_feature="f"),
    call(2, 1, at=1, tokens=(1000, 10)),
    tool(3, 1, at=20),
    agent(4, 3, at=21, ms=5),
    call(5, 4, at=22, tokens=(500, 50), ms=2),
    call(6, 1, at=40, tokens=(2000, 20)),
]


@pytest.mark.parametrize("spans", [SPANS, []], ids=["some", "none"])
def test_every_table_has_exactly_its_schema(spans):
    ledger = finished(*spans, dimensions=("team",))

    assert ledger.calls.schema.equals(call_schema(("team",)), check_metadata=True)
    assert ledger.runs.schema.equals(run_schema(("team",)), check_metadata=True)
    assert ledger.tool_calls.schema.equals(
        tool_call_schema(("team",)), check_metadata=True
    )
    assert ledger.excluded.schema.equals(EXCLUDED_SCHEMA, check_metadata=True)
    assert ledger.chains.schema.equals(CHAIN_SCHEMA, check_metadata=True)


def test_a_draft_has_what_pricing_asks_for_and_no_costs():
    draft = draft_ledger(table_of(SPANS))

    names = [name for name in call_schema().names if name not in COST_COLUMNS]
    assert draft.calls.column_names == [*names, ARRIVAL_FIELD.name]


def test_not_null_columns_have_no_nulls():
    ledger = finished(*SPANS, call(9, 8, trace=2, tokens=None, operation=None))

    for table in ledger:
        for field in table.schema:
            if not field.nullable:
                assert table.column(field.name).null_count == 0, field.name


def test_a_run_costs_what_its_calls_cost_and_its_subtree_what_they_all_cost():
    outer, inner = finished(*SPANS).runs.to_pylist()

    assert (outer["cost_usd"], outer["subtree_cost_usd"]) == (usd(3030), usd(3580))
    assert (inner["cost_usd"], inner["subtree_cost_usd"]) == (usd(550), usd(550))


def test_a_sum_of_nothing_priced_is_null():
    unknown = {"request_model": "unknown"}
    spans = [
        agent(1),
        call(2, 1, at=1, **unknown),
        agent(3, 1, at=20),
        call(4, 3, at=21),
    ]

    outer, inner = finished(*spans).runs.to_pylist()

    assert (outer["cost_usd"], outer["subtree_cost_usd"]) == (None, usd(110))
    assert (outer["coverage"], inner["coverage"]) == (0.0, 1.0)


def test_coverage_is_the_share_of_tokens_with_a_price():
    spans = [
        agent(1),
        call(2, 1, at=1, tokens=(70, 5)),
        call(3, 1, at=20, tokens=(20, 5), request_model="unknown"),
    ]

    assert [run["coverage"] for run in finished(*spans).runs.to_pylist()] == [0.75]


def test_a_run_without_tokens_has_no_coverage():
    (run,) = finished(agent(1), call(2, 1, tokens=None)).runs.to_pylist()

    assert run["coverage"] is None
    assert run["cost_usd"] == 0


def test_sums_beyond_64_bits_are_exact():
    most = Decimal("999999.999999999999")
    draft = draft_ledger(
        table_of([agent(1), *(call(2 + k, 1, at=k) for k in range(20))])
    )
    costs = costs_of(draft.calls).set_column(
        0, "cost_usd", pa.array([most] * 20, pa.decimal128(18, 12))
    )

    (run,) = finish_ledger(draft, costs).runs.to_pylist()

    assert run["cost_usd"] == run["subtree_cost_usd"] == 20 * most


def test_a_run_has_the_verdict_of_its_costliest_chain():
    spans = [agent(1, ms=10_000)]
    for k in range(8):
        spans.append(
            call(
                10 + k,
                1,
                at=100 * k,
                tokens=(1000 * (k + 1), 5),
                system_prompt_hash="a",
            )
        )
        spans.append(
            call(30 + k, 1, at=100 * k + 50, tokens=(100, 5), system_prompt_hash="b")
        )

    ledger = finished(*spans)
    first, second = ledger.chains.to_pylist()
    (run,) = ledger.runs.to_pylist()

    assert (first["chain_id"], second["chain_id"]) == (
        f"{span_id_of(1)}/1",
        f"{span_id_of(1)}/2",
    )
    assert (first["quadratic"], second["quadratic"]) == (True, False)
    assert run["quadratic"] is True
    assert run["slope_tokens_per_step"] == first["slope_tokens_per_step"] == 1000.0


def test_calls_are_sorted_by_trace_time_and_span():
    spans = [
        call(3, trace=2, at=0),
        call(2, trace=1, at=5),
        call(1, trace=1, at=5),
        call(9, trace=1, at=1),
    ]

    rows = finished(*spans).calls.to_pylist()

    assert [(row["trace_id"], row["span_id"]) for row in rows] == [
        (trace_id_of(1), span_id_of(9)),
        (trace_id_of(1), span_id_of(1)),
        (trace_id_of(1), span_id_of(2)),
        (trace_id_of(2), span_id_of(3)),
    ]


def test_costs_of_other_calls_are_refused():
    draft = draft_ledger(table_of(SPANS))

    with pytest.raises(ValueError, match="2 rows for 3 calls"):
        finish_ledger(draft, costs_of(draft.calls.slice(1)))


def test_durations_keep_microseconds():
    (row,) = finished(call(1, ms=1.2345)).calls.to_pylist()

    assert row["duration_ms"] == 1.2345


def test_absurd_counts_do_not_stop_the_rest():
    most = 2**63 - 1
    spans = [
        agent(1),
        call(
            2, 1, tokens=(most, most), cache_read_tokens=most, cache_write_tokens=most
        ),
        call(3, 1, at=20, tokens=(most, most)),
    ]
    draft = draft_ledger(table_of(spans))

    assert draft.calls["uncached_input_tokens"].to_pylist() == [0, most]
    assert draft.runs["input_tokens"].to_pylist() == [None]


def test_every_column_that_is_read_is_required():
    table = table_of(SPANS)

    with pytest.raises(ValueError, match="no column name, own_feature"):
        draft_ledger(table.drop_columns(["own_feature", "name"]))
    assert set(table.column_names) == set(required_fields().names)
