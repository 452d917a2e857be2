-- rule:       embedding_duplicates
-- says:       a large part of what is embedded was embedded before, on the same day
-- grain:      one row per (UTC day, tenant, service, model)
-- reads:      calls
-- parameters: $since, $until    days that touch this time, half-open
--             $threshold        least share of embedding calls that repeat an input
--             $min_duplicates   least number of such calls in the day
-- Only calls whose input was hashed count. Stamped with the day's last repeated call.
WITH inputs AS (
    SELECT
        *,
        date_trunc('day', timestamp) AS window_start,
        coalesce(response_model, request_model) AS model,
        row_number() OVER (
            PARTITION BY date_trunc('day', timestamp), tenant, service_name,
                coalesce(response_model, request_model), input_hash, input_tokens
            ORDER BY timestamp, trace_id, span_id
        ) > 1 AS is_duplicate
    FROM calls
    WHERE operation = 'embeddings'
      AND input_hash IS NOT NULL
      AND error_type IS NULL
      AND timestamp >= date_trunc('day', $since::TIMESTAMPTZ)
      AND timestamp < $until
)
SELECT
    max(timestamp) FILTER (WHERE is_duplicate) AS timestamp,
    window_start,
    window_start + INTERVAL 1 DAY AS window_end,
    NULL::VARCHAR AS run_id,
    arg_min(trace_id, (timestamp, trace_id)) FILTER (WHERE is_duplicate) AS trace_id,
    {
        'tenant': tenant,
        'service_name': service_name,
        'model': model
    } AS scope,
    count(*) FILTER (WHERE is_duplicate) / count(*) AS value,
    $threshold::DOUBLE AS threshold,
    'warning' AS severity,
    {
        'calls': count(*),
        'duplicates': count(*) FILTER (WHERE is_duplicate),
        'features': list_sort(list(DISTINCT feature) FILTER (WHERE is_duplicate))[1:10],
        'duplicate_tokens': TRY_CAST(
            sum(input_tokens) FILTER (WHERE is_duplicate) AS BIGINT
        ),
        'wasted_usd': sum(cost_usd) FILTER (WHERE is_duplicate),
        'unpriced_duplicates': count(*) FILTER (WHERE is_duplicate AND cost_usd IS NULL)
    } AS details
FROM inputs
GROUP BY window_start, tenant, service_name, model
HAVING value >= $threshold AND count(*) FILTER (WHERE is_duplicate) >= $min_duplicates
ORDER BY window_start, tenant, service_name, model
