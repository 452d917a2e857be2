-- rule:       context_growth
-- says:       a run sends its growing history again with every step, so that its
--             input tokens grow with the square of its steps
-- grain:      one row per run: its worst such chain (severity, dollars, id)
-- reads:      chains, runs
-- parameters: $since, $until  runs alive in this time, half-open
--             $threshold      least growth exponent (1 is flat, 2 grows every step)
-- The window is the hour in which the run started, so that it stays as the run goes on;
-- the row is stamped with the run's last known moment.
-- The verdict is provisional until the run is closed.
-- wasted_usd is resent_usd, the most that trimming history could save;
-- avoidable_usd is waste_usd (loops, jumps that are carried, repeated calls).
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
    chains.growth_exponent AS value,
    $threshold::DOUBLE AS threshold,
    chains.severity AS severity,
    {
        'chain_id': chains.chain_id,
        'steps': chains.calls,
        'closed': runs.closed,
        'growth_shape': chains.growth_shape,
        'slope_tokens_per_step': round(chains.slope_tokens_per_step, 1),
        'resent_tokens': chains.resent_tokens,
        'resent_share': round(chains.resent_share, 4),
        'wasted_usd': chains.resent_usd,
        'wasted_usd_is': 'resent_usd',
        'avoidable_usd': chains.waste_usd,
        'run_cost_usd': runs.cost_usd
    } AS details
FROM chains
JOIN runs ON chains.trace_id = runs.trace_id AND chains.run_id = runs.run_id
WHERE chains.quadratic
  AND chains.severity IN ('warning', 'critical')
  AND chains.growth_exponent >= $threshold
  AND runs.timestamp < $until
  AND runs.timestamp + to_microseconds((runs.duration_ms * 1000)::BIGINT) >= $since
QUALIFY row_number() OVER (
    PARTITION BY runs.trace_id, runs.run_id
    ORDER BY chains.severity, chains.resent_usd DESC NULLS LAST, chains.chain_id
) = 1
ORDER BY timestamp, trace_id, run_id
