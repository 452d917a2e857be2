-- report: which calls have no price or only part of one, and why
-- grain:  one row per (provider, model, status, reason), most tokens first
-- reads:  bounded_calls
SELECT
    provider,
    model,
    cost_status,
    cost_reason,
    count(*) AS calls,
    TRY_CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    TRY_CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    sum(cost_usd)::DECIMAL(38, 12) AS known_cost_usd,
    (sum(lower_usd) FILTER (WHERE is_unpriced))::DECIMAL(38, 12) AS rest_lower_usd,
    CASE
        WHEN count(*) = count(upper_usd)
        THEN (sum(upper_usd) FILTER (WHERE is_unpriced))::DECIMAL(38, 12)
    END AS rest_upper_usd,
    min(timestamp) AS first_call,
    max(timestamp) AS last_call,
    arg_min(trace_id, (timestamp, span_id)) AS example_trace_id,
    arg_min(span_id, (timestamp, span_id)) AS example_span_id
FROM bounded_calls
WHERE cost_status IN ('unpriced', 'partial')
GROUP BY ALL
ORDER BY input_tokens DESC NULLS LAST, calls DESC, provider, model, cost_status,
    cost_reason
LIMIT $limit
