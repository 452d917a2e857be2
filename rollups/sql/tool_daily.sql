-- rollup:     tool_daily
-- grain:      one row per (UTC day, tenant, project, environment, feature, agent,
--             tool, type)
-- reads:      tool_calls
-- parameters: $since, $until  UTC, half-open
-- What each tool's results cost, day by day: a tool has no tokens of its own, so
-- input_tokens are its results' (sent first, then carried along) and cost_usd is what
-- both cost. Unpriced is a call whose result was sent at an unknown price.
WITH measured AS (
    SELECT
        *,
        concat(trace_id, '/', run_id) AS run_key,
        coalesce(
            first_sent_tokens::HUGEINT + carried_tokens,
            carried_tokens,
            first_sent_tokens
        ) AS sent_tokens,
        first_sent_usd + carried_usd AS sent_usd,
        coalesce(sent_tokens, 0) > 0 AND sent_usd IS NULL AS is_unpriced,
        TRY_CAST(
            ceil(log2(greatest(duration_ms, 0.001)) * 8 - 1e-9) - 1 AS INTEGER
        ) AS latency_bucket
    FROM tool_calls
    WHERE timestamp >= $since AND timestamp < $until
)
SELECT
    time_bucket(INTERVAL 24 HOUR, timestamp) AS window_start,
    tenant,
    project,
    environment,
    feature,
    agent_name,
    tool_name,
    tool_type,
    count(*) AS calls,
    count(*) FILTER (WHERE error_type IS NOT NULL) AS failed_calls,
    count(DISTINCT run_key) AS runs,
    TRY_CAST(sum(sent_tokens) AS BIGINT) AS input_tokens,
    NULL::BIGINT AS cache_read_tokens,
    NULL::BIGINT AS cache_known_input_tokens,
    NULL::BIGINT AS cache_write_tokens,
    NULL::BIGINT AS output_tokens,
    sum(sent_usd)::DECIMAL(38, 12) AS cost_usd,
    NULL::DECIMAL(38, 12) AS subscription_usd,
    (
        (TRY_CAST(sum(sent_usd) AS DECIMAL(26, 12)) * 1000000000000)::HUGEINT * 2
        + count(DISTINCT run_key)
    ) // (2 * count(DISTINCT run_key)) * 0.000000000001 AS cost_per_run_usd,
    NULL::DECIMAL(38, 12) AS cache_savings_usd,
    count(*) FILTER (WHERE is_unpriced) AS unpriced_calls,
    coalesce(sum(sent_tokens) FILTER (WHERE sent_usd IS NOT NULL), 0)
        / nullif(sum(sent_tokens), 0) AS coverage,
    NULL::DECIMAL(38, 6) AS weighted_calls,
    NULL::DECIMAL(38, 12) AS weighted_cost_usd,
    coalesce(histogram(latency_bucket), MAP {}) AS latency_histogram,
    quantile_disc(duration_ms, [0.50, 0.95, 0.99])[1] AS latency_p50_ms,
    quantile_disc(duration_ms, [0.50, 0.95, 0.99])[2] AS latency_p95_ms,
    quantile_disc(duration_ms, [0.50, 0.95, 0.99])[3] AS latency_p99_ms,
    MAP {}::MAP(INTEGER, BIGINT) AS ttft_histogram,
    NULL::DOUBLE AS ttft_p50_ms,
    NULL::DOUBLE AS ttft_p95_ms,
    NULL::DOUBLE AS ttft_p99_ms,
    coalesce(histogram(error_type), MAP {}) AS errors,
    TRY_CAST(sum(result_tokens) AS BIGINT) AS result_tokens,
    TRY_CAST(sum(result_bytes) AS BIGINT) AS result_bytes,
    TRY_CAST(sum(carried_tokens) AS BIGINT) AS carried_tokens,
    TRY_CAST(sum(first_sent_tokens) AS BIGINT) AS first_sent_tokens,
    sum(first_sent_usd)::DECIMAL(38, 12) AS first_sent_usd,
    sum(carried_usd)::DECIMAL(38, 12) AS carried_usd
FROM measured
GROUP BY ALL
ORDER BY window_start, tenant, project, environment, feature, agent_name, tool_name,
    tool_type
