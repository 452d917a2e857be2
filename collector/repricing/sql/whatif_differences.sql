-- report: what calls cost, and what they would have
-- grain:  one row per (feature, step)
-- reads:  compared  sums by feature and step, several rows of each
-- Sums are over the calls that have both costs; the others are counted.
SELECT
    feature,
    step,
    sum(calls)::BIGINT AS calls,
    sum(changed_calls)::BIGINT AS changed_calls,
    sum(cost_usd)::DECIMAL(38, 12) AS cost_usd,
    sum(whatif_usd)::DECIMAL(38, 12) AS whatif_usd,
    (coalesce(sum(whatif_usd), 0) - coalesce(sum(cost_usd), 0))::DECIMAL(38, 12)
        AS difference_usd,
    sum(unpriced_calls)::BIGINT AS unpriced_calls,
    sum(partial_calls)::BIGINT AS partial_calls
FROM compared
GROUP BY feature, step
ORDER BY feature, step
