-- rollup:     model_hourly
-- grain:      one row per (UTC hour, tenant, project, environment, provider,
--             request_model, response_model)
-- reads:      measured_calls
-- parameters: $since, $until  UTC, half-open
-- What each model costs and how it answers, hour by hour.
-- A failed call and the next one of its conversation are the same step. Asked of
-- another provider or model it is a failover: counted in failovers where it failed,
-- in takeovers where it was answered. The hour before and after is read for that.
WITH neighbours AS (
    SELECT
        *,
        lag(is_failed) OVER conversation AS previous_failed,
        lag((provider, request_model)) OVER conversation AS previous_asked,
        lead((provider, request_model)) OVER conversation AS next_asked
    FROM measured_calls
    WHERE timestamp >= $since - INTERVAL 1 HOUR
      AND timestamp < $until + INTERVAL 1 HOUR
    WINDOW conversation AS (
        PARTITION BY trace_id, run_id, chain_id, operation
        ORDER BY timestamp, span_id
    )
)
SELECT
    date_trunc('hour', timestamp) AS window_start,
    tenant,
    project,
    environment,
    provider,
    request_model,
    response_model,
    count(*) AS calls,
    count(*) FILTER (WHERE is_failed) AS failed_calls,
    count(DISTINCT run_key) AS runs,
    TRY_CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    TRY_CAST(sum(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
    TRY_CAST(sum(cache_write_tokens) AS BIGINT) AS cache_write_tokens,
    TRY_CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    sum(cost_usd)::DECIMAL(38, 12) AS cost_usd,
    (sum(cost_usd) FILTER (WHERE is_subscription))::DECIMAL(38, 12) AS subscription_usd,
    TRY_CAST(
        (2 * sum(cost_pico) + count(DISTINCT run_key))
        // (2 * count(DISTINCT run_key)) AS DECIMAL(26, 0)
    ) * 0.000000000001 AS cost_per_run_usd,
    sum(cache_savings_usd)::DECIMAL(38, 12) AS cache_savings_usd,
    count(*) FILTER (WHERE is_unpriced) AS unpriced_calls,
    coalesce(sum(tokens) FILTER (WHERE NOT is_unpriced), 0)
        / nullif(sum(tokens), 0) AS coverage,
    sum(weight)::DECIMAL(38, 6) AS weighted_calls,
    sum(weighted_cost_usd)::DECIMAL(38, 12) AS weighted_cost_usd,
    coalesce(histogram(latency_bucket), MAP {}) AS latency_histogram,
    quantile_disc(latency_ms, 0.50) AS latency_p50_ms,
    quantile_disc(latency_ms, 0.95) AS latency_p95_ms,
    quantile_disc(latency_ms, 0.99) AS latency_p99_ms,
    coalesce(histogram(ttft_bucket), MAP {}) AS ttft_histogram,
    quantile_disc(ttft_ms, 0.50) AS ttft_p50_ms,
    quantile_disc(ttft_ms, 0.95) AS ttft_p95_ms,
    quantile_disc(ttft_ms, 0.99) AS ttft_p99_ms,
    coalesce(histogram(error_type), MAP {}) AS errors,
    count(*) FILTER (
        WHERE is_failed AND next_asked <> (provider, request_model)
    ) AS failovers,
    count(*) FILTER (
        WHERE previous_failed AND previous_asked <> (provider, request_model)
    ) AS takeovers
FROM neighbours
WHERE timestamp >= $since AND timestamp < $until
GROUP BY ALL
ORDER BY window_start, tenant, project, environment, provider, request_model,
    response_model
