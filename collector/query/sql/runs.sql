-- report: which agent runs cost most, with the runs that they started
-- grain:  one row per run, the dearest first
-- reads:  runs, bounded_calls
WITH bounds AS (
    SELECT
        trace_id,
        run_id,
        sum(lower_usd)::DECIMAL(38, 12) AS cost_lower_usd,
        CASE
            WHEN count(*) = count(upper_usd) THEN sum(upper_usd)::DECIMAL(38, 12)
        END AS cost_upper_usd
    FROM bounded_calls
    GROUP BY trace_id, run_id
)

SELECT
    timestamp,
    trace_id,
    run_id,
    feature,
    agent_name,
    steps,
    calls,
    failed_calls,
    input_tokens,
    cache_read_tokens,
    output_tokens,
    cost_usd,
    subtree_cost_usd,
    coverage,
    cost_lower_usd,
    cost_upper_usd,
    duration_ms,
    closed,
    error_type,
    growth_shape,
    severity
FROM runs
LEFT JOIN bounds USING (trace_id, run_id)
ORDER BY subtree_cost_usd DESC NULLS LAST, cost_usd DESC NULLS LAST, timestamp, trace_id,
    run_id
LIMIT $limit
