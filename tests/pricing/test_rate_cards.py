from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from pricing.rate_cards import (
    MISSING,
    UNITS,
    USAGE_CLASSES,
    Rate,
    RateCard,
    build_card,
)


def card_of(**units: Rate) -> RateCard:
    return build_card(units, provider="p", model="m", match="exact")


def rate(card: RateCard, usage_class: str, tier: int = 0) -> int:
    return card.rates[tier][USAGE_CLASSES.index(usage_class)]


def test_a_class_takes_the_most_specific_unit_that_covers_it():
    card = card_of(input=Rate(10), cache_write=Rate(12), output=Rate(50))

    assert rate(card, "cache_write_5m") == rate(card, "cache_write_1h") == 12
    assert rate(card, "cache_read") == 10
    assert rate(card, "reasoning") == 50


def test_cached_audio_between_two_rates_has_none():
    card = card_of(input=Rate(1), input_audio=Rate(30), cache_read=Rate(0))

    assert rate(card, "cache_read_audio") == MISSING


def test_what_no_unit_covers_has_no_rate_but_no_request_fee_is_none():
    card = card_of(input=Rate(1))

    assert rate(card, "output") == MISSING
    assert rate(card, "web_search") == MISSING
    assert rate(card, "request") == 0


def test_a_tier_holds_for_every_class():
    card = card_of(input=Rate(1, ((200, 2),)), output=Rate(5, ((100, 6), (200, 7))))

    assert card.above == (100, 200)
    assert [rate(card, "input", tier) for tier in range(3)] == [1, 1, 2]
    assert [rate(card, "output", tier) for tier in range(3)] == [5, 6, 7]


factors = st.fractions(0, 3, max_denominator=1000)
rates = st.integers(0, 10**9)


@given(st.dictionaries(st.sampled_from(sorted(UNITS)), rates, min_size=1), factors)
def test_a_multiplied_card_is_exact_after_its_divisor(units, factor):
    card = card_of(**{unit: Rate(base) for unit, base in units.items()})

    scaled = card.times(dict.fromkeys(USAGE_CLASSES, factor))

    for before, after in zip(card.rates[0], scaled.rates[0], strict=True):
        if before == MISSING:
            assert after == MISSING
        else:
            assert Fraction(after, scaled.divisor) == before * factor


def test_a_whole_result_needs_no_divisor():
    card = card_of(input=Rate(2_500_000)).times({"input": Fraction(93, 100)})

    assert (rate(card, "input"), card.divisor) == (2_325_000, 1)
