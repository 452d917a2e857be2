-- report: what need not have been spent, and why; kinds may overlap
-- grain:  one row per (kind, feature, agent), the dearest first
-- reads:  redundant_work, bounded_calls
-- Waste that is a whole call without a price has that call's bounds. Parts of calls, and
-- whole runs, have none: the sum of what is known is waste_lower_usd, and waste_upper_usd
-- is null.
WITH bounded AS (
    SELECT
        work.*,
        CASE WHEN work.usd IS NULL THEN whole.lower_usd ELSE work.usd END AS lower_usd,
        CASE WHEN work.usd IS NULL THEN whole.upper_usd ELSE work.usd END AS upper_usd
    FROM redundant_work AS work
    LEFT JOIN bounded_calls AS whole
        ON work.kind IN (
            'loop', 'failed', 'repeat', 'resent_request', 'same_embedding'
        )
        AND work.trace_id = whole.trace_id
        AND work.span_id = whole.span_id
)

SELECT
    kind,
    feature,
    agent_name,
    count(*) AS occurrences,
    count(DISTINCT concat(trace_id, '/', run_id)) AS runs,
    TRY_CAST(sum(tokens) AS BIGINT) AS tokens,
    sum(usd)::DECIMAL(38, 12) AS waste_usd,
    sum(usd)::DOUBLE / nullif((SELECT sum(cost_usd) FROM bounded_calls)::DOUBLE, 0)
        AS cost_share,
    count(*) FILTER (WHERE usd IS NULL) AS unpriced,
    coalesce(sum(tokens) FILTER (WHERE usd IS NOT NULL), 0) / nullif(sum(tokens), 0)
        AS coverage,
    sum(lower_usd)::DECIMAL(38, 12) AS waste_lower_usd,
    CASE
        WHEN count(*) = count(upper_usd) THEN sum(upper_usd)::DECIMAL(38, 12)
    END AS waste_upper_usd,
    mode(what) AS mostly,
    arg_max(trace_id, (coalesce(usd, 0), tokens, trace_id)) AS example_trace_id
FROM bounded
GROUP BY kind, feature, agent_name
ORDER BY waste_usd DESC NULLS LAST, tokens DESC NULLS LAST, kind, feature, agent_name
LIMIT $limit
