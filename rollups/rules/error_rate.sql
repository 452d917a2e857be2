-- rule:       error_rate
-- says:       a provider fails often
-- grain:      one row per (UTC quarter of an hour, provider)
-- reads:      calls
-- parameters: $since, $until  quarters that touch this time, half-open
--             $threshold      least share of calls that failed, from 0 to 1
--             $min_calls      least number of calls in the quarter
--             $min_failed     least number of failed ones
-- Every failed attempt that was told is a call. Stamped with the quarter's last
-- failure; the trace is that of the first.
WITH quarters AS (
    SELECT
        time_bucket(INTERVAL 15 MINUTE, timestamp) AS window_start,
        provider,
        count(*) AS calls,
        count(*) FILTER (WHERE error_type IS NOT NULL) AS failed_calls,
        histogram(error_type) AS errors,
        max(timestamp) FILTER (WHERE error_type IS NOT NULL) AS timestamp,
        arg_min(trace_id, (timestamp, trace_id))
            FILTER (WHERE error_type IS NOT NULL) AS trace_id,
        list_sort(list(DISTINCT coalesce(response_model, request_model))
            FILTER (WHERE error_type IS NOT NULL))[1:10] AS models,
        list_sort(list(DISTINCT feature)
            FILTER (WHERE error_type IS NOT NULL))[1:10] AS features
    FROM calls
    WHERE timestamp >= time_bucket(INTERVAL 15 MINUTE, $since::TIMESTAMPTZ)
      AND timestamp < $until
    GROUP BY ALL
)
SELECT
    timestamp,
    window_start,
    window_start + INTERVAL 15 MINUTE AS window_end,
    NULL::VARCHAR AS run_id,
    trace_id,
    {'provider': provider} AS scope,
    failed_calls / calls AS value,
    $threshold::DOUBLE AS threshold,
    'warning' AS severity,
    {
        'calls': calls,
        'failed_calls': failed_calls,
        'errors': errors,
        'models': models,
        'features': features
    } AS details
FROM quarters
WHERE failed_calls >= $threshold * calls
  AND calls >= $min_calls
  AND failed_calls >= $min_failed
ORDER BY window_start, provider
