-- view:  history_bounds
-- grain: one row per run none of whose calls has a price
-- reads: measured_calls, bounded_calls
-- What a token of a prompt at least and at most cost in such a run, whichever class it
-- was billed in: fresh, read from a cache or written to one. Null where the provider of
-- a call has no list, or its tokens are unknown or absurd. Runs with a priced call are
-- left out: which call a token was carried in is not known by then.
CREATE OR REPLACE TEMP VIEW history_bounds AS
SELECT
    trace_id,
    run_id,
    min(token_lower_usd) AS token_lower_usd,
    CASE WHEN count(*) = count(token_upper_usd) THEN max(token_upper_usd) END
        AS token_upper_usd
FROM bounded_calls
-- most runs have prices and need not be grouped
SEMI JOIN (
    SELECT DISTINCT trace_id, run_id FROM measured_calls WHERE is_unpriced
) AS unpriced USING (trace_id, run_id)
WHERE input_tokens > 0 AND cost_status IS DISTINCT FROM 'not_billed'
GROUP BY trace_id, run_id
HAVING bool_and(is_unpriced)
