-- report:     which requests are sent again, and what that costs
-- grain:      one row per (feature, agent, provider, model, reason), the dearest first
-- reads:      calls
-- parameters: $gap_seconds  the same input within this time of a success is sent again
-- reason is the error of the attempt that failed, or same_input. sent_usd is what the
-- needless attempts cost. unbilled_usd is what those that nobody billed would have cost
-- at the input cost of the attempt that succeeded; null if none did. hidden_attempts
-- were made inside an SDK, which told their number only.
WITH attempts AS (
    SELECT
        *,
        coalesce(response_model, request_model) AS model,
        count(*) FILTER (WHERE error_type IS NULL) OVER (
            PARTITION BY trace_id, run_id, chain_id, operation
            ORDER BY timestamp, span_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS request
    FROM calls
    WHERE (trace_id, run_id) IN (
        SELECT (trace_id, run_id) FROM calls WHERE error_type IS NOT NULL OR attempt > 1
    )
),
requests AS (
    SELECT
        *,
        first_value(
            CASE
                WHEN error_type IS NULL
                THEN coalesce(input_cost_usd, 0) + coalesce(cache_read_cost_usd, 0)
                    + coalesce(cache_write_cost_usd, 0)
            END
        ) OVER answered AS answered_usd,
        count(*) OVER answered AS sent
    FROM attempts
    WINDOW answered AS (
        PARTITION BY trace_id, run_id, chain_id, operation, request
        ORDER BY timestamp DESC, span_id DESC
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    )
),
same_input AS (
    SELECT
        *,
        lag(timestamp) OVER (
            PARTITION BY service_name, tenant, operation,
                coalesce(response_model, request_model), input_hash, input_tokens
            ORDER BY timestamp, trace_id, span_id
        ) AS sent_at
    FROM calls
    WHERE error_type IS NULL AND input_hash IS NOT NULL AND operation <> 'embeddings'
),
needless AS (
    SELECT
        feature, agent_name, provider, model, trace_id,
        error_type AS reason,
        cost_status = 'not_billed' AS is_unbilled,
        CASE WHEN cost_status <> 'not_billed' THEN cost_usd END AS billed_usd,
        CASE WHEN cost_status = 'not_billed' THEN answered_usd END AS unbilled_usd,
        CASE WHEN cost_status = 'unpriced' THEN 1 ELSE 0 END AS unpriced,
        sent > 1 AND answered_usd IS NOT NULL AS is_answered,
        concat(trace_id, run_id, chain_id, operation, request) AS request,
        0 AS hidden
    FROM requests
    WHERE error_type IS NOT NULL
    UNION ALL
    SELECT
        feature, agent_name, provider, coalesce(response_model, request_model),
        trace_id,
        'same_input',
        false,
        cost_usd,
        NULL,
        CASE WHEN cost_status = 'unpriced' THEN 1 ELSE 0 END,
        true,
        concat(service_name, input_hash),
        0
    FROM same_input
    WHERE timestamp <= sent_at + to_seconds($gap_seconds)
    UNION ALL
    SELECT
        feature, agent_name, provider, model, trace_id,
        'inside_sdk',
        NULL,
        NULL,
        NULL,
        0,
        error_type IS NULL,
        concat(trace_id, span_id),
        attempt - sent
    FROM requests
    WHERE attempt > sent AND error_type IS NULL
)
SELECT
    feature,
    agent_name,
    provider,
    model,
    reason,
    count(DISTINCT request) AS requests,
    count(*) FILTER (WHERE hidden = 0) AS needless_calls,
    TRY_CAST(sum(hidden) AS BIGINT) AS hidden_attempts,
    (count(*) FILTER (WHERE hidden = 0) + sum(hidden))::DOUBLE
        / count(DISTINCT request) + 1 AS amplification,
    count(DISTINCT request) FILTER (WHERE NOT is_answered) AS never_answered,
    sum(billed_usd)::DECIMAL(38, 12) AS sent_usd,
    count(*) FILTER (WHERE is_unbilled) AS unbilled_calls,
    sum(unbilled_usd)::DECIMAL(38, 12) AS unbilled_usd,
    TRY_CAST(sum(unpriced) AS BIGINT) AS unpriced_calls,
    any_value(trace_id ORDER BY trace_id) AS example_trace_id
FROM needless
GROUP BY feature, agent_name, provider, model, reason
ORDER BY sent_usd DESC NULLS LAST, needless_calls DESC, feature, agent_name, provider,
    model, reason
LIMIT $limit
