-- rollup:     trace
-- grain:      one row per trace; it stands at its first call
-- reads:      measured_calls
-- parameters: $since, $until  UTC, half-open
-- What each trace costs. Identity is that of the first call that has one.
SELECT
    min(timestamp) AS timestamp,
    trace_id,
    arg_min(tenant, (timestamp, span_id)) AS tenant,
    arg_min(project, (timestamp, span_id)) AS project,
    arg_min(environment, (timestamp, span_id)) AS environment,
    arg_min(feature, (timestamp, span_id)) AS feature,
    arg_min(agent_name, (timestamp, span_id)) AS agent_name,
    arg_min(user_id, (timestamp, span_id)) AS user_id,
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
    coalesce(histogram(error_type), MAP {}) AS errors,
    count(DISTINCT (run_id, step)) FILTER (WHERE step IS NOT NULL) AS steps,
    max(epoch_us(timestamp) / 1000 + latency_ms) - min(epoch_us(timestamp)) / 1000
        AS duration_ms
FROM measured_calls
WHERE trace_id IN (
    SELECT trace_id FROM calls WHERE timestamp >= $since AND timestamp < $until
)
GROUP BY trace_id
HAVING min(timestamp) >= $since
ORDER BY timestamp, trace_id
