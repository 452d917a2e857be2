"""Severities."""

import pytest
from growth_rows import one_chain

from rollups.growth import Limits, judge_chains


def judge(sizes, **options):
    return judge_chains(*one_chain(sizes), **options).chains.to_pylist()[0]


@pytest.mark.parametrize(
    ("sizes", "severity"),
    [
        ([1000] * 6, "none"),
        ([1000 + 300 * call for call in range(6)], "info"),
        ([1000 + 900 * call for call in range(14)], "warning"),
        ([1000 + 9000 * call for call in range(14)], "critical"),
    ],
    ids=["flat", "grows a little", "sends 20,000 tokens again", "costs a dollar"],
)
def test_severity_follows_tokens_and_dollars(sizes, severity):
    assert judge(sizes)["severity"] == severity


def test_limits_may_be_set():
    sizes = [1000 + 900 * call for call in range(14)]

    lax = judge(sizes, limits=Limits(warning_resent_tokens=10**9))
    strict = judge(sizes, limits=Limits(critical_resent_pico_usd=1))

    assert (lax["severity"], strict["severity"]) == ("info", "critical")
