-- report: which tools make the context large, and what carrying their results costs
-- grain:  one row per (tool, type), the dearest first
-- reads:  tool_calls
SELECT
    tool_name,
    tool_type,
    count(*) AS calls,
    count(*) FILTER (WHERE error_type IS NOT NULL) AS failed_calls,
    count(DISTINCT concat(trace_id, '/', run_id)) AS runs,
    TRY_CAST(sum(result_tokens) AS BIGINT) AS result_tokens,
    max(result_tokens) AS max_result_tokens,
    TRY_CAST(sum(carried_tokens) AS BIGINT) AS carried_tokens,
    sum(carried_usd)::DECIMAL(38, 12) AS carried_usd,
    quantile_disc(duration_ms, 0.50) AS latency_p50_ms,
    quantile_disc(duration_ms, 0.95) AS latency_p95_ms
FROM tool_calls
GROUP BY tool_name, tool_type
ORDER BY carried_usd DESC NULLS LAST, carried_tokens DESC NULLS LAST, tool_name, tool_type
LIMIT $limit
