-- report: what each feature costs
-- grain:  one row per feature, the dearest first
-- reads:  bounded_calls
SELECT
    feature,
    count(DISTINCT run_key) AS runs,
    count(*) AS calls,
    count(*) FILTER (WHERE is_failed) AS failed_calls,
    TRY_CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    TRY_CAST(sum(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
    TRY_CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    sum(cost_usd)::DECIMAL(38, 12) AS cost_usd,
    (
        (TRY_CAST(sum(cost_usd) AS DECIMAL(26, 12)) * 1000000000000)::HUGEINT * 2
        + count(DISTINCT run_key)
    ) // (2 * count(DISTINCT run_key)) * 0.000000000001 AS cost_per_run_usd,
    sum(cache_savings_usd)::DECIMAL(38, 12) AS cache_savings_usd,
    count(*) FILTER (WHERE is_unpriced) AS unpriced_calls,
    coalesce(sum(tokens) FILTER (WHERE NOT is_unpriced), 0)
        / nullif(sum(tokens), 0) AS coverage,
    sum(lower_usd)::DECIMAL(38, 12) AS cost_lower_usd,
    CASE
        WHEN count(*) = count(upper_usd) THEN sum(upper_usd)::DECIMAL(38, 12)
    END AS cost_upper_usd
FROM bounded_calls
GROUP BY feature
ORDER BY cost_usd DESC NULLS LAST, feature
LIMIT $limit
