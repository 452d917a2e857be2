"""What is acknowledged survives the death of any part, at any moment."""

import random

import pytest
from kill_rounds import check_everything_once, kill_round
from service import service, write_config

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]

FAST = {"store": "flush_seconds = 0.2", "account": "tick_seconds = 0.2"}


def test_acknowledged_spans_are_stored_and_billed_once_whoever_is_killed(tmp_path):
    with service(write_config(tmp_path, **FAST)) as running:
        loads = [kill_round(running, random.Random(s), seed=s) for s in (1, 2)]
        exit_code = running.stop()

        assert exit_code == 0, running.log_tail()
        check_everything_once(running.lake, loads)
