-- view:  redundant_work
-- grain: one row per piece of work that need not have been done; kinds may overlap
-- reads: calls, chains, runs, tool_calls
-- loop            a call from the third round of a loop on
-- failed          a call that failed
-- repeat          a call that its chain had made before, with success
-- jump_carry      what a chain carried of the results that made its context jump
-- resent_request  the same input to the same model within a minute of a success
-- same_tool_call  a tool call that its run had made before, with the same result
-- same_sub_agent  a sub-agent that its run had asked the same before: the tool that
--                 started it returned the same, or its first input is the same
-- same_embedding  an input that the model had embedded before
-- uncached_prefix a conversation's first prompt sent again within five minutes, or, by
--                 its first call, the shortest that began one of the agent, within five
--                 minutes of another, without what was retrieved before it; not read
--                 from the cache: the system prompt tax.
--                 Below 1,024 tokens no provider caches.
-- usd is what it cost as it was sent, null where a price is missing.
CREATE OR REPLACE TEMP VIEW redundant_work AS
WITH priced AS (
    SELECT
        * REPLACE (
            CASE WHEN cost_status = 'not_billed' THEN 0 ELSE cost_usd END AS cost_usd
        ),
        coalesce(input_tokens, 0)::HUGEINT + coalesce(output_tokens, 0) AS tokens,
        coalesce(response_model, request_model) AS model
    FROM calls
),
sent_before AS (
    SELECT
        *,
        lag(timestamp) OVER same_input AS sent_at
    FROM priced
    WHERE error_type IS NULL AND input_hash IS NOT NULL
    WINDOW same_input AS (
        PARTITION BY service_name, tenant, operation, model, input_hash, input_tokens
        ORDER BY timestamp, trace_id, span_id
    )
),
whole_calls AS (
    SELECT coalesce(waste_reason, 'failed') AS kind, * EXCLUDE (waste_reason)
    FROM priced
    WHERE waste_reason IS NOT NULL OR error_type IS NOT NULL
    UNION ALL BY NAME
    SELECT
        CASE
            WHEN operation = 'embeddings' THEN 'same_embedding'
            ELSE 'resent_request'
        END AS kind,
        * EXCLUDE (waste_reason, sent_at)
    FROM sent_before
    WHERE waste_reason IS NULL
      AND sent_at IS NOT NULL
      AND (operation = 'embeddings' OR timestamp <= sent_at + INTERVAL 1 MINUTE)
),
chain_waste AS (
    SELECT
        trace_id,
        run_id,
        chain_id,
        sum(tokens) AS tokens,
        sum(cost_usd) AS usd
    FROM priced
    WHERE waste_reason IS NOT NULL
    GROUP BY ALL
),
jumps AS (
    SELECT
        chains.timestamp,
        chains.trace_id,
        chains.run_id,
        chains.chain_id,
        chains.jump_tool,
        chains.waste_tokens::HUGEINT - coalesce(chain_waste.tokens, 0) AS tokens,
        chains.waste_usd - coalesce(chain_waste.usd, 0) AS usd
    FROM chains
    LEFT JOIN chain_waste USING (trace_id, run_id, chain_id)
    WHERE chains.waste_tokens > coalesce(chain_waste.tokens, 0)
),
tool_rows AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY trace_id, run_id, tool_name, arguments_hash, result_hash
            ORDER BY timestamp, span_id
        ) AS times
    FROM tool_calls
    WHERE arguments_hash IS NOT NULL AND result_hash IS NOT NULL AND error_type IS NULL
),
first_inputs AS (
    SELECT trace_id, run_id, arg_min(input_hash, (timestamp, span_id)) AS input_hash
    FROM calls
    WHERE operation NOT IN ('embeddings', 'rerank')
    GROUP BY ALL
),
started_by AS (
    SELECT
        runs.trace_id,
        runs.run_id,
        -- Tools that run beside each other lie around each other's agents, too.
        CASE
            WHEN bool_or(tool_calls.span_id = runs.started_by_span_id)
                THEN any_value(result_hash)
                    FILTER (WHERE tool_calls.span_id = runs.started_by_span_id)
            WHEN count(*) = 1 THEN any_value(result_hash)
        END AS result_hash
    FROM runs
    JOIN tool_calls
        ON tool_calls.trace_id = runs.trace_id
        AND tool_calls.run_id = runs.parent_run_id
        AND tool_calls.timestamp <= runs.timestamp
        AND epoch_us(tool_calls.timestamp) + tool_calls.duration_ms * 1000
            >= epoch_us(runs.timestamp) + runs.duration_ms * 1000
    GROUP BY ALL
),
sub_agents AS (
    SELECT
        runs.*,
        row_number() OVER (
            PARTITION BY
                runs.trace_id,
                runs.parent_run_id,
                coalesce(runs.agent_name, runs.name),
                coalesce(started_by.result_hash, first_inputs.input_hash)
            ORDER BY runs.timestamp, runs.run_id
        ) AS times
    FROM runs
    LEFT JOIN started_by USING (trace_id, run_id)
    LEFT JOIN first_inputs USING (trace_id, run_id)
    WHERE runs.parent_run_id IS NOT NULL
      AND coalesce(started_by.result_hash, first_inputs.input_hash) IS NOT NULL
),
curve AS (
    SELECT
        *,
        lag(timestamp) OVER (
            PARTITION BY trace_id, run_id, chain_id ORDER BY timestamp, span_id
        ) AS asked_at
    FROM priced
    WHERE new_tokens IS NOT NULL
),
brought AS (
    SELECT
        curve.trace_id,
        curve.span_id,
        sum(tool_calls.first_sent_tokens) AS brought_tokens
    FROM curve
    JOIN tool_calls
        ON tool_calls.trace_id = curve.trace_id
        AND tool_calls.run_id = curve.run_id
        AND tool_calls.chain_id = curve.chain_id
        AND tool_calls.timestamp < curve.timestamp
    WHERE curve.asked_at IS NULL
    GROUP BY ALL
),
openings AS (
    SELECT
        *,
        lag(timestamp) OVER (
            PARTITION BY service_name, agent_name, agent_version, model,
                system_prompt_hash
            ORDER BY timestamp, trace_id, span_id
        ) AS agent_asked_at,
        min(input_tokens - coalesce(brought_tokens, 0)) OVER (
            PARTITION BY service_name, agent_name, agent_version, model,
                system_prompt_hash
        ) AS shortest_tokens
    FROM curve
    LEFT JOIN brought USING (trace_id, span_id)
    WHERE asked_at IS NULL AND coalesce(agent_name, system_prompt_hash) IS NOT NULL
),
prefixes AS (
    SELECT *, input_tokens - new_tokens - resent_tokens AS prefix_tokens
    FROM curve
    WHERE asked_at >= timestamp - INTERVAL 5 MINUTE
    UNION ALL BY NAME
    SELECT
        * EXCLUDE (agent_asked_at, shortest_tokens, brought_tokens),
        shortest_tokens AS prefix_tokens
    FROM openings
    WHERE agent_asked_at >= timestamp - INTERVAL 5 MINUTE
),
uncached AS (
    SELECT
        *,
        least(
            prefix_tokens::HUGEINT - coalesce(cache_read_tokens, 0)
                - coalesce(cache_write_tokens, 0),
            uncached_input_tokens
        ) AS paid_tokens
    FROM prefixes
    WHERE prefix_tokens >= 1024
)
SELECT
    kind, timestamp, trace_id, run_id, span_id, tenant, feature, agent_name,
    agent_version, model AS what, tokens, cost_usd AS usd
