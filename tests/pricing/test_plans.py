import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.plans import Entry, Schedule, choose_entries, narrowed, only_card
from pricing.rate_cards import unpriced_card

HOUR = 3_600_000_000
CARDS = [unpriced_card(name) for name in "abc"]

clocks = st.integers(0, 24 * HOUR - 1)
moments = st.datetimes(
    dt.datetime(1960, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    dt.datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(dt.UTC),
)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def micros(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


def times(*moments_: dt.datetime) -> np.ndarray:
    return np.array([micros(moment) for moment in moments_], np.int64)


@given(moments, clocks, clocks, st.frozensets(st.integers(0, 6)))
def test_hours_and_weekdays_hold_as_the_calendar_says(moment, start, end, weekdays):
    schedule = Schedule(hours=((start, end),), weekdays=weekdays)

    holds = schedule.holds(times(moment))[0]

    clock = micros(moment) % (24 * HOUR)
    in_hours = start <= clock < end if start <= end else clock >= start or clock < end
    assert holds == (in_hours and moment.weekday() in weekdays)


def test_hours_do_not_hold_on_excepted_days():
    holiday = dt.datetime(2026, 10, 5, 2, tzinfo=dt.UTC)
    schedule = Schedule(
        hours=((HOUR, 4 * HOUR),), except_days=frozenset({(holiday - EPOCH).days})
    )

    holds = schedule.holds(times(holiday, holiday + dt.timedelta(days=1)))

    assert holds.tolist() == [False, True]


def test_bounds_are_half_open():
    plan = (Entry(CARDS[0], 10, 20), Entry(CARDS[1]))

    assert choose_entries(plan, np.array([9, 10, 19, 20])).tolist() == [1, 0, 0, 1]


def test_the_first_entry_in_force_counts():
    plan = (Entry(CARDS[0], 0, 10), Entry(CARDS[1], 5, 15), Entry(CARDS[2]))

    assert choose_entries(plan, np.array([4, 7, 12, 15])).tolist() == [0, 0, 1, 2]


spans = st.tuples(st.integers(0, 20), st.integers(0, 20))


@given(st.lists(spans, max_size=4), st.integers(0, 20), st.integers(0, 5))
def test_an_only_card_is_the_one_of_every_moment(bounds, first, length):
    entries = [Entry(unpriced_card(str(n)), *span) for n, span in enumerate(bounds)]
    plan = (*entries, Entry(CARDS[2]))

    card = only_card(plan, first, first + length)

    chosen = choose_entries(plan, np.arange(first, first + length + 1))
    if card is not None:
        assert {plan[place].card for place in chosen} == {card}
    elif length == 0:
        pytest.fail("one moment has one card without schedules")


def test_narrowing_leaves_out_what_is_never_in_force():
    entries = [Entry(CARDS[0], 0, 10), Entry(CARDS[1], 10, 20)]

    assert narrowed(entries, 5, 10) == [Entry(CARDS[0], 5, 10)]
