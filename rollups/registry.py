"""The rollups and rules, in order: one `.sql` file each, named like its entry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import pyarrow as pa

ROLLUP_VERSION: Final = 1

_TEXT: Final = pa.string()
_COUNT: Final = pa.int64()
_TIME: Final = pa.timestamp("us", tz="UTC")
_SUM: Final = pa.decimal128(38, 12)
_REAL: Final = pa.float64()
_BUCKETS: Final = pa.map_(pa.int32(), pa.int64())


def _column(
    name: str, kind: pa.DataType, doc: str, *, null: bool = True
) -> "pa.Field[pa.DataType]":
    return pa.field(name, kind, nullable=null, metadata={"doc": doc})


MEASURES: Final = (
    _column("calls", _COUNT, "calls made, failed ones included", null=False),
    _column("failed_calls", _COUNT, "calls that failed", null=False),
    _column("runs", _COUNT, "runs with a call here; not additive", null=False),
    _column("input_tokens", _COUNT, "all input tokens, cached ones included"),
    _column("cache_read_tokens", _COUNT, "input tokens read from a cache"),
    _column(
        "cache_known_input_tokens",
        _COUNT,
        "input tokens of the calls that tell what they read from a cache",
    ),
    _column("cache_write_tokens", _COUNT, "input tokens written to a cache"),
    _column("output_tokens", _COUNT, "output tokens, reasoning included"),
    _column("cost_usd", _SUM, "cost of the calls that have a price"),
    _column("subscription_usd", _SUM, "part of cost_usd that a subscription covers"),
    _column("cost_per_run_usd", _SUM, "cost_usd by runs, to the pico-dollar"),
    _column("cache_savings_usd", _SUM, "cache reads at the uncached rate, minus cost"),
    _column("unpriced_calls", _COUNT, "calls without a price", null=False),
    _column("coverage", _REAL, "share of tokens that have a price"),
    _column("weighted_calls", pa.decimal128(38, 6), "calls by sampling weight"),
    _column("weighted_cost_usd", _SUM, "cost by sampling weight"),
    _column(
        "latency_histogram",
        _BUCKETS,
        "calls by duration: bucket i is 2^(i/8) < ms <= 2^((i+1)/8); add to merge",
        null=False,
    ),
    _column("latency_p50_ms", _REAL, "median duration, exact"),
    _column("latency_p95_ms", _REAL, "95th percentile of duration, exact"),
    _column("latency_p99_ms", _REAL, "99th percentile of duration, exact"),
    _column(
        "ttft_histogram",
        _BUCKETS,
        "calls by time to first token, in the buckets of latency_histogram",
        null=False,
    ),
    _column("ttft_p50_ms", _REAL, "median time to first token, exact"),
    _column("ttft_p95_ms", _REAL, "95th percentile of time to first token, exact"),
    _column("ttft_p99_ms", _REAL, "99th percentile of time to first token, exact"),
    _column("errors", pa.map_(_TEXT, _COUNT), "failed calls by error type", null=False),
)
"""What every rollup measures, after its time and keys."""

_HISTORY: Final = (
    _column("resent_tokens", _COUNT, "history sent again, in tokens"),
    _column("resent_usd", _SUM, "dollars for history sent again"),
    _column("wasted_usd", _SUM, "dollars of calls with a waste_reason"),
)
"""What rollups by feature, step and version know of history, beside `MEASURES`."""

_WINDOW: Final = _column("window_start", _TIME, "start of the UTC window", null=False)
_SCOPE_KEYS: Final = (
    _column("tenant", _TEXT, "tenant"),
    _column("project", _TEXT, "project"),
    _column("environment", _TEXT, "deployment environment"),
)
_FEATURE: Final = _column("feature", _TEXT, "product feature")
_AGENT: Final = _column("agent_name", _TEXT, "nearest agent")


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table derived from the ledger by ``rollups/sql/<name>.sql``."""

    name: str
    grain: Literal["hour", "day", "trace"]
    reads: str
    keys: tuple["pa.Field[pa.DataType]", ...]
    extra: tuple["pa.Field[pa.DataType]", ...] = ()
    time: "pa.Field[pa.DataType]" = _WINDOW

    @property
    def schema(self) -> pa.Schema:
        """Columns in order: time, keys, `MEASURES`, what only this rollup has."""
        version = {"spanledger.schema": f"rollups.{self.name}/{ROLLUP_VERSION}"}
        columns = [self.time, *self.keys, *MEASURES, *self.extra]
        return pa.schema(columns, metadata=version)


