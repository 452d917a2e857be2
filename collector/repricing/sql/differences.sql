-- report: what calls cost before and after they were priced again
-- grain:  one row per (provider, model, feature) with a call that changed
-- reads:  compared  sums by provider, model and feature, several rows of each
-- Sums leave out calls without a price, which are counted beside them.
SELECT
    provider,
    model,
    feature,
    sum(calls)::BIGINT AS calls,
    sum(changed_calls)::BIGINT AS changed_calls,
    sum(known_usd)::DECIMAL(38, 12) AS cost_usd,
    sum(restated_usd)::DECIMAL(38, 12) AS restated_usd,
    (coalesce(sum(restated_usd), 0) - coalesce(sum(known_usd), 0))::DECIMAL(38, 12)
        AS difference_usd,
    sum(known_unpriced)::BIGINT AS unpriced_calls,
    sum(restated_unpriced)::BIGINT AS restated_unpriced_calls
FROM compared
GROUP BY provider, model, feature
HAVING sum(changed_calls) > 0
ORDER BY abs(difference_usd) DESC, provider, model, feature
