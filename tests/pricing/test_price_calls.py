import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from price_reference import COUNTS, PARTS
from priced_calls import CALLS_SCHEMA, FLAGS, calls_table, price_one, usd

from pricing import COST_SCHEMA, INPUT_FIELDS, bundled_book, price_calls

BOOK = bundled_book()
GPT_4O = {"provider": "openai", "request_model": "gpt-4o"}
SONNET = {"provider": "anthropic", "request_model": "claude-sonnet-4-5-20250929"}


def status_of(cost: dict) -> tuple[str, str | None]:
    return cost["cost_status"], cost["cost_reason"]


def test_a_million_tokens_cost_the_list_price():
    cost = price_one(BOOK, **GPT_4O, input_tokens=10**6, output_tokens=10**6)

    assert cost["cost_usd"] == usd("12.5")
    assert cost["input_cost_usd"] == usd("2.5")
    assert cost["output_cost_usd"] == usd(10)
    assert status_of(cost) == ("priced", None)


def test_cached_tokens_are_taken_out_of_the_inclusive_input():
    cost = price_one(
        BOOK, **GPT_4O, input_tokens=10**6, cache_read_tokens=10**6, output_tokens=0
    )

    assert cost["input_cost_usd"] == 0
    assert cost["cache_read_cost_usd"] == cost["cost_usd"] == usd("1.25")


def test_one_hour_writes_cost_more_than_five_minute_ones():
    cost = price_one(
        BOOK,
        **SONNET,
        input_tokens=100_000,
        cache_write_tokens=100_000,
        cache_write_1h_tokens=40_000,
        output_tokens=0,
    )

    assert cost["cache_write_cost_usd"] == usd("0.465")


def test_web_searches_are_a_fee_beside_the_tokens():
    cost = price_one(
        BOOK, **SONNET, input_tokens=0, output_tokens=0, web_search_requests=3
    )

    assert cost["other_cost_usd"] == cost["cost_usd"] == usd("0.03")


def test_an_unknown_model_has_no_cost():
    cost = price_one(
        BOOK, provider="openai", request_model="gpt-99", input_tokens=1, output_tokens=1
    )

    assert status_of(cost) == ("unpriced", "unknown_model")
    assert [cost[name] for name in ("cost_usd", *PARTS)] == [None] * 6


def test_a_model_without_a_list_price_is_not_free():
    cost = price_one(
        BOOK,
        provider="gcp.gemini",
        request_model="gemma-3-27b-it",
        input_tokens=1,
        output_tokens=1,
    )

    assert status_of(cost) == ("unpriced", "no_list_price")


def test_a_call_without_counts_has_no_cost():
    assert status_of(price_one(BOOK, **GPT_4O)) == ("unpriced", "no_usage")


def test_a_failed_call_without_usage_costs_nothing():
    cost = price_one(BOOK, **GPT_4O, error_type="timeout")

    assert status_of(cost) == ("not_billed", None)
    assert cost["cost_usd"] == 0


def test_a_failed_call_with_usage_is_billed():
    cost = price_one(
        BOOK, **GPT_4O, error_type="timeout", input_tokens=10**6, output_tokens=0
    )

    assert cost["cost_usd"] == usd("2.5")


def test_a_chat_without_an_output_count_is_a_lower_bound():
    cost = price_one(BOOK, **GPT_4O, operation="chat", input_tokens=10**6)

    assert status_of(cost) == ("partial", "output_unknown lower_bound")
    assert cost["cost_usd"] == usd("2.5")


def test_an_embedding_has_no_output_to_miss():
    cost = price_one(
        BOOK,
        provider="openai",
        request_model="text-embedding-3-small",
        operation="embeddings",
        input_tokens=10**6,
    )

    assert status_of(cost) == ("priced", None)


def test_parts_larger_than_the_whole_make_a_lower_bound():
    cost = price_one(
        BOOK, **SONNET, input_tokens=5, cache_read_tokens=10**6, output_tokens=0
    )

    assert status_of(cost) == ("partial", "usage_inconsistent lower_bound")
    assert cost["cost_usd"] == usd("0.6")


def test_a_negative_count_is_refused():
    cost = price_one(BOOK, **GPT_4O, input_tokens=-1, output_tokens=5)

    assert status_of(cost) == ("unpriced", "usage_invalid")


def test_a_tier_the_list_has_no_price_for_makes_a_bound():
    cost = price_one(
        BOOK,
        provider="azure.ai.openai",
        request_model="gpt-4.1",
        service_tier="priority",
        input_tokens=10**6,
        output_tokens=0,
    )

    assert status_of(cost) == ("partial", "tier_unknown lower_bound")
    assert cost["cost_usd"] == usd(2)


