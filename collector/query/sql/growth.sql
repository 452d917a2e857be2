-- report: which runs send their growing history again and again, by dollars
-- grain:  one row per run whose verdict is more than none
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
    severity,
    quadratic,
    growth_shape,
    growth_exponent,
    slope_tokens_per_step,
    calls,
    resent_tokens,
    resent_share,
    resent_usd,
    waste_tokens,
    waste_usd,
    is_loop,
    too_long,
    jump_steps,
    jump_tool,
    cost_usd,
    coverage,
    cost_lower_usd,
    cost_upper_usd
FROM runs
LEFT JOIN bounds USING (trace_id, run_id)
WHERE severity IS NOT NULL AND severity <> 'none'
ORDER BY resent_usd DESC NULLS LAST, resent_tokens DESC NULLS LAST, timestamp, trace_id,
    run_id
LIMIT $limit
