-- rule:       unpriced_model
-- says:       calls of a model have no price, so totals miss them
-- grain:      one row per (UTC day, provider, model)
-- reads:      calls
-- parameters: $since, $until  days that touch this time, half-open
--             $min_calls      least number of such calls in the day
-- Stamped with the first such call. A call without token counts or with absurd ones is
-- not the model's fault, and one that waits for its machine's hour to be shared is no
-- fault at all: these do not count.
SELECT
    min(timestamp) AS timestamp,
    date_trunc('day', timestamp) AS window_start,
    date_trunc('day', timestamp) + INTERVAL 1 DAY AS window_end,
    NULL::VARCHAR AS run_id,
    arg_min(trace_id, (timestamp, trace_id)) AS trace_id,
    {
        'provider': provider,
        'model': coalesce(response_model, request_model)
    } AS scope,
    count(*)::DOUBLE AS value,
    $min_calls::DOUBLE AS threshold,
    'warning' AS severity,
    {
        'calls': count(*),
        'reasons': list_sort(list(DISTINCT cost_reason)),
        'features': list_sort(list(DISTINCT feature))[1:10],
        'input_tokens': TRY_CAST(sum(input_tokens) AS BIGINT),
        'output_tokens': TRY_CAST(sum(output_tokens) AS BIGINT)
    } AS details
FROM calls
WHERE cost_status = 'unpriced'
  AND coalesce(cost_reason, '') NOT IN (
      'no_usage', 'usage_invalid', 'out_of_range', 'gpu_hour_open'
  )
  AND timestamp >= date_trunc('day', $since::TIMESTAMPTZ)
  AND timestamp < $until
GROUP BY date_trunc('day', timestamp), provider, coalesce(response_model, request_model)
HAVING count(*) >= $min_calls
ORDER BY window_start, provider, coalesce(response_model, request_model)
