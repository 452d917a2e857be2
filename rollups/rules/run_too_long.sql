-- rule:       run_too_long
-- says:       a run makes far more calls than runs of its agent and feature did in the
--             24 hours before the hour in which it began
-- grain:      one row per run: its longest such chain
-- reads:      chains, runs
-- parameters: $since, $until  runs that started in this time, half-open
--             $factor, $more_calls  it is beyond the 95th percentile times the one, and
--                             by the other at least
--             $min_runs       least number of earlier chains
-- The column too_long of chains says the same with the rule's defaults.
-- Which runs are earlier is a matter of when they started, so the same runs give the
-- same findings in whatever order they arrive. The window is the hour in which the run
-- started; the row is stamped with the run's last known moment.
WITH placed AS (
    SELECT
        trace_id,
        run_id,
        chain_id,
        timestamp,
        tenant,
        feature,
        agent_name,
        calls,
        count(*) OVER earlier AS runs_before,
        quantile_disc(calls, 0.95) OVER earlier AS p95_calls
    FROM chains
    WHERE calls > 0 AND timestamp >= $since::TIMESTAMPTZ - INTERVAL 25 HOUR
    WINDOW earlier AS (
        PARTITION BY tenant, feature, agent_name
        ORDER BY date_trunc('hour', timestamp)
        RANGE BETWEEN INTERVAL 24 HOUR PRECEDING AND INTERVAL 1 HOUR PRECEDING
    )
)

SELECT
    runs.timestamp + to_microseconds((runs.duration_ms * 1000)::BIGINT) AS timestamp,
    date_trunc('hour', runs.timestamp) AS window_start,
    date_trunc('hour', runs.timestamp) + INTERVAL 1 HOUR AS window_end,
    runs.run_id AS run_id,
    runs.trace_id AS trace_id,
    {
        'tenant': placed.tenant,
        'feature': placed.feature,
        'agent_name': placed.agent_name,
        'service_name': CASE
            WHEN coalesce(placed.feature, placed.agent_name) IS NULL THEN runs.service_name
        END,
        'run_id': runs.run_id,
        'trace_id': runs.trace_id
    } AS scope,
    placed.calls AS value,
    greatest($factor * placed.p95_calls, placed.p95_calls + $more_calls)::DOUBLE
        AS threshold,
    'warning' AS severity,
    {
        'chain_id': placed.chain_id,
        'steps': placed.calls,
        'closed': runs.closed,
        'p95_calls': placed.p95_calls,
        'runs_before': placed.runs_before,
        'run_cost_usd': runs.cost_usd
    } AS details
FROM placed
JOIN runs ON placed.trace_id = runs.trace_id AND placed.run_id = runs.run_id
WHERE placed.runs_before >= $min_runs
  AND placed.calls > greatest(
      $factor * placed.p95_calls, placed.p95_calls + $more_calls
  )
  AND runs.timestamp >= $since
  AND runs.timestamp < $until
QUALIFY row_number() OVER (
    PARTITION BY runs.trace_id, runs.run_id
    ORDER BY placed.calls DESC, placed.chain_id
) = 1
ORDER BY timestamp, trace_id, run_id
