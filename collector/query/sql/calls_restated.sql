-- view:  calls_restated
-- grain: one row per call
-- reads: raw.calls, restatements
-- The ledger with the newest known price of each call. A restatement of a cost that is
-- not the recorded one any more (more of its trace has come since) does not count.
WITH newest AS (
    SELECT *
    FROM restatements
    QUALIFY row_number() OVER (
        PARTITION BY trace_id, span_id ORDER BY known_at DESC, restatement_id DESC
    ) = 1
)

SELECT
    calls.* REPLACE (
        CASE WHEN newest.known_at IS NULL THEN calls.cost_usd ELSE newest.cost_usd END
            AS cost_usd,
        CASE
            WHEN newest.known_at IS NULL THEN calls.input_cost_usd
            ELSE newest.input_cost_usd
        END AS input_cost_usd,
        CASE
            WHEN newest.known_at IS NULL THEN calls.cache_read_cost_usd
            ELSE newest.cache_read_cost_usd
        END AS cache_read_cost_usd,
        CASE
            WHEN newest.known_at IS NULL THEN calls.cache_write_cost_usd
            ELSE newest.cache_write_cost_usd
        END AS cache_write_cost_usd,
        CASE
            WHEN newest.known_at IS NULL THEN calls.output_cost_usd
            ELSE newest.output_cost_usd
        END AS output_cost_usd,
        CASE
            WHEN newest.known_at IS NULL THEN calls.other_cost_usd
            ELSE newest.other_cost_usd
        END AS other_cost_usd,
        coalesce(newest.cost_status, calls.cost_status) AS cost_status,
        CASE
            WHEN newest.known_at IS NULL THEN calls.cost_reason
            ELSE newest.cost_reason
        END AS cost_reason,
        CASE
            WHEN newest.known_at IS NULL THEN calls.price_provider
            ELSE newest.price_provider
        END AS price_provider,
        CASE
            WHEN newest.known_at IS NULL THEN calls.price_model
            ELSE newest.price_model
        END AS price_model,
        CASE
            WHEN newest.known_at IS NULL THEN calls.price_match
            ELSE newest.price_match
        END AS price_match,
        coalesce(newest.price_version, calls.price_version) AS price_version
    ),
    newest.restatement_id,
    newest.known_at AS restated_at
FROM raw.calls AS calls
LEFT JOIN newest
    ON calls.trace_id = newest.trace_id
    AND calls.span_id = newest.span_id
    AND calls.cost_usd IS NOT DISTINCT FROM newest.recorded_cost_usd