ROLLUPS: Final = (
    Rollup("feature_hourly", "hour", "calls", (*_SCOPE_KEYS, _FEATURE), _HISTORY),
    Rollup(
        "step_daily",
        "day",
        "calls",
        (
            *_SCOPE_KEYS,
            _FEATURE,
            _AGENT,
            _column("step", pa.int32(), "step of the run; null outside the loop"),
        ),
        extra=_HISTORY,
    ),
    Rollup(
        "trace",
        "trace",
        "calls",
        (
            _column("trace_id", _TEXT, "W3C trace id", null=False),
            *_SCOPE_KEYS,
            _FEATURE,
            _AGENT,
            _column("user_id", _TEXT, "end user"),
        ),
        extra=(
            _column("steps", _COUNT, "distinct steps of all runs", null=False),
            _column("duration_ms", _REAL, "from first call's start to last call's end"),
        ),
        time=_column("timestamp", _TIME, "start of the first call", null=False),
    ),
    Rollup(
        "model_hourly",
        "hour",
        "calls",
        (
            *_SCOPE_KEYS,
            _column("provider", _TEXT, "provider"),
            _column("request_model", _TEXT, "model asked for"),
            _column("response_model", _TEXT, "model that answered"),
        ),
        extra=(
            _column(
                "failovers",
                _COUNT,
                "failed calls whose step went on with another provider or model",
                null=False,
            ),
            _column(
                "takeovers",
                _COUNT,
                "calls that went on where another provider or model had failed",
                null=False,
            ),
        ),
    ),
    Rollup(
        "tool_daily",
        "day",
        "tool_calls",
        (
            *_SCOPE_KEYS,
            _FEATURE,
            _AGENT,
            _column("tool_name", _TEXT, "name of the tool"),
            _column("tool_type", _TEXT, "tool or retrieval", null=False),
        ),
        extra=(
            _column("result_tokens", _COUNT, "tokens of the results"),
            _column("result_bytes", _COUNT, "bytes of the results"),
            _column("carried_tokens", _COUNT, "tokens of results sent again later"),
            _column("first_sent_tokens", _COUNT, "tokens of results sent first"),
            _column("first_sent_usd", _SUM, "dollars for sending results first"),
            _column("carried_usd", _SUM, "dollars for sending them again"),
        ),
    ),
    Rollup(
        "user_daily",
        "day",
        "calls",
        (*_SCOPE_KEYS, _column("user_id", _TEXT, "end user")),
    ),
    Rollup(
        "agent_version_daily",
        "day",
        "calls",
        (
            *_SCOPE_KEYS,
            _AGENT,
            _column("agent_version", _TEXT, "version of the agent"),
        ),
        extra=(
            _column("max_input_tokens", _COUNT, "input of the largest call"),
            *_HISTORY,
        ),
    ),
)
"""The rollups in the order they are refreshed."""

BUDGET_SCHEMA: Final = pa.schema(
    [
        _column("name", _TEXT, "name of the budget", null=False),
        _column("dimension", _TEXT, "column of calls, or total", null=False),
        _column("value", _TEXT, "only this value; null for each by itself"),
        _column("period", _TEXT, "hour, day, week or month", null=False),
        _column("measure", _TEXT, "column of calls that is added up", null=False),
        _column("limit_amount", pa.decimal128(27, 12), "the amount", null=False),
        _column("thresholds", pa.list_(pa.int32()), "percentages", null=False),
    ]
)
"""The table ``budgets`` that the rule ``budget`` reads."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A test of the ledger; its ``.sql`` file returns one row per finding."""

    name: str
    severity: Literal["info", "warning", "critical"] = "warning"
    parameters: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType({})
    )
    path: Path | None = None


RULES: Final = (
    Rule("context_growth", parameters=MappingProxyType({"threshold": 1.4})),
    Rule("runaway_loop", parameters=MappingProxyType({"min_rounds": 3.0})),
    Rule(
        "context_jump",
        parameters=MappingProxyType({"min_tokens": 3000.0, "warning_tokens": 20_000.0}),
    ),
    Rule(
        "run_too_long",
        parameters=MappingProxyType(
            {"factor": 1.5, "more_calls": 8.0, "min_runs": 20.0}
        ),
    ),
    Rule(
        "context_trend",
        parameters=MappingProxyType(
            {
                "factor": 1.3,
                "min_runs": 20.0,
                "min_floor_tokens": 500.0,
                "min_slope_tokens": 100.0,
            }
        ),
    ),
    Rule("budget"),
    Rule("unpriced_model", parameters=MappingProxyType({"min_calls": 1.0})),
    Rule(
        "retry_amplification",
        parameters=MappingProxyType({"threshold": 1.5, "min_needless": 5.0}),
    ),
    Rule(
        "error_rate",
        parameters=MappingProxyType(
            {"threshold": 0.05, "min_calls": 20.0, "min_failed": 5.0}
        ),
    ),
    Rule(
        "latency_p95",
        parameters=MappingProxyType({"threshold_ms": 30_000.0, "min_calls": 20.0}),
    ),
    Rule(
        "cost_spike",
        parameters=MappingProxyType({"factor": 2.0, "min_usd": 1.0, "min_hours": 24.0}),
    ),
    Rule(
        "cache_hit_drop",
        parameters=MappingProxyType(
            {
                "factor": 0.5,
                "min_rate": 0.2,
                "min_input_tokens": 100_000.0,
                "min_hours": 24.0,
            }
        ),
    ),
    Rule(
        "embedding_duplicates",
        parameters=MappingProxyType({"threshold": 0.2, "min_duplicates": 100.0}),
    ),
)
"""The built-in rules in the order they run."""


def find_rollup(name: str) -> Rollup:
    """Return the rollup called *name*; `KeyError` if there is none."""
    return {rollup.name: rollup for rollup in ROLLUPS}[name]


def find_rules(directory: Path | None = None) -> tuple[Rule, ...]:
    """
    Return the built-in rules and those of the user's *directory*, by file name.

    A file named like a built-in rule takes its place.
    """
    files = sorted(directory.glob("*.sql")) if directory else []
    own = {path.stem: Rule(path.stem, path=path) for path in files}
    built_in = [rule for rule in RULES if rule.name not in own]
    return (*built_in, *own.values())
