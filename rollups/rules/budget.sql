-- rule:       budget
-- says:       a dimension has spent a share of what it may spend in a period
-- grain:      one row per (budget, value of its dimension, period, threshold crossed)
-- reads:      calls, budgets (registry.BUDGET_SCHEMA: the budgets of the settings)
-- parameters: $since, $until  periods that touch this time, half-open
--             $dimensions     columns of calls that the budgets name, and total
-- Stamped with the call that crossed, and with what was spent then: later calls do not
-- change the row. Sums are exact decimals. Calls under a subscription cost no extra
-- dollars: they count in tokens, not in cost_usd. A call that has no value of the
-- dimension belongs to no budget but total's.
WITH measured AS (
    UNPIVOT (
        SELECT
            'all' AS total,
            *,
            timestamp AS call_time,
            (timestamp, trace_id, span_id) AS call_order,
            trace_id AS call_trace_id,
            CASE WHEN cost_status <> 'subscription' THEN cost_usd END AS spent_usd,
            input_tokens AS spent_input_tokens,
            output_tokens AS spent_output_tokens
        FROM calls
        WHERE timestamp < $until
          AND timestamp >= (
              SELECT min(date_trunc(period, $since::TIMESTAMPTZ)) FROM budgets
          )
    )
    ON COLUMNS(lambda name: list_contains($dimensions, name))
    INTO NAME budget_dimension VALUE budget_value
),

spent AS (
    SELECT
        budgets.name,
        budgets.dimension,
        budgets.period,
        budgets.measure,
        budgets.limit_amount,
        budgets.thresholds,
        measured.budget_value,
        measured.call_time,
        measured.call_order,
        measured.call_trace_id,
        date_trunc(budgets.period, measured.call_time) AS period_start,
        CASE budgets.measure
            WHEN 'cost_usd' THEN measured.spent_usd::DECIMAL(38, 12)
            WHEN 'input_tokens' THEN measured.spent_input_tokens
            WHEN 'output_tokens' THEN measured.spent_output_tokens
        END AS amount
    FROM measured
    JOIN budgets ON budgets.dimension = measured.budget_dimension
    WHERE (budgets.value IS NULL OR budgets.value = measured.budget_value)
      AND measured.call_time >= date_trunc(budgets.period, $since::TIMESTAMPTZ)
),

-- only what has crossed the lowest threshold needs an order
crossed AS (
    SELECT *
    FROM spent
    QUALIFY sum(amount) OVER (PARTITION BY name, budget_value, period_start)
        >= limit_amount * 0.01 * list_min(thresholds)
),

running AS (
    SELECT
        *,
        sum(amount) OVER (
            PARTITION BY name, budget_value, period_start
            ORDER BY call_order
            ROWS UNBOUNDED PRECEDING
        ) AS spent_so_far
    FROM crossed
),

reached AS (
    SELECT *, unnest(thresholds) AS percent
    FROM running
)

SELECT
    call_time AS timestamp,
    period_start AS window_start,
    CASE period
        WHEN 'hour' THEN period_start + INTERVAL 1 HOUR
        WHEN 'day' THEN period_start + INTERVAL 1 DAY
        WHEN 'week' THEN period_start + INTERVAL 7 DAY
        WHEN 'month' THEN period_start + INTERVAL 1 MONTH
    END AS window_end,
    NULL::VARCHAR AS run_id,
    call_trace_id AS trace_id,
    MAP(
        ['budget', dimension, 'threshold_percent'],
        [name, budget_value, percent::VARCHAR]
    ) AS scope,
    round(100 * spent_so_far / nullif(limit_amount, 0), 4) AS value,
    percent::DOUBLE AS threshold,
    CASE WHEN percent >= 100 THEN 'critical' ELSE 'warning' END AS severity,
    {
        'measure': measure,
        'period': period,
        'limit': limit_amount,
        'spent': spent_so_far
    } AS details
FROM reached
WHERE spent_so_far >= limit_amount * 0.01 * percent
QUALIFY row_number() OVER (
    PARTITION BY name, budget_value, period_start, percent ORDER BY call_order
) = 1
ORDER BY timestamp, name, budget_value, percent
