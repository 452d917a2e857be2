-- rule:       context_trend
-- says:       since a release, runs of an agent begin with a larger context, or it grows
--             faster with each step, than in the week before
-- grain:      one row per release: the first run of a version of an agent and feature
--             that no run had for a week
-- reads:      chains
-- parameters: $since, $until  releases whose first day touches this time, half-open
--             $factor         least ratio of medians, after to before
--             $min_runs       least number of chains on each side
--             $min_floor_tokens, $min_slope_tokens  least differences
-- After is the version's first day, before are the other versions' chains of the week
-- before it. Stamped with the last chain looked at: a release is settled after a day.
-- Chains without a version are of no release.
WITH judged AS (
    SELECT
        tenant,
        feature,
        agent_name,
        agent_version,
        timestamp,
        trace_id,
        chain_id,
        first_input_tokens AS floor_tokens,
        CASE WHEN calls >= 3 THEN slope_tokens_per_step END AS slope_tokens
    FROM chains
    WHERE agent_version IS NOT NULL
      AND first_input_tokens IS NOT NULL
      AND timestamp >= $since::TIMESTAMPTZ - INTERVAL 8 DAY
),

sightings AS (
    SELECT
        *,
        lag(timestamp) OVER (
            PARTITION BY tenant, feature, agent_name, agent_version
            ORDER BY timestamp, trace_id, chain_id
        ) AS seen_before
    FROM judged
),

releases AS (
    SELECT tenant, feature, agent_name, agent_version, timestamp AS began
    FROM sightings
    WHERE (seen_before IS NULL OR timestamp - seen_before > INTERVAL 7 DAY)
      AND timestamp > $since::TIMESTAMPTZ - INTERVAL 1 DAY
      AND timestamp < $until
),

compared AS (
    SELECT
        releases.*,
        judged.timestamp,
        judged.agent_version AS other_version,
        judged.floor_tokens,
        judged.slope_tokens,
        judged.agent_version = releases.agent_version AS is_after
    FROM releases
    JOIN judged
        ON judged.tenant IS NOT DISTINCT FROM releases.tenant
        AND judged.feature IS NOT DISTINCT FROM releases.feature
        AND judged.agent_name IS NOT DISTINCT FROM releases.agent_name
        AND judged.timestamp >= releases.began - INTERVAL 7 DAY
        AND judged.timestamp < releases.began + INTERVAL 1 DAY
        AND (judged.agent_version = releases.agent_version)
            = (judged.timestamp >= releases.began)
),

medians AS (
    SELECT
        tenant,
        feature,
        agent_name,
        agent_version,
        began,
        max(timestamp) AS last_seen,
        count(*) FILTER (is_after) AS runs_after,
        count(*) FILTER (NOT is_after) AS runs_before,
        median(floor_tokens) FILTER (is_after) AS floor_after,
        median(floor_tokens) FILTER (NOT is_after) AS floor_before,
        median(slope_tokens) FILTER (is_after) AS slope_after,
        median(slope_tokens) FILTER (NOT is_after) AS slope_before,
        list_sort(list(DISTINCT other_version) FILTER (NOT is_after)) AS versions_before
    FROM compared
    GROUP BY tenant, feature, agent_name, agent_version, began
),

ratios AS (
    SELECT
        *,
        CASE
            WHEN floor_after - floor_before >= $min_floor_tokens
                THEN floor_after / greatest(floor_before, 1)
        END AS floor_ratio,
        CASE
            WHEN slope_after - slope_before >= $min_slope_tokens
                THEN slope_after / greatest(slope_before, 1)
        END AS slope_ratio
    FROM medians
    WHERE runs_after >= $min_runs AND runs_before >= $min_runs
)

SELECT
    last_seen AS timestamp,
    began AS window_start,
    began + INTERVAL 1 DAY AS window_end,
    NULL::VARCHAR AS run_id,
    NULL::VARCHAR AS trace_id,
    {
        'tenant': tenant,
        'feature': feature,
        'agent_name': agent_name,
        'agent_version': agent_version
    } AS scope,
    round(greatest(floor_ratio, slope_ratio), 4) AS value,
    $factor::DOUBLE AS threshold,
    'warning' AS severity,
    {
        'versions_before': versions_before,
        'runs_before': runs_before,
        'runs_after': runs_after,
        'floor_tokens_before': floor_before,
        'floor_tokens_after': floor_after,
        'slope_tokens_per_step_before': round(slope_before, 1),
        'slope_tokens_per_step_after': round(slope_after, 1)
    } AS details
FROM ratios
WHERE greatest(floor_ratio, slope_ratio) >= $factor
ORDER BY timestamp, tenant, feature, agent_name, agent_version
