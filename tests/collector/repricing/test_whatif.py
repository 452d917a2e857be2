"""What calls would have cost: nothing changed is zero, and everything else adds up."""

import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rows import at
from priced_lake import HALF_PRICE, book_with, priced, priced_lake

from collector.cli import main
from collector.errors import QueryError
from collector.lake.books import Books
from collector.lake.local import LocalTarget
from collector.query.times import ALWAYS, Period
from collector.repricing.swaps import Swap, Where, parse_swap, parse_where
from collector.repricing.whatif import Question, ask_what_if, text_columns
from pricing import bundled_book

COLUMNS = ("feature", "tenant", "agent_name", "provider")
FREE = '[[price]]\nmodel = "gpt-4o"\nkind = "free"\nsource = "gift"\n'
SONNET = {
    "provider": "anthropic",
    "request_model": "claude-sonnet-4-5",
    "response_model": "claude-sonnet-4-5-20250929",
}


def ask(stored, *swaps, period=ALWAYS, **question):
    parsed = tuple(parse_swap(swap, COLUMNS) for swap in swaps)
    return ask_what_if(stored, Question(parsed, **question), period)


def by_step(answer):
    return {
        row["step"]: row["difference_usd"] for row in answer.differences.to_pylist()
    }


def usd(text):
    return Decimal(text)


@pytest.fixture
def stored(tmp_path):
    """Return a lake of gpt-4o calls, $0.0035 each, and one that no book knows."""
    rows = [{"step": step, "timestamp": at(minutes=step)} for step in range(3)]
    other = {"feature": "search", "request_model": "x", "response_model": "x"}
    return priced_lake(tmp_path, [*rows, other])


same = st.sampled_from(
    [
        (),
        (":model=gpt-4o",),
        ("step=0-:provider=openai",),
        (":service_tier=",),
        (":cache=off",),
        ("feature=nothing:model=claude-haiku-4-5",),
    ]
)


@given(swaps=same, reported=st.sampled_from([None, "0.5"]))
@settings(deadline=None, max_examples=12)
def test_a_question_that_changes_nothing_has_the_difference_zero(swaps, reported):
    rows = [
        {"timestamp": at(hours=hour), "step": hour, "reported_cost_usd": reported}
        for hour in range(3)
    ]
    with tempfile.TemporaryDirectory() as folder:
        stored = priced_lake(Path(folder), [*rows, {"request_model": None}])

        answer = ask(stored, *swaps)

    assert answer.totals["difference_usd"] == "0.000000000000"
    assert set(by_step(answer).values()) == {0}
    assert answer.totals["calls"] == 4


def test_all_calls_priced_again_by_what_is_their_book_have_the_difference_zero(
    stored, tmp_path
):
    overlay = tmp_path / "same.toml"
    overlay.write_text(HALF_PRICE.replace("1/2", "1/1"))

    answer = ask(stored, overlay=overlay)

    assert (answer.totals["calls"], answer.totals["changed_calls"]) == (4, 4)
    assert answer.totals["difference_usd"] == "0.000000000000"


def test_another_model_for_one_step_changes_only_that_step(stored):
    answer = ask(stored, "step=0:model=claude-haiku-4-5", feature="refund")

    # $1 and $5 a million instead of $2.50 and $10
    assert by_step(answer) == {0: usd("-0.002"), 1: 0, 2: 0}
    assert answer.totals["cost_usd"] == "0.010500000000"
    assert answer.totals["whatif_usd"] == "0.008500000000"
    assert answer.totals["changed_calls"] == 1
    assert any("tokenizer" in note for note in answer.notes())


def test_what_a_seller_called_its_tier_is_not_asked_of_another(tmp_path):
    stored = priced_lake(tmp_path, [{"service_tier": "priority", "step": 0}])

    answer = ask(stored, ":model=claude-haiku-4-5")

    assert answer.totals["whatif_usd"] == "0.001500000000"
    assert answer.totals["partial_calls"] == 0


@pytest.mark.parametrize("provider", ["gcp.gemini", "groq", "openai", None])
def test_a_model_that_a_seller_does_not_have_comes_from_its_maker(tmp_path, provider):
    row = {"provider": provider, "request_model": "gpt-4o", "region": "eu-west-1"}
    stored = priced_lake(tmp_path, [{**row, "reported_cost_usd": "0.5"}])

    answer = ask(stored, ":model=claude-haiku-4-5")

    assert answer.totals["whatif_usd"] == "0.001500000000"


def test_a_call_without_a_price_is_in_neither_sum(stored):
    answer = ask(stored, ":model=nobody-knows-this", feature="refund")

    assert answer.totals["unpriced_calls"] == 3
    assert answer.totals["cost_usd"] is None
    assert answer.totals["difference_usd"] == "0.000000000000"

    cheaper = ask(stored, "feature=search:model=gpt-4o")

    assert cheaper.totals["unpriced_calls"] == 1
    assert cheaper.totals["difference_usd"] == "0.000000000000"


def test_calls_are_priced_by_the_book_that_they_were_recorded_by(stored, tmp_path):
    half = book_with(tmp_path, HALF_PRICE)
    Books(LocalTarget(Path(stored.lake_url))).adopt(half, since_unix_nano=10**18)

    answer = ask(stored, "step=0:model=claude-haiku-4-5", feature="refund")

    assert by_step(answer)[0] == usd("-0.002")
    assert answer.totals["later_book_calls"] == 0


