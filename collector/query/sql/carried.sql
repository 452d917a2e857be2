-- report: whose history is sent again, what it costs, and what it is made of
-- grain:  one row per (feature, agent, version), the dearest first
-- reads:  chains, runs, history_bounds
-- Dollars of the parts add up to resent_usd: results of tools, the model's own answers,
-- and what neither explains (turns of users, injected context). In runs without any
-- price, history that was sent again has the bounds of a token there.
WITH bounded AS (
    SELECT
        chains.*,
        coalesce(resent_usd, resent_tokens::DECIMAL(20, 0) * token_lower_usd)
            AS lower_usd,
        coalesce(resent_usd, resent_tokens::DECIMAL(20, 0) * token_upper_usd)
            AS upper_usd
    FROM chains
    LEFT JOIN history_bounds USING (trace_id, run_id)
),

of_run AS (
    SELECT
        trace_id,
        run_id,
        TRY_CAST(sum(resent_tokens) AS BIGINT) AS resent_tokens,
        count(*) FILTER (WHERE resent_tokens > 0 AND resent_usd IS NULL) AS unpriced,
        sum(resent_tokens) FILTER (WHERE resent_usd IS NOT NULL) AS priced_tokens,
        sum(resent_usd) AS resent_usd,
        sum(carried_result_usd) AS carried_result_usd,
        sum(carried_output_usd) AS carried_output_usd,
        sum(carried_other_usd) AS carried_other_usd,
        sum(waste_usd) AS waste_usd,
        sum(lower_usd) AS lower_usd,
        sum(upper_usd) AS upper_usd,
        count(*) FILTER (WHERE resent_tokens > 0 AND upper_usd IS NULL) AS unbounded
    FROM bounded
    GROUP BY trace_id, run_id
)
SELECT
    runs.feature,
    runs.agent_name,
    runs.agent_version,
    count(*) AS runs,
    TRY_CAST(sum(runs.calls) AS BIGINT) AS calls,
    sum(runs.cost_usd)::DECIMAL(38, 12) AS cost_usd,
    sum(of_run.resent_usd)::DECIMAL(38, 12) AS resent_usd,
    sum(of_run.carried_result_usd)::DECIMAL(38, 12) AS carried_result_usd,
    sum(of_run.carried_output_usd)::DECIMAL(38, 12) AS carried_output_usd,
    sum(of_run.carried_other_usd)::DECIMAL(38, 12) AS carried_other_usd,
    sum(of_run.waste_usd)::DECIMAL(38, 12) AS waste_usd,
    TRY_CAST(sum(runs.input_tokens) AS BIGINT) AS input_tokens,
    TRY_CAST(sum(of_run.resent_tokens) AS BIGINT) AS resent_tokens,
    sum(of_run.resent_tokens) / nullif(sum(runs.input_tokens), 0) AS resent_share,
    TRY_CAST(sum(of_run.unpriced) AS BIGINT) AS unpriced_chains,
    coalesce(sum(of_run.priced_tokens), 0) / nullif(sum(of_run.resent_tokens), 0)
        AS coverage,
    sum(of_run.lower_usd)::DECIMAL(38, 12) AS resent_lower_usd,
    CASE
        WHEN sum(of_run.unbounded) = 0
        THEN sum(of_run.upper_usd)::DECIMAL(38, 12)
    END AS resent_upper_usd
FROM runs
JOIN of_run USING (trace_id, run_id)
GROUP BY runs.feature, runs.agent_name, runs.agent_version
ORDER BY resent_usd DESC NULLS LAST, resent_tokens DESC NULLS LAST, feature, agent_name,
    agent_version
LIMIT $limit
