-- view:  measured_calls
-- grain: one row per call
-- reads: calls
-- What the rollups of calls add up, worked out per call.
-- A latency bucket is an index of OpenTelemetry's exponential histogram of scale 3:
-- bucket i holds 2^(i/8) < milliseconds <= 2^((i+1)/8).
-- Cache savings are null where the call has no rate of its own for uncached input. That
-- rate is whole pico-dollars per token, so rounding the quotient gives it back exactly
-- (below $1,000 a token); all that follows is decimal.
CREATE OR REPLACE TEMP VIEW measured_calls AS
SELECT
    timestamp,
    trace_id,
    span_id,
    run_id,
    chain_id,
    step,
    tenant,
    project,
    environment,
    feature,
    agent_name,
    agent_version,
    user_id,
    service_name,
    operation,
    provider,
    request_model,
    response_model,
    coalesce(response_model, request_model) AS model,
    concat(trace_id, '/', run_id) AS run_key,
    input_tokens,
    cache_read_tokens,
    cache_write_tokens,
    output_tokens,
    coalesce(input_tokens, 0)::HUGEINT + coalesce(output_tokens, 0) AS tokens,
    resent_tokens,
    resent_usd,
    CASE
        WHEN waste_reason IS NULL OR cost_status = 'not_billed' THEN 0 ELSE cost_usd
    END AS wasted_usd,
    cost_usd,
    cost_status,
    cost_reason,
    cost_status = 'subscription' AS is_subscription,
    cost_status = 'unpriced' AS is_unpriced,
    error_type IS NOT NULL AS is_failed,
    error_type,
    CASE
        WHEN cache_read_tokens = 0 THEN 0
        WHEN cache_read_tokens BETWEEN 1 AND 1000000000000
            AND uncached_input_tokens > 0
            AND input_cost_usd * 1e12 / uncached_input_tokens < 1e15
        THEN
            round(input_cost_usd * 1e12 / uncached_input_tokens)::BIGINT
            * 0.000000000001 * cache_read_tokens - cache_read_cost_usd
    END AS cache_savings_usd,
    TRY_CAST(sampling_weight AS DECIMAL(18, 6)) AS weight,
    CASE
        WHEN sampling_weight = 1 THEN cost_usd
        ELSE TRY_CAST(cost_usd * sampling_weight AS DECIMAL(38, 12))
    END AS weighted_cost_usd,
    CASE WHEN isfinite(duration_ms) THEN duration_ms END AS latency_ms,
    TRY_CAST(
        ceil(log2(greatest(duration_ms, 0.001)) * 8 - 1e-9) - 1 AS INTEGER
    ) AS latency_bucket,
    CASE WHEN isfinite(time_to_first_token_ms) THEN time_to_first_token_ms END
        AS ttft_ms,
    CASE WHEN time_to_first_token_ms IS NOT NULL THEN
        TRY_CAST(
            ceil(log2(greatest(time_to_first_token_ms, 0.001)) * 8 - 1e-9) - 1
            AS INTEGER
        )
    END AS ttft_bucket
FROM calls
