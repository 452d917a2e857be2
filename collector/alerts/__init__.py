"""
Alerts: their life, their outbox and the formats they are sent in.

Findings go in, once per look, all that are true; notices come out, each exactly once
per transition. A transition and the rows of the outbox that tell of it are one
transaction of ``state/alerts.sqlite``, so that neither exists without the other;
delivery repeats until the endpoint says 2xx, always with the same id.
"""

from collector.alerts.deliver import Deliverer
from collector.alerts.store import AlertStore

__all__ = ["AlertStore", "Deliverer"]
