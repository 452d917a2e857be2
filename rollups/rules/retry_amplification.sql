-- rule:       retry_amplification
-- says:       requests to a model are sent much more often than they are answered
-- grain:      one row per (UTC hour, tenant, feature, provider, model)
-- reads:      calls
-- parameters: $since, $until  hours that touch this time, half-open
--             $threshold      least number of attempts per answered request
--             $min_needless   least number of needless attempts in the hour
-- Needless are attempts that failed, attempts inside an SDK that only told their number,
-- and calls that their chain had made before with success. Where nothing is answered,
-- attempts are compared with one. Stamped with the hour's last needless attempt.
WITH hours AS (
    SELECT
        date_trunc('hour', timestamp) AS window_start,
        tenant,
        feature,
        provider,
        coalesce(response_model, request_model) AS model,
        count(*) FILTER (WHERE error_type IS NOT NULL) AS failed_calls,
        count(*) FILTER (WHERE waste_reason = 'repeat') AS repeated_calls,
        count(*) FILTER (
            WHERE error_type IS NULL AND waste_reason IS DISTINCT FROM 'repeat'
        ) AS answered,
        greatest(
            coalesce(sum(attempt - 1) FILTER (WHERE error_type IS NULL), 0)
                - count(*) FILTER (WHERE error_type IS NOT NULL),
            0
        )::BIGINT AS hidden_attempts,
        max(timestamp) FILTER (
            WHERE error_type IS NOT NULL OR waste_reason = 'repeat' OR attempt > 1
        ) AS timestamp,
        arg_min(trace_id, (timestamp, trace_id)) FILTER (
            WHERE error_type IS NOT NULL OR waste_reason = 'repeat' OR attempt > 1
        ) AS trace_id,
        sum(cost_usd) FILTER (
            WHERE cost_status <> 'not_billed'
              AND (error_type IS NOT NULL OR waste_reason = 'repeat')
        ) AS billed_usd,
        count(*) FILTER (WHERE cost_status = 'not_billed') AS unbilled_calls,
        histogram(error_type) AS errors
    FROM calls
    WHERE timestamp >= date_trunc('hour', $since::TIMESTAMPTZ) AND timestamp < $until
    GROUP BY ALL
),
rates AS (
    SELECT
        *,
        failed_calls + repeated_calls + hidden_attempts AS needless,
        (failed_calls + repeated_calls + hidden_attempts + answered)::DOUBLE
            / greatest(answered, 1) AS value
    FROM hours
)
SELECT
    timestamp,
    window_start,
    window_start + INTERVAL 1 HOUR AS window_end,
    NULL::VARCHAR AS run_id,
    trace_id,
    {
        'tenant': tenant,
        'feature': feature,
        'provider': provider,
        'model': model
    } AS scope,
    value,
    $threshold::DOUBLE AS threshold,
    'warning' AS severity,
    {
        'answered': answered,
        'failed_calls': failed_calls,
        'repeated_calls': repeated_calls,
        'hidden_attempts': hidden_attempts,
        'errors': errors,
        'billed_usd': billed_usd,
        'unbilled_calls': unbilled_calls
    } AS details
FROM rates
WHERE value >= $threshold AND needless >= $min_needless
ORDER BY window_start, tenant, feature, provider, model
