-- grain: one row per feature
-- reads: rollups/feature_hourly
-- parameters: $lake  root of the lake
SELECT
    feature,
    sum(calls)::BIGINT AS calls,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(cache_read_tokens)::BIGINT AS cache_read_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(cost_usd)::DECIMAL(38, 12) AS cost_usd
FROM read_parquet($lake || '/rollups/feature_hourly/**/*.parquet', union_by_name = true)
GROUP BY feature
ORDER BY cost_usd DESC