def test_a_model_that_only_the_newest_book_knows_is_priced_by_that(stored, tmp_path):
    own = (
        '[[price]]\nmodel = "ours"\nkind = "replace"\n'
        "usd_per_mtok = {input = 1, output = 1}\n"
    )
    Books(LocalTarget(Path(stored.lake_url))).adopt(
        book_with(tmp_path, own + 'source = "us"\n'), since_unix_nano=10**18
    )

    answer = ask(stored, "step=0:model=ours", feature="refund")

    assert by_step(answer)[0] == usd("0.0011") - usd("0.0035")
    assert answer.totals["later_book_calls"] == 1
    assert any("newest book" in note for note in answer.notes())


def test_batch_is_half_price_where_there_is_one(stored):
    answer = ask(stored, ":processing=batch", feature="refund")

    assert by_step(answer) == dict.fromkeys(range(3), usd("-0.00175"))


def test_a_reported_cost_is_not_that_of_another_model(tmp_path):
    row = {"provider": "openrouter", "request_model": "openai/gpt-4o"}
    stored = priced_lake(
        tmp_path, [{**row, "response_model": None, "reported_cost_usd": "0.5"}]
    )

    answer = ask(stored, ":model=gpt-4o,provider=openai")

    assert (answer.totals["cost_usd"], answer.totals["whatif_usd"]) == (
        "0.500000000000",
        "0.003500000000",
    )
    other = ask(stored, ":model=openai/gpt-4o-mini")
    assert other.totals["whatif_usd"] == "0.000210000000"


def cached_chain():
    """Return three turns of Claude Sonnet, without a cache, and one in a pause."""
    shape = [(0, 1000), (1, 3000), (2, 6000), (60, 8000)]
    return [
        {
            **SONNET,
            "step": step,
            "timestamp": at(minutes=minute),
            "input_tokens": tokens,
            "output_tokens": 0,
        }
        for step, (minute, tokens) in enumerate(shape)
    ]


def test_cache_on_reads_the_prompt_before_and_writes_what_the_next_one_reads(tmp_path):
    stored = priced_lake(tmp_path, cached_chain())

    answer = ask(stored, ":cache=on")

    # fresh $3 a million, written $3.75, read $0.30
    assert by_step(answer) == {
        0: usd("0.00075"),
        1: usd("-0.0027") + usd("0.0015"),
        2: usd("-0.0081"),
        3: 0,
    }
    assert any("estimate" in note for note in answer.notes())


def test_cache_off_bills_what_was_cached_as_fresh_input(tmp_path):
    row = {**SONNET, "input_tokens": 3000, "cache_read_tokens": 2000, "step": 0}
    stored = priced_lake(tmp_path, [row])

    assert by_step(ask(stored, ":cache=off")) == {0: usd("0.0054")}
    assert by_step(ask(stored, ":cache=on")) == {0: 0}


def test_an_overlay_prices_all_calls(stored, tmp_path):
    overlay = tmp_path / "free.toml"
    overlay.write_text(FREE)

    answer = ask(stored, overlay=overlay)

    assert answer.totals["whatif_usd"] == "0.000000000000"
    assert answer.totals["difference_usd"] == "-0.010500000000"
    assert answer.totals["changed_calls"] == 4


def test_only_calls_in_the_time_and_of_the_feature_are_looked_at(stored):
    period = Period(at(minutes=1), at(minutes=2))

    assert ask(stored, period=period).totals["calls"] == 1
    assert ask(stored, feature="search").totals["calls"] == 1
    assert ask(stored, where=parse_where("step=1-", COLUMNS)).totals["calls"] == 2


@pytest.mark.parametrize(
    ("where", "fitting"),
    [
        ("", [0, 1, 2, 3]),
        ("step=1", [1]),
        ("step=1-2", [1, 2]),
        ("step=2-", [2]),
        ("model=GPT-*", [0, 1, 2]),
        ("feature=search", [3]),
        ("tenant=", [0, 1, 2, 3]),
        ("tenant=*", []),
        ("model=gpt-4o,step=0", [0]),
    ],
)
def test_where_chooses_by_step_model_and_text(where, fitting):
    rows = [{"step": step} for step in range(3)]
    other = {"feature": "search", "request_model": "x", "response_model": "x"}
    calls = priced([*rows, other], bundled_book())

    found = parse_where(where, COLUMNS).fits(calls)

    assert [place for place, fits in enumerate(found) if fits] == fitting


def test_names_of_models_may_have_colons():
    assert parse_swap("model=ft:gpt-4o:x,step=0:model=a:b:free", COLUMNS) == Swap(
        Where((("model", "ft:gpt-4o:x"), ("step", "0"))), {}, "a:b:free", None
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("step=0", "nothing to change"),
        ("step=0:model=x,colour=red", "colour"),
        ("colour=red:model=x", "colour"),
        ("step=first:model=x", "step=first"),
        (":cache=maybe", "maybe"),
        ("feature:model=x", "feature"),
    ],
)
def test_a_swap_that_is_none_is_refused_with_what_is_wrong(text, said):
    with pytest.raises(QueryError, match=said) as caught:
        parse_swap(text, COLUMNS)

    assert "\n" not in caught.value.line()


def test_the_command_shows_the_difference_by_feature_and_step(
    stored, monkeypatch, capsys
):
    monkeypatch.setenv("SPANLEDGER_DATA_DIR", str(stored.data_dir))
    swap = ["whatif", "--swap", "step=0:model=claude-haiku-4-5", "--feature", "refund"]

    assert main([*swap, "--since", "2026-11-19"]) == 0
    said = capsys.readouterr().out
    assert "difference $-0.002000000000" in said
    assert "tokenizer" in said
    assert main(["whatif", "--cache", "off", "--batch", "--format", "json"]) == 0
    assert '"difference_usd": "-0.005250000000"' in capsys.readouterr().out
    assert main(["whatif", "--swap", "nonsense"]) == 1
    assert "agent_name" in text_columns(stored)
