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

-- sums by the hour first: only the hour that crosses needs its calls in order
spent AS (
    SELECT
        budget_dimension,
        budget_value,
        time_bucket(INTERVAL 1 HOUR, call_time) AS spent_hour,
        sum(spent_usd)::DECIMAL(38, 12) AS cost_usd,
        sum(spent_input_tokens) AS input_tokens,
        sum(spent_output_tokens) AS output_tokens
    FROM measured
    GROUP BY ALL
),

running AS (
    SELECT
        budgets.*,
        spent.budget_value,
        spent.spent_hour,
        date_trunc(budgets.period, spent.spent_hour) AS period_start,
        CASE budgets.measure
            WHEN 'cost_usd' THEN spent.cost_usd
            WHEN 'input_tokens' THEN TRY_CAST(spent.input_tokens AS DECIMAL(38, 12))
            WHEN 'output_tokens' THEN TRY_CAST(spent.output_tokens AS DECIMAL(38, 12))
        END AS amount,
        sum(amount) OVER (
            PARTITION BY budgets.name, spent.budget_value, period_start
            ORDER BY spent.spent_hour
            ROWS UNBOUNDED PRECEDING
        ) AS spent_until
    FROM spent
    JOIN budgets ON budgets.dimension = spent.budget_dimension
    WHERE (budgets.value IS NULL OR budgets.value = spent.budget_value)
      AND spent.spent_hour >= date_trunc(budgets.period, $since::TIMESTAMPTZ)
),

reached AS (
    SELECT *, unnest(thresholds) AS percent
    FROM running
),

crossed AS (
    SELECT *, spent_until - coalesce(amount, 0) AS spent_before
    FROM reached
    WHERE spent_until >= limit_amount * 0.01 * percent
    QUALIFY row_number() OVER (
        PARTITION BY name, budget_value, period_start, percent ORDER BY spent_hour
    ) = 1
),

ordered AS (
    SELECT
        crossed.*,
        measured.call_time,
        measured.call_order,
        measured.call_trace_id,
        crossed.spent_before + sum(
            CASE crossed.measure
                WHEN 'cost_usd' THEN measured.spent_usd::DECIMAL(38, 12)
                WHEN 'input_tokens' THEN measured.spent_input_tokens
                WHEN 'output_tokens' THEN measured.spent_output_tokens
            END
        ) OVER (
            PARTITION BY
                crossed.name,
                crossed.budget_value,
                crossed.period_start,
                crossed.percent
            ORDER BY measured.call_order
            ROWS UNBOUNDED PRECEDING
        ) AS spent_so_far
    FROM crossed
    JOIN measured
        ON measured.budget_dimension = crossed.dimension
        AND measured.budget_value = crossed.budget_value
        AND time_bucket(INTERVAL 1 HOUR, measured.call_time) = crossed.spent_hour
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
FROM ordered
WHERE spent_so_far >= limit_amount * 0.01 * percent
QUALIFY row_number() OVER (
    PARTITION BY name, budget_value, period_start, percent ORDER BY call_order
) = 1
ORDER BY timestamp, name, budget_value, percent
