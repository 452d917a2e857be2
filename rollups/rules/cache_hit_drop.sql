-- rule:       cache_hit_drop
-- says:       a feature's prompts are read from the cache far less than they were
-- grain:      one row per (UTC hour, tenant, project, environment, feature)
-- reads:      calls, feature_hourly
-- parameters: $since, $until     hours that touch this time, half-open
--             $factor            largest ratio of the hour's rate to the usual one
--             $min_rate          least usual share of input read from a cache
--             $min_input_tokens  least input of the hour
--             $min_hours         least number of earlier hours with cache counts
-- A rate is the share of input tokens that were read from a cache, of the calls that
-- tell cache counts. Usual is that of the seven UTC days before the hour's day. Stamped
-- with the hour's last call.
WITH hours AS (
    SELECT
        time_bucket(INTERVAL 1 HOUR, timestamp) AS window_start,
        tenant,
        project,
        environment,
        feature,
        count(*) AS calls,
        max(timestamp) AS timestamp,
        arg_max(trace_id, (timestamp, trace_id)) AS trace_id,
        sum(input_tokens)::DOUBLE AS input_tokens,
        sum(cache_read_tokens)::DOUBLE AS cache_read_tokens
    FROM calls
    WHERE input_tokens > 0
      AND cache_read_tokens IS NOT NULL
      AND timestamp >= date_trunc('hour', $since::TIMESTAMPTZ)
      AND timestamp < $until
    GROUP BY ALL
    HAVING sum(input_tokens) >= $min_input_tokens
),

days AS (SELECT DISTINCT date_trunc('day', window_start) AS day FROM hours),

usual AS (
    SELECT
        days.day,
        earlier.tenant,
        earlier.project,
        earlier.environment,
        earlier.feature,
        count(*) AS hours,
        sum(earlier.cache_read_tokens)::DOUBLE / sum(earlier.cache_known_input_tokens)
            AS usual_rate
    FROM days
    JOIN feature_hourly AS earlier
        ON earlier.window_start >= days.day - INTERVAL 7 DAY
        AND earlier.window_start < days.day
    WHERE earlier.cache_known_input_tokens > 0
    GROUP BY ALL
    HAVING count(*) >= $min_hours AND usual_rate >= $min_rate
)
SELECT
    hours.timestamp,
    hours.window_start,
    hours.window_start + INTERVAL 1 HOUR AS window_end,
    NULL::VARCHAR AS run_id,
    hours.trace_id,
    {
        'tenant': hours.tenant,
        'project': hours.project,
        'environment': hours.environment,
        'feature': hours.feature
    } AS scope,
    round(hours.cache_read_tokens / hours.input_tokens, 6) AS value,
    round($factor * usual.usual_rate, 6) AS threshold,
    'warning' AS severity,
    {
        'calls': hours.calls,
        'input_tokens': TRY_CAST(hours.input_tokens AS BIGINT),
        'cache_read_tokens': TRY_CAST(hours.cache_read_tokens AS BIGINT),
        'usual_rate': round(usual.usual_rate, 6),
        'usual_of_hours': usual.hours
    } AS details
FROM hours
JOIN usual
    ON usual.day = date_trunc('day', hours.window_start)
    AND usual.tenant IS NOT DISTINCT FROM hours.tenant
    AND usual.project IS NOT DISTINCT FROM hours.project
    AND usual.environment IS NOT DISTINCT FROM hours.environment
    AND usual.feature IS NOT DISTINCT FROM hours.feature
WHERE hours.cache_read_tokens / hours.input_tokens < $factor * usual.usual_rate
ORDER BY
    hours.window_start,
    hours.tenant,
    hours.project,
    hours.environment,
    hours.feature
