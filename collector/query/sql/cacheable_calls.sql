-- view:  cacheable_calls
-- grain: one row per call and way of caching that would change what the call reads from
--        the cache or writes to it
-- reads: calls
-- The counts are those the call would have had. A prompt is found in the cache for five
-- minutes; what the next call can use is written once. Below 1,024 tokens no provider
-- caches.
CREATE OR REPLACE TEMP VIEW cacheable_calls AS
WITH curve AS (
    SELECT
        *,
        lag(timestamp) OVER chain >= timestamp - INTERVAL 5 MINUTE AS is_warm,
        lead(timestamp) OVER chain <= timestamp + INTERVAL 5 MINUTE AS is_followed,
        lag(timestamp) OVER chain IS NULL AS is_first
    FROM calls
    WHERE new_tokens IS NOT NULL AND input_tokens >= 1024
    WINDOW chain AS (
        PARTITION BY trace_id, run_id, chain_id ORDER BY timestamp, step, span_id
    )
),
sizes AS (
    SELECT
        *,
        CASE
            WHEN is_first THEN input_tokens
            ELSE input_tokens - new_tokens - resent_tokens
        END AS opening_tokens
    FROM curve
),
wanted AS (
    SELECT
        *,
        'cache the first prompt' AS action,
        CASE WHEN is_warm THEN opening_tokens ELSE 0 END AS read_tokens,
        CASE WHEN is_followed AND is_warm IS NOT TRUE THEN opening_tokens ELSE 0 END
            AS write_tokens
    FROM sizes
    WHERE opening_tokens >= 1024
    UNION ALL
    SELECT
        *,
        'cache all history',
        CASE WHEN is_warm THEN input_tokens - new_tokens ELSE 0 END,
        CASE WHEN is_followed THEN input_tokens ELSE 0 END
    FROM sizes
),
reading AS (
    SELECT * REPLACE (greatest(coalesce(cache_read_tokens, 0), read_tokens) AS read_tokens)
    FROM wanted
),
writing AS (
    SELECT
        * REPLACE (
            least(
                greatest(coalesce(cache_write_tokens, 0), write_tokens - read_tokens),
                input_tokens - read_tokens
            ) AS write_tokens
        )
    FROM reading
)
SELECT
    * EXCLUDE (cache_read_tokens, cache_write_tokens, read_tokens, write_tokens),
    cache_read_tokens AS was_read_tokens,
    cache_write_tokens AS was_written_tokens,
    read_tokens AS cache_read_tokens,
    write_tokens AS cache_write_tokens,
    concat(trace_id, '/', run_id) AS run_key
FROM writing
WHERE read_tokens > coalesce(was_read_tokens, 0)
   OR write_tokens > coalesce(was_written_tokens, 0)
