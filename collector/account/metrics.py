"""Metrics of the account role."""

from datetime import datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from prometheus_client import Counter, Gauge

from collector.account.store import Store

_MAX_SERIES: Final = 200
_NONE: Final = ""

SPANS_ACCOUNTED: Final = Counter("spanledger_spans_accounted", "spans in the ledger")
CALLS_UNPRICED: Final = Counter(
    "spanledger_calls_unpriced", "ledger rows made without a price", ["reason"]
)
OBJECTS_SET_ASIDE: Final = Counter(
    "spanledger_objects_skipped", "spans objects that could not be accounted"
)
COST_TODAY: Final = Gauge(
    "spanledger_cost_usd_today",
    "cost of the calls of this UTC day, by feature and model; the largest only",
    ["feature", "model"],
    multiprocess_mode="mostrecent",
)


def count_taken(spans: int, calls: pa.Table) -> None:
    """Count spans taken, and the ledger rows among *calls* that have no price."""
    SPANS_ACCOUNTED.inc(spans)
    unpriced = calls.filter(pc.equal(calls.column("cost_status"), "unpriced"))
    for item in pc.value_counts(unpriced.column("cost_reason")).to_pylist():
        CALLS_UNPRICED.labels(item["values"] or "unknown").inc(item["counts"])


def show_costs(store: Store, now: datetime) -> None:
    """Set the cost of today; for display: the exact figures are in the lake."""
    first = int(now.timestamp()) // 86400 * 24
    columns = ["feature", "response_model", "request_model", "cost_usd"]
    calls = store.rows("calls", since_hour=first, columns=columns)
    if not calls.num_rows:
        return
    models = pc.coalesce(calls.column("response_model"), calls.column("request_model"))
    keyed = pa.table(
        {
            "feature": pc.fill_null(calls.column("feature"), _NONE),
            "model": pc.fill_null(models, _NONE),
            "cost_usd": calls.column("cost_usd").cast(pa.decimal128(38, 12)),
        }
    )
    sums = keyed.group_by(["feature", "model"]).aggregate([("cost_usd", "sum")])
    largest = sums.sort_by([("cost_usd_sum", "descending")]).slice(0, _MAX_SERIES)
    for row in largest.to_pylist():
        cost = float(row["cost_usd_sum"] or 0)
        COST_TODAY.labels(row["feature"], row["model"]).set(cost)
