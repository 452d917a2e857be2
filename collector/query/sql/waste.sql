-- report: what need not have been spent, and why; kinds may overlap
-- grain:  one row per (kind, feature, agent), the dearest first
-- reads:  redundant_work, calls
SELECT
    kind,
    feature,
    agent_name,
    count(*) AS occurrences,
    count(DISTINCT concat(trace_id, '/', run_id)) AS runs,
    TRY_CAST(sum(tokens) AS BIGINT) AS tokens,
    sum(usd)::DECIMAL(38, 12) AS waste_usd,
    sum(usd)::DOUBLE / nullif((SELECT sum(cost_usd) FROM calls)::DOUBLE, 0)
        AS cost_share,
    count(*) FILTER (WHERE usd IS NULL) AS unpriced,
    coalesce(sum(tokens) FILTER (WHERE usd IS NOT NULL), 0) / nullif(sum(tokens), 0)
        AS coverage,
    mode(what) AS mostly,
    arg_max(trace_id, (coalesce(usd, 0), tokens, trace_id)) AS example_trace_id
FROM redundant_work
GROUP BY kind, feature, agent_name
ORDER BY waste_usd DESC NULLS LAST, tokens DESC NULLS LAST, kind, feature, agent_name
LIMIT $limit
