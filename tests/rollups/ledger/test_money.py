from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from rollups.ledger.money import decimals, pico_usd, sum_by

COSTS = pa.decimal128(18, 12)
MOST = Decimal("999999.999999999999")


def test_costs_are_read_as_whole_pico_dollars():
    costs = pa.array([Decimal("1.5"), None, Decimal("-0.000000000001"), MOST], COSTS)

    assert pico_usd(costs).tolist() == [15 * 10**11, 0, -1, 10**18 - 1]
    assert pico_usd(costs.slice(2)).tolist() == [-1, 10**18 - 1]


@pytest.mark.parametrize("kind", [np.int64, object], ids=["machine", "python"])
def test_sums_are_written_as_decimals(kind):
    pico = np.array([7, -7, 0], kind)

    written = decimals(pico, null=np.array([False, False, True]))

    assert written.type == pa.decimal128(38, 12)
    assert written.to_pylist() == [Decimal("7E-12"), Decimal("-7E-12"), None]


def test_a_sum_that_does_not_fit_a_machine_word_is_exact():
    values = np.full(20, 10**18 - 1)

    total = sum_by(np.zeros(20, np.int64), values, size=1)

    assert decimals(total, null=np.array([False])).to_pylist() == [20 * MOST]


def test_no_sums_are_no_trouble():
    none = np.zeros(0, np.int64)

    assert len(decimals(none, null=none.astype(bool))) == 0
