-- report: what people have to know beside the rows of any report
-- grain:  one row
-- reads:  bounded_calls
SELECT
    count(*) AS calls,
    count(*) FILTER (WHERE is_unpriced) AS unpriced_calls,
    coalesce(sum(tokens) FILTER (WHERE NOT is_unpriced), 0)
        / nullif(sum(tokens), 0) AS coverage,
    count(*) FILTER (WHERE cost_status = 'partial') AS partial_calls,
    (sum(lower_usd) FILTER (WHERE is_unpriced))::DECIMAL(38, 12) AS rest_lower_usd,
    (sum(upper_usd) FILTER (WHERE is_unpriced))::DECIMAL(38, 12) AS rest_upper_usd,
    count(*) FILTER (WHERE upper_usd IS NULL) AS unbounded_calls,
    sum(cost_usd)::DECIMAL(38, 12) AS cost_usd,
    sum(weighted_cost_usd)::DECIMAL(38, 12) AS weighted_cost_usd,
    (sum(cost_usd) FILTER (WHERE is_subscription))::DECIMAL(38, 12) AS subscription_usd,
    min(timestamp) AS first_call,
    max(timestamp) AS last_call
FROM bounded_calls
