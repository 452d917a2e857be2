-- report: which agent runs cost most, with the runs that they started
-- grain:  one row per run, the dearest first
-- reads:  runs
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
    duration_ms,
    closed,
    error_type,
    growth_shape,
    severity
FROM runs
ORDER BY subtree_cost_usd DESC NULLS LAST, cost_usd DESC NULLS LAST, timestamp, trace_id,
    run_id
LIMIT $limit
