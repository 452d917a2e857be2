import datetime as dt
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from priced_calls import NOON, calls_table, price_one, usd

from pricing import PriceBook, PriceBookError, bundled_book, load_overlay, price_calls

GPT_4O = {"provider": "openai", "request_model": "gpt-4o"}
MILLION = {"input_tokens": 10**6, "output_tokens": 0}


@pytest.fixture
def overlaid(tmp_path: Path):
    """Return a function from an overlay's text to the bundled book with it on top."""

    def lay(text: str) -> PriceBook:
        path = tmp_path / "mine.toml"
        path.write_text(text, "utf-8")
        return bundled_book().with_overlay(path)

    return lay


def rule(kind: str, rest: str = "") -> str:
    return f'[[price]]\nkind = "{kind}"\n{rest}\n'


def test_replace_sets_own_rates(overlaid):
    book = overlaid(
        rule("replace", 'model = "my-*"\nusd_per_mtok = {input = "0.5", output = 2}')
    )

    cost = price_one(book, request_model="my-llama", **MILLION)

    assert (cost["cost_usd"], cost["cost_status"]) == (usd("0.5"), "priced")
    assert (cost["price_model"], cost["price_match"]) == ("my-llama", "exact")


@pytest.mark.parametrize(
    ("tier", "tokens", "cost"),
    [
        ("above = 1000", 1000, "0.001"),
        ("above = 1000", 1001, "0.002002"),
        ("at_least = 1000", 999, "0.000999"),
        ("at_least = 1000", 1000, "0.002"),
    ],
)
def test_a_tier_starts_above_or_at_its_threshold(overlaid, tier, tokens, cost):
    book = overlaid(
        rule(
            "replace",
            'model = "m"\nusd_per_mtok = {input = 1, output = 1}\n'
            f"[[price.tiers]]\n{tier}\nusd_per_mtok = {{input = 2}}",
        )
    )

    got = price_one(book, request_model="m", input_tokens=tokens, output_tokens=0)

    assert got["cost_usd"] == usd(cost)


def test_a_discount_is_taken_off_what_lies_below(overlaid):
    book = overlaid(rule("multiply", 'tenant = "acme"\nfactor = "93/100"'))
    zone = {
        "provider": "azure.ai.openai",
        "request_model": "gpt-4o",
        "deployment": "data-zone",
    }

    assert price_one(book, **zone, **MILLION)["cost_usd"] == usd("2.75")
    assert price_one(book, **zone, **MILLION, tenant="acme")["cost_usd"] == usd(
        "2.5575"
    )


def test_a_discount_is_taken_off_a_corrected_price_too(overlaid):
    book = overlaid(rule("multiply", 'factor = "1/2"'))
    tuned = {"provider": "openai", "request_model": "ft:gpt-4o-2024-08-06:acme::x"}

    cost = price_one(book, **tuned, **MILLION, cache_read_tokens=10**6)

    assert cost["cost_usd"] == usd("0.9375")


def test_factors_by_class_leave_the_others(overlaid):
    book = overlaid(rule("multiply", 'factors = {tokens = "1/2", output = 2}'))
    claude = {"provider": "anthropic", "request_model": "claude-opus-5"}

    cost = price_one(
        book,
        **claude,
        input_tokens=10**6,
        output_tokens=10**6,
        web_search_requests=100,
    )

    assert cost["input_cost_usd"] == usd("2.5")
    assert cost["output_cost_usd"] == usd(50)
    assert cost["other_cost_usd"] == usd(1)


def test_free_costs_nothing_even_without_counts(overlaid):
    book = overlaid(rule("free", 'provider = "ollama"'))

    cost = price_one(book, provider="ollama", request_model="qwen3")

    assert (cost["cost_usd"], cost["cost_status"]) == (0, "free")


def test_unpriced_takes_a_price_away(overlaid):
    book = overlaid(rule("unpriced", 'model = "gpt-4o"'))

    cost = price_one(book, **GPT_4O, **MILLION)

    assert (cost["cost_usd"], cost["cost_reason"]) == (None, "overlay")


def test_a_fixed_price_per_request_needs_no_counts(overlaid):
    book = overlaid(rule("fixed_per_request", 'model = "search"\nusd = "0.005"'))

    cost = price_one(book, request_model="search")

    assert cost["cost_usd"] == cost["other_cost_usd"] == usd("0.005")
    assert cost["cost_status"] == "priced"


