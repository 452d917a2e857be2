from decimal import Decimal

import pytest
from agent_lake import FIRST, SECOND, TOOL, TRACE, TWIN, build_agent_lake
from otlp_requests import request, span
from workshop import Workshop

from collector.errors import QueryError
from collector.query.explain import explain_span
from collector.query.receipt_text import draw_receipt
from collector.query.views import Lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return Lake(str(build_agent_lake(tmp_path_factory.mktemp("lake"))))


def test_the_lines_of_a_receipt_add_up_to_the_cost(lake):
    receipt = explain_span(lake, TRACE, FIRST)

    lines = receipt.lines.to_pylist()
    assert sum(line["cost_usd"] for line in lines) == Decimal("0.25")
    assert [(line["item"], line["tokens"]) for line in lines] == [
        ("uncached input", 500),
        ("cache read", 3000),
        ("output", 100),
    ]
    assert lines[1]["usd_per_mtok"] == 10


def test_a_call_that_was_sent_twice_is_counted(lake):
    document = explain_span(lake, TRACE, FIRST).document()

    assert document["counted"]
    assert document["excluded"] == []


def test_a_twin_is_explained_by_the_call_that_is_billed(lake):
    receipt = explain_span(lake, TRACE, TWIN)

    assert not receipt.document()["counted"]
    assert receipt.call["span_id"] == SECOND
    text = draw_receipt(receipt)
    assert "not billed: twin: another span is the same call" in text
    assert f"billed instead: span {SECOND}" in text


def test_the_text_names_price_book_and_total(lake):
    text = draw_receipt(explain_span(lake, TRACE.upper(), FIRST.upper()))

    assert "price book    book1" in text
    assert "total 0.250000000000 USD" in text


def test_the_text_names_dialect_scope_and_the_keys_that_were_read(lake):
    text = draw_receipt(explain_span(lake, TRACE, FIRST))

    assert "input_tokens          gen_ai.usage.input_tokens = 10" in text
    assert "read as" in text


def test_a_span_that_is_no_call_is_one_line_with_a_hint(lake):
    with pytest.raises(QueryError, match="no call") as caught:
        explain_span(lake, TRACE, TOOL)

    assert "spanledger trace" in caught.value.line()


@pytest.fixture
def explained(tmp_path):
    def explain(attributes, **fields):
        scope = fields.pop("scope", "app")
        chat = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
        chat |= {"gen_ai.request.model": "gpt-4o-mini"}
        with Workshop(tmp_path, rollups=False, rules=False) as shop:
            sent = span(1, name="chat", attributes=chat | attributes, **fields)
            shop.run(request(sent, scope=scope))
            (row,) = shop.stored_spans()
        lake = Lake(str(tmp_path / "lake"))
        return draw_receipt(explain_span(lake, row["trace_id"], row["span_id"]))

    return explain


def test_a_failed_attempt_says_what_it_failed_with_and_has_no_empty_table(explained):
    text = explained({"error.type": "429", "http.request.resend_count": 2})

    assert "failed with   429" in text
    assert "attempt       3" in text
    assert "not_billed: a failed attempt that nobody bills" in text
    assert "(no rows)" not in text


def test_a_reason_is_told_in_words(explained):
    text = explained(
        {"gen_ai.usage.input_tokens": 500, "gen_ai.usage.output_tokens": 1},
        scope="opentelemetry.instrumentation.openai_v2",
    )

    assert "input tokens  500, sent with the cached ones" in text
    assert (
        "cache_unknown upper_bound: the library does not say what was cached, "
        "it cost at most that"
    ) in text


def test_what_a_text_said_is_named_so(explained):
    text = explained({"spanledger.found.input_tokens": 500})

    assert "input_tokens          inside a text = 500" in text


def test_a_receipt_shows_every_product_and_the_tier(tmp_path):
    counts = {
        "gen_ai.usage.input_tokens": 300_000,
        "gen_ai.usage.cache_read.input_tokens": 100_000,
        "gen_ai.usage.output_tokens": 1_000,
    }
    call = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
    }
    with Workshop(tmp_path, rollups=False, rules=False) as shop:
        shop.run(request(span(1, name="chat", attributes=call | counts)))
        (row,) = shop.stored_spans()

        receipt = explain_span(
            Lake(str(tmp_path / "lake")), row["trace_id"], row["span_id"]
        )

    lines = receipt.lines.to_pylist()
    assert [(line["item"], line["tokens"], line["usd_per_mtok"]) for line in lines] == [
        ("uncached input", 200_000, Decimal(6)),
        ("cache read", 100_000, Decimal("0.6")),
        ("output", 1_000, Decimal("22.5")),
    ]
    assert [line["cost_usd"] for line in lines] == [
        Decimal("1.2"),
        Decimal("0.06"),
        Decimal("0.0225"),
    ]
    assert "price tier    above 200,000 tokens of input" in draw_receipt(receipt)
