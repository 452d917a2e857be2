-- report: what each step of an agent costs: context that grows shows as a staircase
-- grain:  one row per (feature, agent, step); step null is outside the loop
-- reads:  bounded_calls
SELECT
    feature,
    agent_name,
    step,
    count(*) AS calls,
    count(*) FILTER (WHERE is_failed) AS failed_calls,
    round(avg(input_tokens), 1) AS avg_input_tokens,
    max(input_tokens) AS max_input_tokens,
    TRY_CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    TRY_CAST(sum(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
    TRY_CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    sum(cost_usd)::DECIMAL(38, 12) AS cost_usd,
    count(*) FILTER (WHERE is_unpriced) AS unpriced_calls,
    coalesce(sum(tokens) FILTER (WHERE NOT is_unpriced), 0)
        / nullif(sum(tokens), 0) AS coverage,
    sum(lower_usd)::DECIMAL(38, 12) AS cost_lower_usd,
    CASE
        WHEN count(*) = count(upper_usd) THEN sum(upper_usd)::DECIMAL(38, 12)
    END AS cost_upper_usd
FROM bounded_calls
GROUP BY feature, agent_name, step
ORDER BY feature, agent_name, step
LIMIT $limit
