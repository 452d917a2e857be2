"""How often work may be done that must not take all of the time."""

import time


def due_after(started: float, share: float) -> float:
    """
    Return when work begun at *started* may be done again to take *share* of time.

    It is over now; times are on the monotonic clock.
    """
    return started + (time.monotonic() - started) / share
