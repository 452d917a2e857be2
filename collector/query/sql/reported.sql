-- report: where costs that senders reported differ from what the price book says
-- grain:  one row per (dialect, provider, model, what counts), largest difference first
-- reads:  reported_calls
-- Where the reported cost counts, the computed one is what the call's own price book says
-- without it. unpriced_calls are those for which the book has no price.
SELECT
    dialect,
    provider,
    coalesce(response_model, request_model) AS model,
    CASE WHEN cost_status = 'reported' THEN 'reported' ELSE 'computed' END AS counted,
    count(*) AS calls,
    sum(reported_cost_usd)::DECIMAL(38, 12) AS reported_usd,
    sum(computed_usd)::DECIMAL(38, 12) AS computed_usd,
    (sum(reported_cost_usd - computed_usd))::DECIMAL(38, 12) AS difference_usd,
    count(*) FILTER (WHERE reported_cost_usd IS DISTINCT FROM computed_usd)
        AS differing_calls,
    count(*) FILTER (WHERE computed_usd IS NULL) AS unpriced_calls,
    arg_max(
        trace_id,
        (abs(reported_cost_usd - coalesce(computed_usd, 0)), trace_id, span_id)
    ) AS example_trace_id,
    arg_max(
        span_id,
        (abs(reported_cost_usd - coalesce(computed_usd, 0)), trace_id, span_id)
    ) AS example_span_id
FROM reported_calls
GROUP BY ALL
ORDER BY abs(difference_usd) DESC NULLS LAST, reported_usd DESC, dialect, provider,
    model, counted
LIMIT $limit
