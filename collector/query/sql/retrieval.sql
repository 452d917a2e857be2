-- report: what retrieval brings into prompts, and what that costs
-- grain:  one row per (source, feature), the dearest first
-- reads:  tool_calls, runs, history_bounds
-- Documents are the chunks that a retrieval found, where the library tells them. Their
-- tokens are a share of result_tokens, by bytes. document_tokens_p50 is the median over
-- retrievals of their middle chunk.
-- prompt_share is the part of all input of the runs that retrieved which is retrieved
-- text, sent first and again, without results of unknown size. Bounds are as in the
-- report on tools.
WITH retrieved AS (
    SELECT
        *,
        first_sent_tokens::HUGEINT + carried_tokens AS sent_tokens,
        result_tokens / nullif(document_bytes, 0) AS tokens_per_byte,
        TRY_CAST(round(median_document_bytes * tokens_per_byte) AS BIGINT)
            AS median_document_tokens,
        TRY_CAST(round(largest_document_bytes * tokens_per_byte) AS BIGINT)
            AS largest_document_tokens,
        first_sent_usd + carried_usd AS sent_usd,
        coalesce(sent_usd, sent_tokens::DECIMAL(20, 0) * token_lower_usd) AS lower_usd,
        coalesce(sent_usd, sent_tokens::DECIMAL(20, 0) * token_upper_usd) AS upper_usd
    FROM tool_calls
    LEFT JOIN history_bounds USING (trace_id, run_id)
    WHERE tool_type = 'retrieval'
),
prompts AS (
    SELECT
        sources.tool_name,
        runs.feature,
        sum(runs.input_tokens) AS input_tokens
    FROM (SELECT DISTINCT tool_name, trace_id, run_id FROM retrieved) AS sources
    JOIN runs USING (trace_id, run_id)
    GROUP BY ALL
)
SELECT
    retrieved.tool_name AS source,
    retrieved.feature,
    count(*) AS retrievals,
    count(DISTINCT concat(trace_id, '/', run_id)) AS runs,
    sum(sent_usd)::DECIMAL(38, 12) AS cost_usd,
    (sum(first_sent_usd) FILTER (WHERE carried_usd IS NOT NULL))::DECIMAL(38, 12)
        AS first_sent_usd,
    (sum(carried_usd) FILTER (WHERE first_sent_usd IS NOT NULL))::DECIMAL(38, 12)
        AS carried_usd,
    TRY_CAST(sum(result_tokens) AS BIGINT) AS result_tokens,
    quantile_disc(result_tokens, 0.50) AS result_tokens_p50,
    quantile_disc(result_tokens, 0.95) AS result_tokens_p95,
    max(result_tokens) AS max_result_tokens,
    count(*) FILTER (WHERE result_tokens IS NULL) AS unknown_sizes,
    TRY_CAST(sum(documents) AS BIGINT) AS documents,
    quantile_disc(documents, 0.50) AS documents_p50,
    quantile_disc(median_document_bytes, 0.50) AS document_bytes_p50,
    max(largest_document_bytes) AS max_document_bytes,
    quantile_disc(median_document_tokens, 0.50) AS document_tokens_p50,
    max(largest_document_tokens) AS max_document_tokens,
    TRY_CAST(sum(carried_tokens) AS BIGINT) AS carried_tokens,
    sum(sent_tokens) / nullif(any_value(prompts.input_tokens), 0) AS prompt_share,
    coalesce(sum(sent_tokens) FILTER (WHERE sent_usd IS NOT NULL), 0)
        / nullif(sum(sent_tokens), 0) AS coverage,
    sum(lower_usd)::DECIMAL(38, 12) AS cost_lower_usd,
    CASE
        WHEN count(*) FILTER (WHERE sent_tokens > 0 AND upper_usd IS NULL) = 0
        THEN sum(upper_usd)::DECIMAL(38, 12)
    END AS cost_upper_usd,
    quantile_disc(duration_ms, 0.50) AS latency_p50_ms
FROM retrieved
LEFT JOIN prompts
    ON prompts.tool_name IS NOT DISTINCT FROM retrieved.tool_name
    AND prompts.feature IS NOT DISTINCT FROM retrieved.feature
GROUP BY retrieved.tool_name, retrieved.feature
ORDER BY cost_usd DESC NULLS LAST, result_tokens DESC NULLS LAST, source, feature
LIMIT $limit