LOST = {"cache_unknown": True, "input_tokens": 5_000, "output_tokens": 0}


def test_lost_cache_reads_make_an_upper_bound():
    lost = price_one(BOOK, **GPT_4O, **LOST)
    told = price_one(BOOK, **GPT_4O, **LOST, cache_read_tokens=0)

    assert status_of(lost) == ("partial", "cache_unknown upper_bound")
    assert status_of(told) == ("priced", None)


def test_lost_cache_writes_make_a_lower_bound_where_they_are_billed():
    call = {"provider": "openai", "cache_read_tokens": 0, **LOST}

    billed = price_one(BOOK, **call, request_model="gpt-6-sol")
    unbilled = price_one(BOOK, **call, request_model="gpt-4o")

    assert status_of(billed) == ("partial", "cache_unknown lower_bound")
    assert status_of(unbilled) == ("priced", None)


def test_lost_reads_and_writes_make_no_bound():
    lost = price_one(BOOK, provider="openai", request_model="gpt-6-sol", **LOST)

    assert status_of(lost) == ("partial", "cache_unknown")


def test_a_lost_cache_beside_exclusive_input_makes_a_lower_bound():
    lost = price_one(BOOK, **GPT_4O, **LOST, usage_convention="exclusive")

    assert status_of(lost) == ("partial", "cache_unknown lower_bound")


def test_counts_of_some_calls_only_make_a_lower_bound():
    call = {**GPT_4O, "input_tokens": 10, "output_tokens": 1}

    part = price_one(BOOK, **call, usage_incomplete=True)

    assert status_of(part) == ("partial", "usage_incomplete lower_bound")


def test_a_cost_of_a_million_dollars_is_out_of_range():
    o1_pro = {"provider": "openai", "request_model": "o1-pro", "output_tokens": 0}
    largest = 6_666_666_666

    fits = price_one(BOOK, **o1_pro, input_tokens=largest)
    exceeds = price_one(BOOK, **o1_pro, input_tokens=largest + 1)

    assert fits["cost_usd"] == usd("999999.9999")
    assert status_of(exceeds) == ("unpriced", "out_of_range")
    assert exceeds["cost_usd"] is None


def test_a_huge_count_neither_wraps_nor_spoils_its_neighbours():
    calls = [
        {**GPT_4O, "input_tokens": 2**63 - 1, "output_tokens": 2**63 - 1},
        {**GPT_4O, "input_tokens": 10**6, "output_tokens": 0},
    ]

    costs = price_calls(calls_table(calls), BOOK).to_pylist()

    assert status_of(costs[0]) == ("unpriced", "out_of_range")
    assert costs[1]["cost_usd"] == usd("2.5")


def test_openrouters_word_goes_before_any_list():
    cost = price_one(
        BOOK,
        provider="openrouter",
        request_model="openai/gpt-4o",
        input_tokens=10**6,
        output_tokens=0,
        reported_cost_usd=Decimal("2.4"),
    )

    assert status_of(cost) == ("reported", None)
    assert cost["cost_usd"] == cost["other_cost_usd"] == usd("2.4")


def test_a_library_s_own_estimate_is_taken_only_where_no_list_has_a_price():
    estimate = Decimal("2.4")
    known = price_one(
        BOOK,
        **GPT_4O,
        input_tokens=10**6,
        output_tokens=0,
        reported_cost_usd=estimate,
    )
    unknown = price_one(BOOK, request_model="my-model", reported_cost_usd=estimate)

    assert known["cost_usd"] == usd("2.5")
    assert (unknown["cost_status"], unknown["cost_usd"]) == ("reported", estimate)


def test_a_reported_zero_is_no_cost():
    cost = price_one(BOOK, request_model="my-model", reported_cost_usd=Decimal(0))

    assert status_of(cost) == ("unpriced", "no_usage")


def test_a_response_model_goes_before_the_model_asked_for():
    cost = price_one(
        BOOK,
        provider="openai",
        request_model="gpt-4o",
        response_model="gpt-4o-mini-2024-07-18",
        input_tokens=10**6,
        output_tokens=0,
    )

    assert cost["cost_usd"] == usd("0.15")


def test_bedrock_is_billed_by_the_profile_asked_for():
    cost = price_one(
        BOOK,
        provider="aws.bedrock",
        request_model="global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        response_model="claude-sonnet-4-5-20250929",
        input_tokens=10**5,
        output_tokens=0,
    )

    assert cost["cost_usd"] == usd("0.3")


def test_without_a_provider_an_unmistakable_name_is_enough():
    cost = price_one(
        BOOK, request_model="claude-opus-5-5", input_tokens=10**6, output_tokens=0
    )

    assert (cost["price_provider"], cost["price_match"]) == ("anthropic", "fallback")


