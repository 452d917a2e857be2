-- rule:       runaway_loop
-- says:       a run repeats itself: the same tool calls with the same results again and
--             again
-- grain:      one row per run: its worst such chain (severity, rounds, calls, id)
-- reads:      chains, runs
-- parameters: $since, $until  runs alive in this time, half-open
--             $min_rounds     least number of rounds of a loop
-- The window is the hour in which the run started, so that it stays as the run goes on;
-- the row is stamped with the run's last known moment.
SELECT
    runs.timestamp + to_microseconds((runs.duration_ms * 1000)::BIGINT) AS timestamp,
    date_trunc('hour', runs.timestamp) AS window_start,
    date_trunc('hour', runs.timestamp) + INTERVAL 1 HOUR AS window_end,
    runs.run_id AS run_id,
    runs.trace_id AS trace_id,
    {
        'tenant': runs.tenant,
        'feature': runs.feature,
        'agent_name': runs.agent_name,
        'service_name': CASE
            WHEN coalesce(runs.feature, runs.agent_name) IS NULL THEN runs.service_name
        END,
        'run_id': runs.run_id,
        'trace_id': runs.trace_id
    } AS scope,
    chains.loop_rounds AS value,
    $min_rounds::DOUBLE AS threshold,
    chains.severity AS severity,
    {
        'chain_id': chains.chain_id,
        'steps': chains.calls,
        'closed': runs.closed,
        'loop_start': chains.loop_start,
        'loop_period': chains.loop_period,
        'loop_rounds': chains.loop_rounds,
        'avoidable_tokens': chains.waste_tokens,
        'wasted_usd': chains.waste_usd,
        'wasted_usd_is': 'waste_usd',
        'run_cost_usd': runs.cost_usd
    } AS details
FROM chains
JOIN runs ON chains.trace_id = runs.trace_id AND chains.run_id = runs.run_id
WHERE chains.is_loop
  AND chains.loop_rounds >= $min_rounds
  AND chains.severity IN ('warning', 'critical')
  AND runs.timestamp < $until
  AND runs.timestamp + to_microseconds((runs.duration_ms * 1000)::BIGINT) >= $since
QUALIFY row_number() OVER (
    PARTITION BY runs.trace_id, runs.run_id
    ORDER BY
        chains.severity,
        chains.loop_rounds DESC,
        chains.calls DESC,
        chains.chain_id
) = 1
ORDER BY timestamp, trace_id, run_id
