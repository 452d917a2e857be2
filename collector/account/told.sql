-- What is told of findings about runs: of each rule and scope (tenant, feature, agent,
-- whatever a rule says besides the run) the first runs of a UTC day one by one, the
-- first critical ones too, and from then on one row about all of them.
--
-- reads:      findings  rows of the findings table with a run_id, whole days
-- parameters: $runs_told  how many runs are told one by one
--
-- The day is that of window_start, which stays while a run goes on; runs are first by
-- window, then by their last known moment. The row about all has no run_id: it is true
-- as long as runs come, and names the costliest.
WITH about_runs AS (
    SELECT
        *,
        json_merge_patch(scope::JSON, '{"run_id": null, "trace_id": null}') AS whose,
        date_trunc('day', window_start) AS day,
        TRY_CAST(details ->> '$.wasted_usd' AS DECIMAL(38, 12)) AS wasted_usd
    FROM findings
),

placed AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY rule, whose, day
            ORDER BY severity = 'info', window_start, timestamp, trace_id, run_id
        ) AS place,
        row_number() OVER (
            PARTITION BY rule, whose, day, severity
            ORDER BY window_start, timestamp, trace_id, run_id
        ) AS place_in_severity
    FROM about_runs
)

SELECT
    timestamp,
    rule,
    severity,
    scope,
    window_start,
    window_end,
    value,
    threshold,
    run_id,
    trace_id,
    details
FROM placed
WHERE place <= $runs_told
   OR (severity = 'critical' AND place_in_severity <= $runs_told)
UNION ALL
SELECT
    max(timestamp) AS timestamp,
    rule,
    CASE WHEN bool_or(severity = 'critical') THEN 'critical' ELSE 'warning' END,
    whose::VARCHAR AS scope,
    day AS window_start,
    max(window_end) AS window_end,
    max(value) AS value,
    max(threshold) AS threshold,
    NULL AS run_id,
    NULL AS trace_id,
    to_json({
        'runs': count(*),
        'runs_told': $runs_told,
        'wasted_usd': sum(wasted_usd)::VARCHAR,
        'costliest': list(
            {
                'run_id': run_id,
                'trace_id': trace_id,
                'value': value,
                'wasted_usd': wasted_usd::VARCHAR
            }
            ORDER BY wasted_usd DESC NULLS LAST, value DESC NULLS LAST, trace_id, run_id
        )[1:5]
    })::VARCHAR AS details
FROM placed
WHERE severity <> 'info'
GROUP BY rule, whose, day
HAVING count(*) > $runs_told
ORDER BY timestamp, rule, scope, window_start
