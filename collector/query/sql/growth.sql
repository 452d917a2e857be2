-- report: which runs send their growing history again and again, by dollars
-- grain:  one row per run whose verdict is more than none
-- reads:  runs
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
    coverage
FROM runs
WHERE severity IS NOT NULL AND severity <> 'none'
ORDER BY resent_usd DESC NULLS LAST, resent_tokens DESC NULLS LAST, timestamp, trace_id,
    run_id
LIMIT $limit
