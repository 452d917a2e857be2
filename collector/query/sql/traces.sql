-- report: which traces cost most
-- grain:  one row per trace, the dearest first
-- reads:  bounded_calls
SELECT
    min(timestamp) AS timestamp,
    trace_id,
    arg_min(feature, (timestamp, span_id)) AS feature,
    arg_min(agent_name, (timestamp, span_id)) AS agent_name,
    count(DISTINCT run_id) AS runs,
    count(*) AS calls,
    count(*) FILTER (WHERE is_failed) AS failed_calls,
    TRY_CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    TRY_CAST(sum(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
    TRY_CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    sum(cost_usd)::DECIMAL(38, 12) AS cost_usd,
    max(epoch_us(timestamp) / 1000 + latency_ms) - min(epoch_us(timestamp)) / 1000
        AS duration_ms,
    count(*) FILTER (WHERE is_unpriced) AS unpriced_calls,
    coalesce(sum(tokens) FILTER (WHERE NOT is_unpriced), 0)
        / nullif(sum(tokens), 0) AS coverage,
    sum(lower_usd)::DECIMAL(38, 12) AS cost_lower_usd,
    CASE
        WHEN count(*) = count(upper_usd) THEN sum(upper_usd)::DECIMAL(38, 12)
    END AS cost_upper_usd
FROM bounded_calls
GROUP BY trace_id
ORDER BY cost_usd DESC NULLS LAST, timestamp, trace_id
LIMIT $limit
