-- rule:       budget
-- says:       a dimension has spent a share of what it may spend in a period
-- grain:      one row per (budget, value of its dimension, period, threshold crossed)
-- reads:      calls, restatements, budgets (registry.BUDGET_SCHEMA: the budgets of the
--             settings)
-- parameters: $since, $until  periods that touch this time, half-open
--             $dimensions     columns of calls that the budgets name, and total
-- A call counts at its time, with its recorded cost. A restatement of it counts in the
-- same period, at the time it became known, with what it adds or takes away. So rows
-- are stamped with what crossed, a call or a restatement of one, and with what was
-- spent then: what comes later does not change them. Sums are exact decimals. Calls
-- under a subscription cost no extra dollars: they count in tokens, not in cost_usd. A
-- call that has no value of the dimension belongs to no budget but total's.
WITH looked_at AS (
    SELECT
        'all' AS total,
        *,
        time_bucket(INTERVAL 1 HOUR, timestamp) AS call_hour,
        CASE WHEN cost_status <> 'subscription' THEN cost_usd END AS recorded_usd
    FROM calls
    WHERE timestamp < $until
      AND timestamp >= (
          SELECT min(date_trunc(period, $since::TIMESTAMPTZ)) FROM budgets
      )
),

known AS (
    SELECT
        trace_id,
        span_id,
        known_at,
        restatement_id,
        recorded_cost_usd,
        CASE WHEN cost_status <> 'subscription' THEN cost_usd END AS known_usd
    FROM restatements
    WHERE known_at < $until
),

changes AS (
    SELECT
        looked_at.*,
        known.known_at AS spent_at,
        coalesce(known.known_usd, 0) - coalesce(
            lag(known.known_usd, 1, looked_at.recorded_usd) OVER (
                PARTITION BY looked_at.trace_id, looked_at.span_id
                ORDER BY known.known_at, known.restatement_id
            ),
            0
        ) AS spent_usd
    FROM looked_at
    JOIN known
        ON looked_at.trace_id = known.trace_id
        AND looked_at.span_id = known.span_id
        AND looked_at.cost_usd IS NOT DISTINCT FROM known.recorded_cost_usd
),

events AS (
    SELECT
        *,
        timestamp AS spent_at,
        recorded_usd AS spent_usd,
        input_tokens AS spent_input_tokens,
        output_tokens AS spent_output_tokens
    FROM looked_at
    UNION ALL BY NAME
    SELECT *
    FROM changes
    WHERE spent_usd <> 0
),

measured AS (
    UNPIVOT (
        SELECT
            *,
            time_bucket(INTERVAL 1 HOUR, spent_at) AS spent_hour,
            (spent_at, trace_id, span_id) AS spent_order,
            trace_id AS spent_trace_id
        FROM events
    )
    ON COLUMNS(lambda name: list_contains($dimensions, name))
    INTO NAME budget_dimension VALUE budget_value
),

-- sums by the hour first: only hours that may cross need their calls in order
spent AS (
    SELECT
        budget_dimension,
        budget_value,
        call_hour,
        spent_hour,
        sum(spent_usd)::DECIMAL(38, 12) AS cost_usd,
        (sum(spent_usd) FILTER (WHERE spent_usd > 0))::DECIMAL(38, 12) AS added_usd,
        sum(spent_input_tokens) AS input_tokens,
        sum(spent_output_tokens) AS output_tokens
    FROM measured
    GROUP BY ALL
),

of_budgets AS (
    SELECT
        budgets.*,
        spent.budget_value,
        date_trunc(budgets.period, spent.call_hour) AS period_start,
        spent.spent_hour,
        CASE budgets.measure
            WHEN 'cost_usd' THEN spent.cost_usd
            WHEN 'input_tokens' THEN TRY_CAST(spent.input_tokens AS DECIMAL(38, 12))
            WHEN 'output_tokens' THEN TRY_CAST(spent.output_tokens AS DECIMAL(38, 12))
        END AS amount,
        CASE budgets.measure
            WHEN 'cost_usd' THEN coalesce(spent.added_usd, 0)
            ELSE amount
        END AS most_added
    FROM spent
    JOIN budgets ON budgets.dimension = spent.budget_dimension
    WHERE (budgets.value IS NULL OR budgets.value = spent.budget_value)
      AND spent.call_hour >= date_trunc(budgets.period, $since::TIMESTAMPTZ)
),

of_periods AS (
    SELECT
        * EXCLUDE (amount, most_added),
        coalesce(sum(amount), 0)::DECIMAL(38, 12) AS amount,
        coalesce(sum(most_added), 0)::DECIMAL(38, 12) AS most_added
    FROM of_budgets
    GROUP BY ALL
),

running AS (
    SELECT
        *,
        sum(amount) OVER (
            PARTITION BY name, budget_value, period_start
            ORDER BY spent_hour
            ROWS UNBOUNDED PRECEDING
        ) AS spent_until,
        spent_until - amount AS spent_before
    FROM of_periods
),

reached AS (
    SELECT *, unnest(thresholds) AS percent
    FROM running
),

-- up to the hour that ends above the threshold; before it, those that may have been
crossed AS (
    SELECT *
    FROM reached
    WHERE spent_before + most_added >= limit_amount * 0.01 * percent
    QUALIFY spent_hour <= coalesce(
        min(spent_hour) FILTER (WHERE spent_until >= limit_amount * 0.01 * percent)
            OVER (PARTITION BY name, budget_value, period_start, percent),
        spent_hour
    )
),

ordered AS (
    SELECT
        crossed.*,
        measured.spent_at,
        measured.spent_order,
        measured.spent_trace_id,
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
                crossed.percent,
                crossed.spent_hour
            ORDER BY measured.spent_order
            ROWS UNBOUNDED PRECEDING
        ) AS spent_so_far
    FROM crossed
    JOIN measured
        ON measured.budget_dimension = crossed.dimension
        AND measured.budget_value = crossed.budget_value
        AND measured.spent_hour = crossed.spent_hour
        AND date_trunc(crossed.period, measured.call_hour) = crossed.period_start
)

SELECT
    spent_at AS timestamp,
    period_start AS window_start,
    CASE period
        WHEN 'hour' THEN period_start + INTERVAL 1 HOUR
        WHEN 'day' THEN period_start + INTERVAL 1 DAY
        WHEN 'week' THEN period_start + INTERVAL 7 DAY
        WHEN 'month' THEN period_start + INTERVAL 1 MONTH
    END AS window_end,
    NULL::VARCHAR AS run_id,
    spent_trace_id AS trace_id,
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
    PARTITION BY name, budget_value, period_start, percent ORDER BY spent_order
) = 1
ORDER BY timestamp, name, budget_value, percent
