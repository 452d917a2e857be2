-- query: the calls that a what-if looks at, with what a cache could do for them
-- grain: one row per call
-- reads: calls
-- cached_before: tokens of the prompt that an earlier call of its conversation sent at
-- most five minutes before; read_later: whether such a later call could read this one's.
-- A prompt that is shorter than the one before it does not begin with that.
-- Null for calls that are no step of a conversation, and where counts are missing.
WITH looked_at AS (
    SELECT * FROM calls WHERE $feature IS NULL OR feature = $feature
),

steps AS (
    SELECT
        trace_id,
        span_id,
        timestamp,
        input_tokens,
        lag(input_tokens) OVER conversation AS input_before,
        lag(timestamp) OVER conversation AS time_before,
        lead(input_tokens) OVER conversation AS input_after,
        lead(timestamp) OVER conversation AS time_after
    FROM looked_at
    WHERE step IS NOT NULL AND error_type IS NULL AND input_tokens >= 0
    WINDOW conversation AS (
        PARTITION BY trace_id, chain_id ORDER BY timestamp, span_id
    )
)

SELECT
    looked_at.*,
    CASE
        WHEN steps.span_id IS NULL THEN NULL
        WHEN steps.input_before <= steps.input_tokens
            AND steps.timestamp <= steps.time_before + INTERVAL 5 MINUTE
        THEN steps.input_before
        ELSE 0
    END AS cached_before,
    coalesce(
        steps.input_after >= steps.input_tokens
        AND steps.time_after <= steps.timestamp + INTERVAL 5 MINUTE,
        false
    ) AS read_later
FROM looked_at
LEFT JOIN steps USING (trace_id, span_id)
