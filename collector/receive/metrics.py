"""Counters of the receive role."""

from typing import Final

from prometheus_client import Counter

REQUESTS: Final = Counter(
    "spanledger_receive_requests",
    "requests answered, by how",
    ["transport", "signal", "outcome"],
)
REQUEST_BYTES: Final = Counter(
    "spanledger_receive_bytes",
    "bytes of requests that were looked at, decompressed",
    ["transport", "signal"],
)
SPANS_ACCEPTED: Final = Counter(
    "spanledger_spans_accepted", "spans acknowledged after they were durable"
)
SPANS_REJECTED: Final = Counter(
    "spanledger_spans_rejected", "spans refused by partial success", ["reason"]
)
SPANS_REPEATED: Final = Counter(
    "spanledger_spans_repeated", "spans of requests that were in the journal already"
)
LOG_RECORDS_ACCEPTED: Final = Counter(
    "spanledger_log_records_accepted", "log records acknowledged after durable"
)
METRIC_POINTS_RECEIVED: Final = Counter(
    "spanledger_metric_points_received", "metric data points counted and answered"
)
SYNCS: Final = Counter("spanledger_journal_syncs", "group commits of the journal")
SYNCED_REQUESTS: Final = Counter(
    "spanledger_journal_synced_requests", "requests that group commits served"
)
