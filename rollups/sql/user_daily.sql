-- rollup:     user_daily
-- grain:      one row per (UTC day, tenant, project, environment, user)
-- reads:      measured_calls
-- parameters: $since, $until  UTC, half-open
-- What each end user costs, day by day.
SELECT
    time_bucket(INTERVAL 24 HOUR, timestamp) AS window_start,
    tenant,
    project,
    environment,
    user_id,
    count(*) AS calls,
    count(*) FILTER (WHERE is_failed) AS failed_calls,
    count(DISTINCT run_key) AS runs,
    TRY_CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    TRY_CAST(sum(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
    TRY_CAST(sum(input_tokens) FILTER (WHERE cache_read_tokens IS NOT NULL) AS BIGINT)
        AS cache_known_input_tokens,
    TRY_CAST(sum(cache_write_tokens) AS BIGINT) AS cache_write_tokens,
    TRY_CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    sum(cost_usd)::DECIMAL(38, 12) AS cost_usd,
    (sum(cost_usd) FILTER (WHERE is_subscription))::DECIMAL(38, 12) AS subscription_usd,
    (
        (TRY_CAST(sum(cost_usd) AS DECIMAL(26, 12)) * 1000000000000)::HUGEINT * 2
        + count(DISTINCT run_key)
    ) // (2 * count(DISTINCT run_key)) * 0.000000000001 AS cost_per_run_usd,
    sum(cache_savings_usd)::DECIMAL(38, 12) AS cache_savings_usd,
    count(*) FILTER (WHERE is_unpriced) AS unpriced_calls,
    coalesce(sum(tokens) FILTER (WHERE NOT is_unpriced), 0)
        / nullif(sum(tokens), 0) AS coverage,
    sum(weight)::DECIMAL(38, 6) AS weighted_calls,
    sum(weighted_cost_usd)::DECIMAL(38, 12) AS weighted_cost_usd,
    coalesce(histogram(latency_bucket), MAP {}) AS latency_histogram,
    quantile_disc(latency_ms, [0.50, 0.95, 0.99])[1] AS latency_p50_ms,
    quantile_disc(latency_ms, [0.50, 0.95, 0.99])[2] AS latency_p95_ms,
    quantile_disc(latency_ms, [0.50, 0.95, 0.99])[3] AS latency_p99_ms,
    coalesce(histogram(ttft_bucket), MAP {}) AS ttft_histogram,
    quantile_disc(ttft_ms, [0.50, 0.95, 0.99])[1] AS ttft_p50_ms,
    quantile_disc(ttft_ms, [0.50, 0.95, 0.99])[2] AS ttft_p95_ms,
    quantile_disc(ttft_ms, [0.50, 0.95, 0.99])[3] AS ttft_p99_ms,
    coalesce(histogram(error_type), MAP {}) AS errors
FROM measured_calls
WHERE timestamp >= $since AND timestamp < $until
GROUP BY ALL
ORDER BY window_start, tenant, project, environment, user_id
