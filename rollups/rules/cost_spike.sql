-- rule:       cost_spike
-- says:       a feature costs far more in an hour than it does as a rule
-- grain:      one row per (UTC hour, tenant, project, environment, feature)
-- reads:      calls, feature_hourly
-- parameters: $since, $until  hours that touch this time, half-open
--             $factor         least ratio of the hour to the usual hour
--             $min_usd        least cost of the hour
--             $min_hours      least number of earlier hours with a known cost
-- Usual is the mean of the hours with a known cost in the seven UTC days before the
-- hour's day, so that a feature that sleeps at night is compared with the hours in which
-- it does not, and one that got its price lately with those that have one. What a
-- subscription covers costs no extra dollars. Sums are exact. Stamped with the call that
-- took the hour over the limit.
WITH spent AS (
    SELECT
        time_bucket(INTERVAL 1 HOUR, timestamp) AS window_start,
        tenant,
        project,
        environment,
        feature,
        count(*) AS calls,
        count(*) FILTER (WHERE cost_status = 'unpriced') AS unpriced_calls,
        sum(cost_usd) FILTER (WHERE cost_status <> 'subscription')::DECIMAL(38, 12)
            AS hour_usd
    FROM calls
    WHERE timestamp >= date_trunc('hour', $since::TIMESTAMPTZ) AND timestamp < $until
    GROUP BY ALL
    HAVING hour_usd >= $min_usd::DECIMAL(18, 12)
),

days AS (SELECT DISTINCT date_trunc('day', window_start) AS day FROM spent),

usual AS (
    SELECT
        days.day,
        earlier.tenant,
        earlier.project,
        earlier.environment,
        earlier.feature,
        count(*) AS hours,
        sum(earlier.unpriced_calls)::BIGINT AS usual_unpriced_calls,
        TRY_CAST(
            sum(earlier.cost_usd - coalesce(earlier.subscription_usd, 0))
            AS DECIMAL(24, 12)
        ) AS days_usd
    FROM days
    JOIN feature_hourly AS earlier
        ON earlier.window_start >= days.day - INTERVAL 7 DAY
        AND earlier.window_start < days.day
    WHERE earlier.cost_usd IS NOT NULL
    GROUP BY ALL
    HAVING count(*) >= $min_hours AND days_usd > 0
),

spikes AS (
    SELECT
        spent.*,
        usual.hours,
        usual.usual_unpriced_calls,
        (usual.days_usd * 1000000000000)::HUGEINT // usual.hours * 0.000000000001
            AS usual_usd
    FROM spent
    JOIN usual
        ON usual.day = date_trunc('day', spent.window_start)
        AND usual.tenant IS NOT DISTINCT FROM spent.tenant
        AND usual.project IS NOT DISTINCT FROM spent.project
        AND usual.environment IS NOT DISTINCT FROM spent.environment
        AND usual.feature IS NOT DISTINCT FROM spent.feature
    WHERE spent.hour_usd::DOUBLE >= $factor * usual_usd::DOUBLE
),

-- only hours that spike need their calls in order
ordered AS (
    SELECT
        spikes.*,
        calls.timestamp AS call_time,
        calls.trace_id AS call_trace_id,
        (calls.timestamp, calls.trace_id, calls.span_id) AS call_order,
        sum(calls.cost_usd::DECIMAL(38, 12)) OVER (
            PARTITION BY
                spikes.window_start,
                spikes.tenant,
                spikes.project,
                spikes.environment,
                spikes.feature
            ORDER BY call_order
            ROWS UNBOUNDED PRECEDING
        ) AS so_far_usd
    FROM spikes
    JOIN calls
        ON time_bucket(INTERVAL 1 HOUR, calls.timestamp) = spikes.window_start
        AND calls.tenant IS NOT DISTINCT FROM spikes.tenant
        AND calls.project IS NOT DISTINCT FROM spikes.project
        AND calls.environment IS NOT DISTINCT FROM spikes.environment
        AND calls.feature IS NOT DISTINCT FROM spikes.feature
    WHERE calls.cost_status <> 'subscription'
)
SELECT
    call_time AS timestamp,
    window_start,
    window_start + INTERVAL 1 HOUR AS window_end,
    NULL::VARCHAR AS run_id,
    call_trace_id AS trace_id,
    {
        'tenant': tenant,
        'project': project,
        'environment': environment,
        'feature': feature
    } AS scope,
    round(hour_usd::DOUBLE / usual_usd::DOUBLE, 4) AS value,
    $factor::DOUBLE AS threshold,
    'warning' AS severity,
    {
        'hour_usd': hour_usd,
        'usual_usd': usual_usd,
        'usual_of_hours': hours,
        'calls': calls,
        'unpriced_calls': unpriced_calls,
        'usual_unpriced_calls': usual_unpriced_calls
    } AS details
FROM ordered
WHERE so_far_usd >= $min_usd::DECIMAL(18, 12)
  AND so_far_usd::DOUBLE >= $factor * usual_usd::DOUBLE
QUALIFY row_number() OVER (
    PARTITION BY window_start, tenant, project, environment, feature
    ORDER BY call_order
) = 1
ORDER BY window_start, tenant, project, environment, feature
