-- rule:       context_jump
-- says:       one result (or other addition) filled a run's context at once, and every
--             later step sends it again
-- grain:      one row per run: its largest jump (tokens, id)
-- reads:      chains, runs
-- parameters: $since, $until    runs alive in this time, half-open
--             $min_tokens       least tokens that a jump adds
--             $warning_tokens   from here on it is a warning, below only recorded
-- The window is the hour in which the run started, so that it stays as the run goes on;
-- the row is stamped with the run's last known moment. It is critical if the chain is.
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
    chains.jump_tokens AS value,
    $min_tokens::DOUBLE AS threshold,
    CASE
        WHEN chains.jump_tokens < $warning_tokens THEN 'info'
        WHEN chains.severity = 'critical' THEN 'critical'
        ELSE 'warning'
    END AS severity,
    {
        'chain_id': chains.chain_id,
        'steps': chains.calls,
        'closed': runs.closed,
        'jump_steps': chains.jump_steps,
        'jump_tool': chains.jump_tool,
        'jump_tokens': chains.jump_tokens,
        'avoidable_tokens': chains.waste_tokens,
        'wasted_usd': chains.waste_usd,
        'wasted_usd_is': 'waste_usd',
        'run_cost_usd': runs.cost_usd
    } AS details
FROM chains
JOIN runs ON chains.trace_id = runs.trace_id AND chains.run_id = runs.run_id
WHERE chains.jump_tokens >= $min_tokens
  AND runs.timestamp < $until
  AND runs.timestamp + to_microseconds((runs.duration_ms * 1000)::BIGINT) >= $since
QUALIFY row_number() OVER (
    PARTITION BY runs.trace_id, runs.run_id
    ORDER BY chains.jump_tokens DESC, chains.chain_id
) = 1
ORDER BY timestamp, trace_id, run_id
