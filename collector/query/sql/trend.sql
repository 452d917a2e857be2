-- report: how large an agent's contexts are, day by day and release by release
-- grain:  one row per (feature, agent, UTC day, version), the newest first of each agent
-- reads:  chains
-- Floor is the input of a conversation's first call: system prompt, tools, and what the
-- app puts in. Slope is what the context grows by with each step, of conversations of
-- three calls or more. Both are medians, as the rule context_trend compares them, and
-- the changes are against the row before in time of the same feature and agent.
WITH days AS (
    SELECT
        tenant,
        feature,
        agent_name,
        agent_version,
        time_bucket(INTERVAL 1 DAY, timestamp) AS day,
        min(timestamp) AS began,
        count(*) AS conversations,
        median(first_input_tokens) AS floor_tokens,
        quantile_disc(first_input_tokens, 0.95) AS floor_tokens_p95,
        median(CASE WHEN calls >= 3 THEN slope_tokens_per_step END)
            AS slope_tokens_per_step,
        quantile_disc(calls, 0.50) AS calls_p50,
        quantile_disc(calls, 0.95) AS calls_p95,
        count(*) FILTER (WHERE quadratic) AS growing,
        count(*) FILTER (WHERE is_loop) AS loops,
        count(*) FILTER (WHERE too_long) AS too_long,
        TRY_CAST(sum(resent_tokens) AS BIGINT) AS resent_tokens,
        sum(resent_usd)::DECIMAL(38, 12) AS resent_usd
    FROM chains
    WHERE calls > 0
    GROUP BY ALL
)
SELECT
    * EXCLUDE (began),
    floor_tokens - lag(floor_tokens) OVER earlier AS floor_change_tokens,
    slope_tokens_per_step - lag(slope_tokens_per_step) OVER earlier
        AS slope_change_tokens_per_step
FROM days
WINDOW earlier AS (
    PARTITION BY tenant, feature, agent_name
    ORDER BY day, began, agent_version
)
ORDER BY tenant, feature, agent_name, day DESC, began DESC, agent_version DESC
LIMIT $limit
