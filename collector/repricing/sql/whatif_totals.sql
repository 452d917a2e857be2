-- report: what calls cost, and what they would have
-- grain:  one row
-- reads:  compared  sums by feature and step, several rows of each
-- Sums are over the calls that have both costs; the others are counted.
SELECT
    coalesce(sum(calls), 0)::BIGINT AS calls,
    coalesce(sum(later_book_calls), 0)::BIGINT AS later_book_calls,
    coalesce(sum(changed_calls), 0)::BIGINT AS changed_calls,
    sum(cost_usd)::DECIMAL(38, 12) AS cost_usd,
    sum(whatif_usd)::DECIMAL(38, 12) AS whatif_usd,
    (coalesce(sum(whatif_usd), 0) - coalesce(sum(cost_usd), 0))::DECIMAL(38, 12)
        AS difference_usd,
    coalesce(sum(unpriced_calls), 0)::BIGINT AS unpriced_calls,
    coalesce(sum(partial_calls), 0)::BIGINT AS partial_calls
FROM compared
