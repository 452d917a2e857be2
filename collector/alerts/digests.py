"""
More alerts than people can read: what is told one by one, and what in one digest.

Each endpoint gets so many letters a minute; what is beyond stands in one letter about
that minute, sent when it is over. Nothing is lost by that: every alert is listed by
``spanledger alerts list`` and every finding is in the lake.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from collector.alerts.alert import SEVERITIES, Notice, digest, rank

MINUTE_US: Final = 60_000_000
DIGEST_RULE: Final = "digest"
DIGEST_TYPE: Final = "alerts.digest"
_EXAMPLES: Final = 5


def split_notices(
    notices: Iterable[Notice], allowed: int
) -> tuple[list[Notice], list[Notice]]:
    """
    Return which notices are told one by one, and which go into the digest.

    The most severe are told, and at equal severity those about budgets and conditions
    before those about single runs, of which there may be thousands. Order is kept.
    """
    told = list(notices)
    if len(told) <= allowed:
        return told, []
    weight = [(-rank(it.severity), it.type.startswith("run.")) for it in told]
    chosen = set(sorted(range(len(told)), key=weight.__getitem__)[:allowed])
    return (
        [notice for place, notice in enumerate(told) if place in chosen],
        [notice for place, notice in enumerate(told) if place not in chosen],
    )


def minute_of(now_us: int) -> int:
    """Return the minute that *now_us* is in, counted from 1970."""
    return now_us // MINUTE_US


def digest_id(endpoint_key: str, minute: int) -> str:
    """Return the webhook id of an endpoint's digest about a minute."""
    return f"msg_{digest(DIGEST_RULE, endpoint_key, minute)}"


def write_digest(
    notices: Sequence[Notice],
    earlier: Notice | None,
    *,
    endpoint_key: str,
    minute: int,
    allowed: int,
) -> Notice:
    """
    Return one notice that stands for all *notices*.

    Args:
        notices: At least one.

        earlier: The minute's digest so far.

        endpoint_key: Where it goes.

        minute: As `minute_of`.

        allowed: How many letters a minute are told one by one.
    """
    before: dict[str, Any] = json.loads(earlier.details) if earlier else {}
    states = Counter(before.get("states", {})) + Counter(it.state for it in notices)
    rules = Counter(before.get("rules", {})) + Counter(it.rule for it in notices)
    examples = [*before.get("examples", []), *(json.loads(n.scope) for n in notices)]
    ranks = [rank(notice.severity) for notice in notices]
    severity = SEVERITIES[max([*ranks, rank(earlier.severity) if earlier else 0])]
    total = states.total()
    moment_us = (minute + 1) * MINUTE_US
    thread = digest(DIGEST_RULE, endpoint_key)
    return Notice(
        webhook_id=digest_id(endpoint_key, minute),
        type=DIGEST_TYPE,
        time_us=moment_us,
        rule=DIGEST_RULE,
        state="firing" if states["firing"] else "resolved",
        severity=severity,
        previous_severity=None,
        scope=_dump({"alerts": total, "rules": ", ".join(sorted(rules))}),
        labels="{}",
        value=float(total),
        threshold=float(allowed),
        details=_dump(
            {
                "states": dict(states),
                "rules": dict(rules),
                "examples": examples[:_EXAMPLES],
            }
        ),
        dedup_key=thread,
        thread=thread,
        fired_us=moment_us,
    )


def _dump(document: dict[str, object]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
