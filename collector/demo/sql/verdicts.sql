-- grain: one row per agent run
-- reads: runs
-- parameters: $lake  root of the lake
SELECT
    agent_name,
    quadratic,
    growth_shape,
    growth_exponent,
    slope_tokens_per_step,
    input_tokens,
    resent_tokens,
    resent_usd,
    cost_usd
FROM read_parquet($lake || '/runs/**/*.parquet', union_by_name = true)
ORDER BY resent_tokens DESC
