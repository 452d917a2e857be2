-- report:     which tools make the context large, and what their results cost
-- grain:      one row per (tool, type), the dearest first
-- reads:      tool_calls, history_bounds
-- parameters: $cut_results_to  tokens, for saved_usd
-- A result costs what its tokens cost in the first prompt that has it (first_sent_usd)
-- and in every later one (carried_usd). saved_usd is what would be saved if longer
-- results were cut. In runs without any price, the tokens of a result have the bounds of
-- a token there; results of unknown size are in no bound.
WITH sent AS (
    SELECT
        *,
        first_sent_tokens::HUGEINT + carried_tokens AS sent_tokens,
        first_sent_usd + carried_usd AS sent_usd
    FROM tool_calls
),

bounded AS (
    SELECT
        sent.*,
        coalesce(sent_usd, sent_tokens::DECIMAL(20, 0) * token_lower_usd) AS lower_usd,
        coalesce(sent_usd, sent_tokens::DECIMAL(20, 0) * token_upper_usd) AS upper_usd
    FROM sent
    LEFT JOIN history_bounds USING (trace_id, run_id)
)

SELECT
    tool_name,
    tool_type,
    count(*) AS calls,
    count(*) FILTER (WHERE error_type IS NOT NULL) AS failed_calls,
    count(DISTINCT concat(trace_id, '/', run_id)) AS runs,
    sum(sent_usd)::DECIMAL(38, 12) AS cost_usd,
    (sum(first_sent_usd) FILTER (WHERE carried_usd IS NOT NULL))::DECIMAL(38, 12)
        AS first_sent_usd,
    (sum(carried_usd) FILTER (WHERE first_sent_usd IS NOT NULL))::DECIMAL(38, 12)
        AS carried_usd,
    sum(
        CASE
            WHEN result_tokens <= $cut_results_to THEN 0
            ELSE (sent_usd * 1000000000000)::HUGEINT
                * (result_tokens - $cut_results_to)
                // nullif(result_tokens, 0)
        END
    ) * 0.000000000001 AS saved_usd,
    TRY_CAST(sum(result_tokens) AS BIGINT) AS result_tokens,
    quantile_disc(result_tokens, 0.50) AS result_tokens_p50,
    quantile_disc(result_tokens, 0.95) AS result_tokens_p95,
    max(result_tokens) AS max_result_tokens,
    TRY_CAST(sum(carried_tokens) AS BIGINT) AS carried_tokens,
    coalesce(sum(sent_tokens) FILTER (WHERE sent_usd IS NOT NULL), 0)
        / nullif(sum(sent_tokens), 0) AS coverage,
    sum(lower_usd)::DECIMAL(38, 12) AS cost_lower_usd,
    CASE
        WHEN count(*) FILTER (WHERE sent_tokens > 0 AND upper_usd IS NULL) = 0
        THEN sum(upper_usd)::DECIMAL(38, 12)
    END AS cost_upper_usd,
    quantile_disc(duration_ms, 0.50) AS latency_p50_ms,
    quantile_disc(duration_ms, 0.95) AS latency_p95_ms
FROM bounded
GROUP BY tool_name, tool_type
ORDER BY cost_usd DESC NULLS LAST, carried_tokens DESC NULLS LAST, tool_name, tool_type
LIMIT $limit