def test_a_call_without_a_timestamp_has_the_price_of_the_list_s_day():
    table = calls_table([{**GPT_4O, "input_tokens": 10**6, "output_tokens": 0}])

    costs = price_calls(table.drop_columns(["timestamp"]), BOOK)

    assert costs["cost_usd"].to_pylist() == [usd("2.5")]


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_table_without_any_column_known_to_us_is_unpriced(rows):
    costs = price_calls(pa.table({"other": range(rows)}), BOOK)

    assert costs.schema == COST_SCHEMA
    assert costs["cost_reason"].to_pylist() == ["no_usage"] * rows


@pytest.mark.parametrize("absent", INPUT_FIELDS)
def test_an_absent_column_is_a_column_of_nulls(absent):
    call = {**GPT_4O, "input_tokens": 2_000, "output_tokens": 5, "operation": "chat"}
    full = calls_table([call | {absent: None}, call | {absent: None}])

    with_nulls = price_calls(full, BOOK)
    without = price_calls(full.drop_columns([absent]), BOOK)

    assert without.equals(with_nulls)


texts = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.sampled_from(["openai", "gpt-4o", "claude-opus-5", "batch", "chat", "azure"]),
)
any_count = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))
any_calls = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            name: any_count
            if name in COUNTS
            else st.decimals(0, 999_999, places=12)
            if name == "reported_cost_usd"
            else st.one_of(
                st.none(),
                st.datetimes(
                    dt.datetime(1, 1, 2),  # noqa: DTZ001 - the strategy adds the zone
                    timezones=st.just(dt.UTC),
                ),
            )
            if name == "timestamp"
            else st.booleans()
            if name in FLAGS
            else texts
            for name in INPUT_FIELDS
        },
    ),
    max_size=4,
)


@settings(deadline=None)
@given(any_calls)
def test_no_data_makes_pricing_raise_and_parts_add_up_to_the_cost(calls):
    costs = price_calls(calls_table(calls), BOOK)

    costs.validate(full=True)
    assert costs.num_rows == len(calls)
    for cost in costs.to_pylist():
        parts = [cost[name] for name in PARTS]
        if cost["cost_status"] == "unpriced":
            assert cost["cost_reason"] is not None
            assert [cost["cost_usd"], *parts] == [None] * 6
        else:
            assert min(parts) >= 0
            assert sum(parts) == cost["cost_usd"]


@settings(deadline=None)
@given(any_calls, st.randoms(use_true_random=False))
def test_calls_are_priced_alike_in_any_order_and_company(calls, source):
    shuffled = source.sample(range(len(calls)), len(calls))
    table = calls_table(calls)

    together = price_calls(table, BOOK).take(pa.array(shuffled, pa.int64()))
    alone = [price_calls(table.slice(place, 1), BOOK) for place in shuffled]

    assert [row for one in alone for row in one.to_pylist()] == together.to_pylist()


def test_chunks_slices_and_dictionaries_do_not_matter():
    calls = [
        {**GPT_4O, "input_tokens": number, "output_tokens": None if number % 3 else 1}
        for number in range(50)
    ]
    table = calls_table(calls)
    words = table.set_column(
        table.schema.get_field_index("provider"),
        "provider",
        pc.dictionary_encode(table["provider"]),
    )
    expected = price_calls(table, BOOK).to_pylist()

    chunked = pa.concat_tables([table.slice(0, 7), table.slice(7, 1), table.slice(8)])

    assert price_calls(chunked, BOOK).to_pylist() == expected
    assert price_calls(words, BOOK).to_pylist() == expected
    assert price_calls(table.slice(5), BOOK).to_pylist() == expected[5:]


def test_more_rows_than_a_block_keep_their_order():
    rows = 150_000
    table = pa.table(
        {
            "provider": pa.repeat("openai", rows),
            "request_model": pa.repeat("gpt-4o", rows),
            "input_tokens": pa.array(range(rows), pa.int64()),
            "output_tokens": pa.repeat(0, rows),
        }
    )

    costs = price_calls(table, BOOK)["cost_usd"]

    assert costs[0].as_py() == 0
    assert costs[rows - 1].as_py() == Decimal(rows - 1) * Decimal("0.0000025")
    assert pc.sum(costs).as_py() == Decimal(rows * (rows - 1) // 2) * Decimal("2.5e-6")


def test_the_schema_of_test_tables_has_every_input_column():
    assert tuple(CALLS_SCHEMA.names) == INPUT_FIELDS


def test_a_rerank_is_billed_by_the_search_without_tokens():
    call = {"provider": "cohere", "operation": "rerank", "request_model": "rerank-v3.5"}

    cost = price_one(bundled_book(), **call)

    assert (cost["cost_usd"], cost["cost_status"]) == (usd("0.002"), "estimated")
