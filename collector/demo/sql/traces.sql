-- grain: one row per trace
-- reads: rollups/trace
-- parameters: $lake  root of the lake
SELECT trace_id, agent_name, feature, calls, steps, input_tokens, cost_usd
FROM read_parquet($lake || '/rollups/trace/**/*.parquet', union_by_name = true)
ORDER BY cost_usd DESC
