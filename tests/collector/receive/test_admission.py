import pytest

from collector.errors import OverloadedError, ShuttingDownError, UnauthenticatedError
from collector.receive.admission import Admission
from collector.sections import TokenSettings

TOKENS = (
    TokenSettings(token="token-of-acme", tenant="acme"),
    TokenSettings(token="token-of-zeta", tenant="zeta"),
)


def admission(*, tokens=()):
    return Admission(tokens, max_request_bytes=100)


@pytest.mark.parametrize(
    ("header", "tenant"),
    [("Bearer token-of-acme", "acme"), ("bearer  token-of-zeta ", "zeta")],
)
def test_a_token_stands_for_its_tenant(header, tenant):
    assert admission(tokens=TOKENS).tenant_of(header) == tenant


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic token-of-acme", "acme"],
)
def test_other_headers_are_refused(header):
    with pytest.raises(UnauthenticatedError):
        admission(tokens=TOKENS).tenant_of(header)


@pytest.mark.parametrize("header", [None, "Bearer anything"])
def test_without_tokens_everybody_may_send_and_has_no_tenant(header):
    assert not admission().needs_token
    assert admission().tenant_of(header) is None


def test_requests_that_wait_may_hold_eight_times_the_largest_one():
    gate = admission()

    with gate.holding(700) as hold:
        hold(100)
        with pytest.raises(OverloadedError, match="801"):
            hold(1)


def test_what_a_request_held_is_free_when_it_ends():
    gate = admission()

    for _ in range(3):
        with gate.holding(800):
            with pytest.raises(OverloadedError), gate.holding(1):
                pytest.fail("let in")
            with pytest.raises(OverloadedError), gate.holding() as hold:
                hold(1)


def test_a_closed_gate_lets_nobody_in_but_those_inside_go_on():
    gate = admission()

    with gate.holding(1) as hold:
        gate.close()
        hold(1)
        with pytest.raises(ShuttingDownError), gate.holding():
            pytest.fail("let in")
