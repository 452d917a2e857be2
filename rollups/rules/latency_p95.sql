-- rule:       latency_p95
-- says:       a model answers slowly
-- grain:      one row per (UTC hour, provider, model)
-- reads:      calls
-- parameters: $since, $until  hours that touch this time, half-open
--             $threshold_ms   least 95th percentile of duration, in milliseconds
--             $min_calls      least number of answered calls in the hour
-- Failed calls do not count: what gives up soon is not fast. Stamped with the hour's
-- last slow call; the trace is the slowest one.
WITH hours AS (
    SELECT
        date_trunc('hour', timestamp) AS window_start,
        provider,
        coalesce(response_model, request_model) AS model,
        count(*) AS calls,
        count(*) FILTER (WHERE duration_ms >= $threshold_ms) AS slow_calls,
        quantile_disc(duration_ms, [0.50, 0.95]) AS quantiles_ms,
        quantile_disc(time_to_first_token_ms, 0.95) AS ttft_p95_ms,
        max(timestamp) FILTER (WHERE duration_ms >= $threshold_ms) AS timestamp,
        arg_max(trace_id, (duration_ms, timestamp, trace_id)) AS trace_id,
        list_sort(list(DISTINCT feature)
            FILTER (WHERE duration_ms >= $threshold_ms))[1:10] AS features
    FROM calls
    WHERE error_type IS NULL
      AND isfinite(duration_ms)
      AND timestamp >= date_trunc('hour', $since::TIMESTAMPTZ)
      AND timestamp < $until
    GROUP BY ALL
)
SELECT
    timestamp,
    window_start,
    window_start + INTERVAL 1 HOUR AS window_end,
    NULL::VARCHAR AS run_id,
    trace_id,
    {'provider': provider, 'model': model} AS scope,
    quantiles_ms[2] AS value,
    $threshold_ms::DOUBLE AS threshold,
    'warning' AS severity,
    {
        'calls': calls,
        'slow_calls': slow_calls,
        'latency_p50_ms': quantiles_ms[1],
        'latency_p95_ms': quantiles_ms[2],
        'ttft_p95_ms': ttft_p95_ms,
        'features': features
    } AS details
FROM hours
WHERE quantiles_ms[2] >= $threshold_ms AND calls >= $min_calls
ORDER BY window_start, provider, model
