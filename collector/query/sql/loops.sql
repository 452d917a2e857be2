-- report: which conversations go round in circles, and what that costs
-- grain:  one row per chain with a loop, the dearest first
-- reads:  chains, runs, calls, tool_calls
-- The first two rounds are not counted as wasted.
WITH wasted AS (
    SELECT
        trace_id,
        run_id,
        chain_id,
        count(*) AS wasted_calls,
        min(step) AS first_wasted_step,
        min(timestamp) AS since,
        max(timestamp) AS until,
        TRY_CAST(sum(coalesce(input_tokens, 0)::HUGEINT + coalesce(output_tokens, 0))
                AS BIGINT)
            AS wasted_tokens,
        sum(CASE WHEN cost_status = 'not_billed' THEN 0 ELSE cost_usd END)
            AS wasted_usd,
        count(*) FILTER (WHERE cost_status = 'unpriced') AS unpriced_calls
    FROM calls
    WHERE waste_reason = 'loop'
    GROUP BY trace_id, run_id, chain_id
),
rounds AS (
    SELECT
        wasted.trace_id,
        wasted.run_id,
        wasted.chain_id,
        list_sort(list(DISTINCT tool_calls.tool_name)) AS tools
    FROM wasted
    JOIN tool_calls
        ON tool_calls.trace_id = wasted.trace_id
        AND tool_calls.run_id = wasted.run_id
        AND tool_calls.chain_id = wasted.chain_id
        AND tool_calls.timestamp BETWEEN wasted.since AND wasted.until
    GROUP BY ALL
)
SELECT
    chains.timestamp,
    chains.trace_id,
    chains.run_id,
    runs.feature,
    runs.agent_name,
    rounds.tools,
    chains.loop_period,
    chains.calls,
    wasted.wasted_calls,
    wasted.first_wasted_step,
    wasted.wasted_tokens,
    CASE WHEN wasted.unpriced_calls = 0 THEN wasted.wasted_usd::DECIMAL(38, 12) END
        AS wasted_usd,
    chains.severity
FROM chains
LEFT JOIN runs USING (trace_id, run_id)
LEFT JOIN wasted USING (trace_id, run_id, chain_id)
LEFT JOIN rounds USING (trace_id, run_id, chain_id)
WHERE chains.is_loop
ORDER BY wasted_usd DESC NULLS LAST, wasted_tokens DESC NULLS LAST, chains.timestamp,
    chains.trace_id, chains.run_id, chains.chain_id
LIMIT $limit
