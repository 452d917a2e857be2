"""What a budget finds where calls were priced again."""

from datetime import timedelta
from decimal import Decimal

import pyarrow as pa
from budgets import DAILY
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rows import DAY, calls, connect

from rollups.engine import budget_table, run_rule
from rollups.registry import RULES
from rollups.schema import RESTATEMENT_SCHEMA

PICO = Decimal("0.000000000001")
(BUDGET,) = (rule for rule in RULES if rule.name == "budget")


def at(**after):
    return DAY + timedelta(**after)


def restatements(rows):
    filled = [
        {
            "restatement_id": row["known_at"].isoformat(),
            "span_id": "b7ad6b7169203331",
            "cost_status": "priced",
            "price_version": "book",
            **row,
        }
        for row in rows
    ]
    return pa.Table.from_pylist(filled, schema=RESTATEMENT_SCHEMA)


def call(trace_id, cost, **also):
    known = {"span_id": "b7ad6b7169203331", "feature": "refund", "timestamp": at()}
    unpriced = {"cost_status": "unpriced", "cost_reason": "gpu_hour_open"}
    also = also if cost is not None else {**unpriced, **also}
    return {"trace_id": trace_id, "cost_usd": cost, **known, **also}


def again(trace_id, before, after, **also):
    recorded = None if before is None else Decimal(before)
    cost = None if after is None else Decimal(after)
    known_at = also.pop("known_at", at(hours=30))
    costs = {"recorded_cost_usd": recorded, "cost_usd": cost}
    return {"trace_id": trace_id, "known_at": known_at, **costs, **also}


def found(called, restated, *, until=None, budget=DAILY):
    connection = connect(calls=calls(called), restatements=restatements(restated))
    connection.register("budgets", budget_table([budget]))
    given = {"since": at(), "until": until or at(hours=72)}
    rows = run_rule(connection, BUDGET, given).to_pylist()
    return [(row["threshold"], row["trace_id"], row["timestamp"]) for row in rows]


def test_an_hour_of_machines_counts_in_its_day_when_it_is_known():
    called = [call("t1", None), call("t2", None)]
    restated = [again("t1", None, "3"), again("t2", None, "4")]

    assert found(called, []) == []
    assert found(called, restated) == [(50, "t2", at(hours=30))]


def test_what_is_known_later_does_not_move_what_was_found():
    called = [call("t1", "6"), call("t2", "3", timestamp=at(hours=2))]
    before = found(called, [])

    lowered = found(called, [again("t1", "6", "1")])
    raised = found(called, [again("t1", "6", "9")])

    assert before == lowered == [(50, "t1", at()), (80, "t2", at(hours=2))]
    assert raised == [*before, (100, "t1", at(hours=30))]


def test_a_second_restatement_counts_with_what_it_changes_of_the_first():
    restated = [
        again("t1", "1", "4"),
        again("t1", "1", "6", known_at=at(hours=40)),
        again("t1", "1", None, known_at=at(hours=50)),
        again("t1", "1", "8", known_at=at(hours=60)),
    ]

    assert found([call("t1", "1")], restated) == [
        (50, "t1", at(hours=40)),
        (80, "t1", at(hours=60)),
    ]


def test_a_restatement_of_another_cost_than_the_recorded_one_does_not_count():
    assert found([call("t1", "1")], [again("t1", "2", "9")]) == []


def test_what_became_a_subscription_spends_no_budget_from_then_on():
    covered = again("t1", "4", "9", cost_status="subscription", known_at=at(hours=1))
    called = [call("t1", "4"), call("t2", "4", timestamp=at(hours=2))]

    assert found(called, []) == [(50, "t2", at(hours=2)), (80, "t2", at(hours=2))]
    assert found(called, [covered]) == []


def test_what_is_not_yet_known_does_not_count():
    late = again("t1", "1", "9", known_at=at(hours=30))

    assert found([call("t1", "1")], [late], until=at(hours=29)) == []


@given(
    costs=st.lists(
        st.tuples(
            st.integers(0, 10**13),
            st.lists(
                st.tuples(st.integers(0, 300), st.none() | st.integers(0, 2 * 10**13)),
                max_size=3,
                unique_by=lambda change: change[0],
            ),
        ),
        min_size=1,
        max_size=6,
    ),
    limit=st.integers(1, 3 * 10**13),
)
@settings(max_examples=20, deadline=None)
def test_a_budget_agrees_with_adding_up_what_becomes_known(costs, limit):
    called, restated, events = [], [], []
    for index, (cost, changes) in enumerate(costs):
        name, start = f"t{index}", at(minutes=20 * index)
        called.append(call(name, cost * PICO, timestamp=start))
        events.append((start, name, cost))
        known = cost
        for minutes, later in sorted(changes):
            moment = start + timedelta(minutes=minutes, seconds=1)
            after = None if later is None else later * PICO
            restated.append(again(name, cost * PICO, after, known_at=moment))
            events.append((moment, name, (later or 0) - known))
            known = later or 0
    expected = []
    for percent in DAILY["thresholds"]:
        spent = 0
        for moment, name, amount in sorted(events):
            spent += amount
            if amount and spent * 100 >= limit * percent:
                expected.append((percent, name, moment))
                break

    budget = {**DAILY, "limit": format(limit * PICO, "f")}

    assert sorted(found(called, restated, budget=budget)) == sorted(expected)
