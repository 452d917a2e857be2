"""Integer shares: exact division and apportionment."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rollups.growth.exact import apportion, share
from rollups.growth.segments import from_counts

AMOUNTS = st.integers(0, 10**18)
WHOLES = st.integers(1, 2**31 - 1)


@given(
    st.lists(st.tuples(AMOUNTS, st.integers(0, 2**31 - 1), st.integers(1, 2**31 - 1)))
)
def test_share_is_the_floor_of_the_exact_quotient(cases):
    columns = np.array(
        [(amount, min(part, whole), whole) for amount, part, whole in cases],
        dtype=np.int64,
    ).reshape(-1, 3)

    shares, rest = share(columns[:, 0], columns[:, 1], columns[:, 2])

    expected = [divmod(a * min(p, w), w) for a, p, w in cases]
    assert list(zip(shares.tolist(), rest.tolist(), strict=True)) == expected


@given(
    st.lists(
        st.tuples(AMOUNTS, st.lists(st.floats(0, 1e12), min_size=1, max_size=12)),
        max_size=8,
    )
)
def test_shares_add_up_to_the_total_of_their_segment(groups):
    groups = [(total, weights) for total, weights in groups if any(weights)]
    segments = from_counts(np.array([len(w) for _, w in groups], dtype=np.int64))
    totals = np.array([total for total, _ in groups], dtype=np.int64)
    weights = np.array([w for _, ws in groups for w in ws], dtype=np.float64)

    shares = apportion(totals, weights, segments)

    assert segments.sums(shares).tolist() == totals.tolist()
    assert (shares >= 0).all()


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_whole_shares_stay_as_they_are(parts):
    segments = from_counts(np.array([len(parts)]))

    shares = apportion(np.array([sum(parts)]), np.array(parts, dtype=float), segments)

    assert shares.tolist() == parts or sum(parts) == 0


def test_the_largest_remainders_are_rounded_up():
    weights = np.array([1.0, 2.0, 4.0])

    shares = apportion(np.array([10]), weights, from_counts(np.array([3])))

    assert shares.tolist() == [1, 3, 6]


def test_of_equal_remainders_the_first_is_rounded_up():
    weights = np.array([1.0, 1.0, 1.0, 5.0])

    shares = apportion(np.array([10]), weights, from_counts(np.array([4])))

    assert shares.tolist() == [2, 1, 1, 6]