def test_a_subscription_is_shown_at_list_price(overlaid):
    book = overlaid(rule("subscription", 'feature = "ide"'))

    cost = price_one(book, **GPT_4O, **MILLION, feature="ide")

    assert (cost["cost_usd"], cost["cost_status"]) == (usd("2.5"), "subscription")


def test_a_gpu_hour_gives_an_estimate(overlaid):
    book = overlaid(
        rule(
            "gpu_hour",
            'provider = "vllm"\nusd_per_hour = "2.50"\ntokens_per_hour = 5_000_000',
        )
    )

    cost = price_one(book, provider="vllm", request_model="qwen3", **MILLION)

    assert (cost["cost_usd"], cost["cost_status"]) == (usd("0.5"), "estimated")


def test_the_first_rule_that_fits_counts(overlaid):
    book = overlaid(
        rule("multiply", 'tenant = "acme"\nmodel = "gpt-*"\nfactor = "1/2"')
        + rule("free", 'tenant = "acme"')
    )
    acme = {**GPT_4O, **MILLION, "tenant": "acme"}

    assert price_one(book, **acme)["cost_usd"] == usd("1.25")
    assert price_one(book, **acme | {"request_model": "o3"})["cost_status"] == "free"


def test_a_rule_holds_from_its_moment_until_its_end(overlaid):
    book = overlaid(
        rule("free", "from = 2026-11-20T12:00:00Z\nuntil = 2026-11-20T13:00:00+00:00")
    )
    second = dt.timedelta(seconds=1)
    moments = [NOON - second, NOON, NOON + 3599 * second, NOON + 3600 * second]

    costs = price_calls(
        calls_table([{**GPT_4O, **MILLION, "timestamp": at} for at in moments]), book
    )

    assert costs["cost_status"].to_pylist() == ["priced", "free", "free", "priced"]


def test_hours_weekdays_and_holidays_limit_a_rule(overlaid):
    book = overlaid(
        "[calendars]\nfair = [2026-11-20]\n"
        + rule(
            "free",
            'hours = ["22:00-02:00"]\nweekdays = ["fri"]\nexcept_days = "fair"',
        )
    )
    friday = dt.datetime(2026, 11, 27, 1, tzinfo=dt.UTC)
    moments = [
        friday,
        friday + dt.timedelta(hours=1),
        friday + dt.timedelta(days=1),
        friday - dt.timedelta(days=7),
    ]

    costs = price_calls(
        calls_table([{**GPT_4O, **MILLION, "timestamp": at} for at in moments]), book
    )

    assert costs["cost_status"].to_pylist() == ["free", "priced", "priced", "priced"]


@pytest.mark.parametrize(
    ("selector", "fits", "fits_not"),
    [
        ('provider = "azure"', {"provider": "azure.ai.openai"}, {"provider": "openai"}),
        ('provider = "my-gw"', {"provider": "My-GW"}, {"provider": "openai"}),
        ('model = ["gpt-4o", "o3"]', {"request_model": "o3"}, {"request_model": "o1"}),
        ('model = "gpt-4o"', {"request_model": "openai/gpt-4o"}, {}),
        ('region = "!global"', {"region": "eu"}, {"region": "global"}),
        ('region = "!global"', {"region": "eu"}, {}),
        ('tenant = "a*"', {"tenant": "Acme"}, {"tenant": "bcme"}),
        ('feature = "x"', {"feature": "x"}, {"feature": "xy"}),
        ('processing = "batch"', {"service_tier": "batch"}, {}),
        ('speed = "fast"', {"speed": "fast"}, {"speed": "standard"}),
    ],
)
def test_a_selector_fits_what_it_names(overlaid, selector, fits, fits_not):
    book = overlaid(rule("free", selector))
    call = {"provider": "openai", "request_model": "x", **MILLION}

    assert price_one(book, **call | fits)["cost_status"] == "free"
    assert price_one(book, **call | fits_not)["cost_status"] != "free"


def test_own_rates_for_a_tier_not_named_are_a_bound(overlaid):
    rates = 'model = "gpt-4o"\nusd_per_mtok = {input = 1, output = 4}'
    book = overlaid(rule("replace", rates))

    cost = price_one(book, **GPT_4O, **MILLION, service_tier="flex")

    assert cost["cost_reason"] == "tier_unknown upper_bound"


