-- rule:       runaway_loop
-- says:       a run repeats itself: the same tool calls with the same results again and
--             again, or far more calls than runs of its agent and feature ever make
-- grain:      one row per run: its worst such chain (severity, rounds, calls, id)
-- reads:      chains, runs
-- parameters: $since, $until  runs alive in this time, half-open
--             $min_rounds     least number of rounds of a loop
-- The window is the hour in which the run started, so that it stays as the run goes on;
-- the row is stamped with the run's last known moment. Where there is no loop the run is
-- too long: value is its calls, and no threshold is known here.
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
        'run_id': runs.run_id,
        'trace_id': runs.trace_id
    } AS scope,
    CASE WHEN chains.is_loop THEN chains.loop_rounds ELSE chains.calls END AS value,
    CASE WHEN chains.is_loop THEN $min_rounds::DOUBLE END AS threshold,
    chains.severity AS severity,
    {
        'chain_id': chains.chain_id,
        'steps': chains.calls,
        'closed': runs.closed,
        'loop_start': chains.loop_start,
        'loop_period': chains.loop_period,
        'loop_rounds': chains.loop_rounds,
        'too_long': chains.too_long,
        'avoidable_tokens': chains.waste_tokens,
        'wasted_usd': chains.waste_usd,
        'wasted_usd_is': 'waste_usd',
        'run_cost_usd': runs.cost_usd
    } AS details
FROM chains
JOIN runs ON chains.trace_id = runs.trace_id AND chains.run_id = runs.run_id
WHERE (chains.is_loop AND chains.loop_rounds >= $min_rounds OR chains.too_long)
  AND chains.severity IN ('warning', 'critical')
  AND runs.timestamp < $until
  AND runs.timestamp + to_microseconds((runs.duration_ms * 1000)::BIGINT) >= $since
QUALIFY row_number() OVER (
    PARTITION BY runs.trace_id, runs.run_id
    ORDER BY
        chains.severity,
        chains.loop_rounds DESC NULLS LAST,
        chains.calls DESC,
        chains.chain_id
) = 1
ORDER BY timestamp, trace_id, run_id
