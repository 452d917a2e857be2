-- grain: one row per agent and step
-- reads: rollups/step_daily
-- parameters: $lake  root of the lake
SELECT
    agent_name,
    step,
    sum(calls)::BIGINT AS calls,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(cost_usd)::DECIMAL(38, 12) AS cost_usd
FROM read_parquet($lake || '/rollups/step_daily/**/*.parquet', union_by_name = true)
GROUP BY agent_name, step
ORDER BY agent_name, step
