-- report: what each model costs and how it answers
-- grain:  one row per (provider, model), the dearest first
-- reads:  bounded_calls
SELECT
    provider,
    model,
    count(*) AS calls,
    count(*) FILTER (WHERE is_failed) AS failed_calls,
    TRY_CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    TRY_CAST(sum(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
    TRY_CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    sum(cost_usd)::DECIMAL(38, 12) AS cost_usd,
    sum(cache_savings_usd)::DECIMAL(38, 12) AS cache_savings_usd,
    quantile_disc(latency_ms, 0.50) AS latency_p50_ms,
    quantile_disc(latency_ms, 0.95) AS latency_p95_ms,
    quantile_disc(ttft_ms, 0.50) AS ttft_p50_ms,
    quantile_disc(ttft_ms, 0.95) AS ttft_p95_ms,
    coalesce(histogram(error_type), MAP {}) AS errors,
    count(*) FILTER (WHERE is_unpriced) AS unpriced_calls,
    coalesce(sum(tokens) FILTER (WHERE NOT is_unpriced), 0)
        / nullif(sum(tokens), 0) AS coverage,
    sum(lower_usd)::DECIMAL(38, 12) AS cost_lower_usd,
    CASE
        WHEN count(*) = count(upper_usd) THEN sum(upper_usd)::DECIMAL(38, 12)
    END AS cost_upper_usd
FROM bounded_calls
GROUP BY provider, model
ORDER BY cost_usd DESC NULLS LAST, provider, model
LIMIT $limit