@given(factor=st.fractions(0, 2, max_denominator=999), tokens=st.integers(0, 10**7))
def test_a_discounted_cost_is_rounded_once_half_to_even(factor, tokens):
    book = _discounted(factor)

    cost = price_one(book, **GPT_4O, input_tokens=tokens, output_tokens=tokens)

    exact = Fraction(tokens * 12_500_000) * factor
    assert int(cost["cost_usd"].scaleb(12)) == round(exact)


LIST = """{"format": 1, "source": "test", "version": "1", "retrieved": "2026-11-22",
"providers": [{"id": "openai", "fallback": [], "models": [{"id": "gpt-4o",
"match": ["=", "gpt-4o"], "prices": [[null, {"input": 2500000, "output": 10000000}]]
}]}]}"""


def _discounted(factor: Fraction) -> PriceBook:
    text = rule("multiply", f'factor = "{factor}"')
    return PriceBook({"list.json": LIST, "mine.toml": text})


@pytest.mark.parametrize(
    ("call", "cost"),
    [
        ({"provider": "anthropic", "request_model": "claude-opus-5"}, "2.5"),
        ({"provider": "openai", "request_model": "gpt-4o"}, "1.25"),
        ({"provider": "gcp.gemini", "request_model": "gemini-2.5-flash"}, "0.15"),
        ({"provider": "azure", "request_model": "gpt-4o"}, "1.25"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["provider"],
)
def test_batches_cost_half_also_before_the_list_says_so(call, cost):
    before = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)

    got = price_one(
        bundled_book(), **call, **MILLION, processing="batch", timestamp=before
    )

    assert (got["cost_usd"], got["cost_status"]) == (usd(cost), "priced")


@pytest.mark.parametrize(
    ("call", "factor"),
    [
        ({"provider": "openai", "request_model": "gpt-6-sol", "region": "eu"}, "1.1"),
        ({"provider": "openai", "request_model": "gpt-4o", "region": "eu"}, "1"),
        (
            {"provider": "anthropic", "request_model": "claude-opus-5", "region": "us"},
            "1.1",
        ),
        (
            {
                "provider": "azure.ai.openai",
                "request_model": "gpt-5.1",
                "deployment": "data-zone",
                "region": "japaneast",
            },
            "1.2",
        ),
        (
            {
                "provider": "gcp.vertex_ai",
                "request_model": "gemini-2.5-pro",
                "region": "us-central1",
            },
            "1",
        ),
    ],
    ids=str,
)
def test_a_place_raises_the_price_where_the_vendor_says_so(call, factor):
    plain = {**call, "region": None, "deployment": None}

    raised = price_one(bundled_book(), **call, **MILLION)["cost_usd"]

    assert raised == price_one(bundled_book(), **plain, **MILLION)["cost_usd"] * usd(
        factor
    )


BAD_RULES = {
    "unknown kind": ('kind = "half"', "unknown kind 'half', one of replace, "),
    "no kind": ("usd = 1", "missing 'kind'"),
    "unknown key": ('kind = "free"\nmodle = "x"', "unknown key 'modle' for free"),
    "key of another kind": ('kind = "free"\nusd = 1', "unknown key 'usd' for free"),
    "no rates": ('kind = "replace"', "missing 'usd_per_mtok' or 'usd_per_1000'"),
    "unknown unit": (
        'kind = "replace"\nusd_per_mtok = {inptu = 1}',
        "unknown unit 'inptu' in usd_per_mtok",
    ),
    "fee per million": (
        'kind = "replace"\nusd_per_mtok = {request = 1}',
        "unknown unit 'request' in usd_per_mtok",
    ),
    "negative": (
        'kind = "replace"\nusd_per_mtok = {input = -1}',
        "'input' is not an amount: -1",
    ),
    "not a number": (
        'kind = "replace"\nusd_per_mtok = {input = "nan"}',
        "'input' is not an amount: 'nan'",
    ),
    "absurd": (
        'kind = "replace"\nusd_per_mtok = {input = 10_000_000_000}',
        "10000000000 is too high",
    ),
    "tier without base": (
        (
            'kind = "replace"\nusd_per_mtok = {input = 1}\n'
            "tiers = [{above = 5, usd_per_mtok = {output = 1}}]"
        ),
        "a tier has a unit without a rate below it",
    ),
    "two thresholds": (
        (
            'kind = "replace"\nusd_per_mtok = {input = 1}\n'
            "tiers = [{above = 5, at_least = 5}]"
        ),
        "a tier needs either 'above' or 'at_least'",
    ),
    "no factor": ('kind = "multiply"', "multiply needs either 'factor' or 'factors'"),
    "bad factor": ('kind = "multiply"\nfactor = "1/0"', "not a factor: '1/0'"),
    "fine factor": (
        'kind = "multiply"\nfactor = "1/10007"',
        "not a factor from 0 to 1000 in parts of 10000: '1/10007'",
    ),
    "unknown class": (
        'kind = "multiply"\nfactors = {audio = 1}',
        "unknown class 'audio'",
    ),
    "no offset": (
        'kind = "free"\nfrom = 2026-01-01T00:00:00',
        "'from' needs an offset, such as Z",
    ),
    "text for a time": (
        'kind = "free"\nuntil = "2026-01-01"',
        "'until' is a date or a time with an offset",
    ),
    "backwards": (
        'kind = "free"\nfrom = 2026-01-02\nuntil = 2026-01-01',
        "'until' is not after 'from'",
    ),
    "unknown calendar": (
        'kind = "free"\nexcept_days = "moon"',
        "unknown calendar 'moon'",
    ),
    "bad hours": ('kind = "free"\nhours = ["9 to 5"]', ""),
    "bad weekday": ('kind = "free"\nweekdays = ["monday"]', ""),
    "number for a glob": (
        'kind = "free"\nmodel = 4',
        "'model' is a text or a list of texts",
    ),
    "no usd": ('kind = "fixed_per_request"', "missing 'usd'"),
    "estimated": (
        'kind = "fixed_per_request"\nusd = 1\nestimated = 1',
        "'estimated' is true or false",
    ),
    "no tokens": (
        'kind = "gpu_hour"\nusd_per_hour = 2\ntokens_per_hour = 0',
        "'tokens_per_hour' is zero",
    ),
    "half an hour": (
        'kind = "gpu_hour"\nusd_per_hour = 2\nhours = ["09:30-12:00"]',
        "'gpu_hour' without 'tokens_per_hour' needs full hours",
    ),
    "no machines": (
        'kind = "gpu_hour"\nusd_per_hour = 2\nmachines = 0',
        "'machines' is a number from 1 on, not 0",
    ),
}


@pytest.mark.parametrize(("body", "said"), BAD_RULES.values(), ids=BAD_RULES)
def test_a_bad_rule_is_refused_with_file_and_line(tmp_path, body, said):
    path = tmp_path / "mine.toml"
    path.write_text(
        f'# mine\n\n[[price]]\nkind = "free"\n\n[[price]]\n{body}\n', "utf-8"
    )

    with pytest.raises(PriceBookError) as caught:
        load_overlay(path)

    assert str(caught.value).startswith(f"{path}:6: {said}")
    assert (caught.value.path, caught.value.line) == (str(path), 6)


def test_text_that_is_no_toml_is_refused_with_its_line(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[[price]]\nkind = "free\n', "utf-8")

    with pytest.raises(PriceBookError, match="mine.toml:2: not TOML: "):
        load_overlay(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PriceBookError, match="cannot be read"):
        load_overlay(tmp_path / "none.toml")


def test_a_reported_cost_goes_first_only_where_a_rule_says_so(overlaid):
    book = overlaid(rule("reported", 'dialect = "litellm"'))
    call = {**GPT_4O, **MILLION, "reported_cost_usd": usd("2.4")}

    told = price_one(book, **call, dialect="litellm")
    other = price_one(book, **call, dialect="otel_genai")

    assert (told["cost_status"], told["cost_usd"]) == ("reported", usd("2.4"))
    assert (other["cost_status"], other["cost_usd"]) == ("priced", usd("2.5"))


@pytest.mark.parametrize(
    ("rest", "status"), [("", "priced"), ("zero = true", "reported")]
)
def test_a_reported_zero_is_a_cost_only_where_a_rule_says_so(overlaid, rest, status):
    book = overlaid(rule("reported", f'provider = "openai"\n{rest}'))

    cost = price_one(book, **GPT_4O, **MILLION, reported_cost_usd=usd("0"))

    assert cost["cost_status"] == status
    assert cost["cost_usd"] == usd("0" if rest else "2.5")


def test_the_preference_for_openrouters_word_can_be_taken_back(overlaid):
    book = overlaid(rule("reported", 'provider = "openrouter"\nignore = true'))

    cost = price_one(
        book,
        provider="openrouter",
        request_model="openai/gpt-4o",
        reported_cost_usd=usd("2.4"),
        **MILLION,
    )

    assert (cost["cost_status"], cost["cost_usd"]) == ("priced", usd("2.5"))