FROM whole_calls
UNION ALL
SELECT
    'jump_carry', jumps.timestamp, jumps.trace_id, jumps.run_id, NULL, runs.tenant,
    runs.feature, runs.agent_name, runs.agent_version, jumps.jump_tool, jumps.tokens,
    jumps.usd
FROM jumps
LEFT JOIN runs USING (trace_id, run_id)
UNION ALL
SELECT
    'same_tool_call', timestamp, trace_id, run_id, span_id, tenant, feature, agent_name,
    agent_version, tool_name, first_sent_tokens::HUGEINT + carried_tokens,
    first_sent_usd + carried_usd
FROM tool_rows
WHERE times > 1
UNION ALL
SELECT
    'same_sub_agent', timestamp, trace_id, run_id, NULL, tenant, feature, agent_name,
    agent_version, coalesce(agent_name, name),
    input_tokens::HUGEINT + output_tokens,
    subtree_cost_usd
FROM sub_agents
WHERE times > 1
UNION ALL
SELECT
    'uncached_prefix', timestamp, trace_id, run_id, span_id, tenant, feature,
    agent_name, agent_version, model, paid_tokens,
    CASE
        WHEN NOT cache_unknown
        THEN ((input_cost_usd * 1000000000000)::HUGEINT * paid_tokens)
            // uncached_input_tokens * 0.000000000001
    END
FROM uncached
WHERE paid_tokens > 0
