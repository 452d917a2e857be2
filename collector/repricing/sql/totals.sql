-- report: what all calls that were priced again cost before and after
-- grain:  one row
-- reads:  compared
SELECT
    coalesce(sum(calls), 0)::BIGINT AS calls,
    coalesce(sum(changed_calls), 0)::BIGINT AS restated_calls,
    coalesce(sum(calls - changed_calls), 0)::BIGINT AS unchanged_calls,
    sum(known_usd)::DECIMAL(38, 12) AS cost_usd,
    sum(restated_usd)::DECIMAL(38, 12) AS restated_usd,
    (coalesce(sum(restated_usd), 0) - coalesce(sum(known_usd), 0))::DECIMAL(38, 12)
        AS difference_usd,
    coalesce(sum(known_unpriced), 0)::BIGINT AS unpriced_calls,
    coalesce(sum(restated_unpriced), 0)::BIGINT AS restated_unpriced_calls
FROM compared
